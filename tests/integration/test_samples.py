"""The samples as such: what their README says, and when they are built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import build as builder
from components.samples import SAMPLES, Sample

COMPONENTS = builder.HERE


def test_the_readme_has_each_sample_and_its_build_line() -> None:
    text = (COMPONENTS / "README.md").read_text(encoding="utf-8")
    for name, sample in SAMPLES.items():
        assert f"| [{name}]({name}) |" in text or f"| {name} |" in text
        assert f"\n{sample.line}\n" in text


def test_each_folder_is_a_sample() -> None:
    folders = {path.name for path in COMPONENTS.iterdir() if path.is_dir()}
    assert folders - {"build", "toolchain", "__pycache__"} <= set(SAMPLES)


def test_lock_files_name_no_registry() -> None:
    for path in (COMPONENTS / "toolchain/package-lock.json", *COMPONENTS.glob("*/Cargo.lock")):
        assert "://" not in path.read_text().replace(
            "registry+https://github.com/rust-lang/crates.io-index", ""
        )


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A sample of the name ``copied``, of one source file; the lines that were run."""
    source = tmp_path / "source.wasm"
    source.write_bytes(b"first")
    line = f"cp {source} {tmp_path}/copied.wasm"
    monkeypatch.setattr(builder, "HERE", tmp_path)
    monkeypatch.setattr(builder, "BUILD", tmp_path)
    monkeypatch.setitem(SAMPLES, "copied", Sample(line, ("source.wasm",), ("wasmtime",)))
    lines: list[str] = []
    really_run = builder.run

    def run(line: str, output: Path) -> None:
        lines.append(line)
        really_run(line, output)

    monkeypatch.setattr(builder, "run", run)
    return lines


def test_a_sample_is_built_again_only_when_something_changed(
    copied: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert builder.build("copied").read_bytes() == b"first"
    assert builder.build("copied").read_bytes() == b"first"
    assert len(copied) == 1
    (tmp_path / "source.wasm").write_bytes(b"second")
    assert builder.build("copied").read_bytes() == b"second"
    monkeypatch.setattr(builder, "version", lambda tool: "another version")
    builder.build("copied")
    assert len(copied) == 3


def test_a_build_that_failed_is_tried_again(copied: list[str], tmp_path: Path) -> None:
    output = builder.build("copied")
    (tmp_path / "source.wasm").unlink()
    for _ in range(2):
        with pytest.raises(builder.BuildFailed):
            builder.build("copied")
    assert output.exists()
    assert len(copied) == 3


def test_failures_show_what_the_toolchain_said(tmp_path: Path) -> None:
    with pytest.raises(builder.BuildFailed, match="no-such-file"):
        builder.run("python toolchain/wat.py no-such-file.wat out.wasm", tmp_path / "out.wasm")
    with pytest.raises(builder.BuildFailed, match=r"made no out\.wasm"):
        builder.run("true", tmp_path / "out.wasm")


def run_script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMPONENTS / "build.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_the_script() -> None:
    listed = run_script("--list")
    assert listed.stdout.splitlines() == [sample.line for sample in SAMPLES.values()]
    unknown = run_script("no-such-sample")
    assert unknown.returncode == 2
    assert "calculator" in unknown.stderr
    built = run_script("calculator")
    assert (built.returncode, built.stdout.split()[0]) == (0, "calculator:")


def test_a_missing_toolchain_is_said(tmp_path: Path) -> None:
    # Asked for by name it is an error; among all of them only where it is required.
    missing = run_script("template_js", PATH=str(tmp_path))
    assert missing.returncode == 1
    assert "template_js: skipped: npm is missing" in missing.stdout
