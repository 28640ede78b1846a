"""What the documents show is run: README, docstrings, the demo."""

from __future__ import annotations

import doctest
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hlwasm
import hlwasm.component
import hlwasm.native.vm_pool
import hlwasm.sandbox.async_sandbox
import hlwasm.sandbox.pool.async_pool
import hlwasm.sandbox.pool.pool
import hlwasm.sandbox.snapshot
import hlwasm.sandbox.views
import hlwasm.testing.fakes.fakes
import hlwasm.wit.names
import hlwasm.wit.sources

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
# With the command `hlwasm`.
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
# The tutorial makes files of its own: see test_tutorial.py.
PAGES = sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "plugins.md"})


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks of a page, by default the README, in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.hypervisor
@pytest.mark.parametrize(
    "module",
    [
        hlwasm.component,
        hlwasm.native.vm_pool,
        hlwasm.sandbox.async_sandbox,
        hlwasm.sandbox.pool.async_pool,
        hlwasm.sandbox.pool.pool,
        hlwasm.sandbox.snapshot,
        hlwasm.sandbox.views,
        hlwasm.testing.fakes.fakes,
        hlwasm.wit.names,
        hlwasm.wit.sources,
    ],
)
def test_docstrings(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.hypervisor
def test_the_first_example_of_the_readme(
    component_path: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    component_path("calculator")
    monkeypatch.chdir(ROOT)
    example = blocks("python")[0]
    # The lines that the example says raise; each is run alone.
    raising = [line.strip() for line in example.splitlines() if "# raises" in line]
    assert len(raising) == 2
    quiet = "\n".join(line for line in example.splitlines() if "# raises" not in line)
    names: dict[str, object] = {}
    exec(compile(quiet, "README.md", "exec"), names)
    assert capsys.readouterr().out == "0 + 5 = 5\n5 + 7 = 12\n12 + 30 = 42\n"
    component = names["component"]
    assert isinstance(component, hlwasm.Component)
    with component.instantiate(imports={"log": print}) as sandbox:
        for line, error in zip(raising, (hlwasm.Err, hlwasm.WitValueError), strict=True):
            with pytest.raises(error):
                exec(line, {"ops": sandbox.exports.ops})


@pytest.mark.hypervisor
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages(
    page: Path,
    component_path: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The commands of a page, and then all blocks of Python in order, as one program."""
    text = page.read_text().replace("/tmp/", f"{tmp_path}/")
    program = "\n".join(blocks("python", text))
    assert program
    for sample in set(re.findall(r"components/build/(\w+)\.wasm", program)):
        component_path(sample)
    monkeypatch.chdir(ROOT)
    for command in re.findall(r"^\$ (.*)", "\n".join(blocks("console", text)), re.MULTILINE):
        subprocess.run(["sh", "-c", command], env=ENVIRONMENT, check=True, capture_output=True)
    # A page may import what its commands wrote, which is forgotten afterwards.
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, object] = {"__name__": "__main__"}
    try:
        exec(compile(program, page.name, "exec"), names)
    finally:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith((str(tmp_path), "components/")):
                del sys.modules[name]


@pytest.mark.hypervisor
def test_the_commands_of_the_readme(component_path: Callable[[str], Path]) -> None:
    component_path("calculator")
    shown = [block for block in blocks("console") if "cpython" not in block]
    assert shown
    for block in shown:
        command, _, expected = block.partition("\n")
        done = subprocess.run(
            ["sh", "-c", command.removeprefix("$ ")],
            cwd=ROOT,
            env=ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout == expected


@pytest.mark.hypervisor
def test_the_demo(
    component_path: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    component_path("calculator")
    runpy.run_path(str(ROOT / "examples" / "demo.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert "ops.add(2, 3)            -> 5" in output
    assert "DIVISION_BY_ZERO" in output


def test_every_public_name_exists() -> None:
    for name in hlwasm.__all__:
        assert getattr(hlwasm, name) is not None


def test_the_exception_tree_is_the_documented_one() -> None:
    import hlwasm.errors as errors

    classes = {
        value.__name__
        for value in vars(errors).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == errors.__name__
    }
    assert errors.__doc__ is not None
    drawn = re.findall(r"(?:── |^    )([A-Z][A-Za-z]+)", errors.__doc__, re.MULTILINE)
    assert classes == set(drawn)
