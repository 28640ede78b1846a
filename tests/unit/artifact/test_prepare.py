"""From input to artifact, with the real bridge and the real compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wasmtime

from hlwasm.artifact import Cache, CompileOptions, Phase, Progress, describe, prepare
from hlwasm.artifact.source import INDEXED_BYTES
from hlwasm.errors import ArtifactError, CompileError, InvalidWasm, LoadError, UnsupportedItem

from .files import ADD, large_module

MODULE = b'(module (func (export "f") (result i32) i32.const 7))'


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (ADD, "component"),
        (bytes(wasmtime.wat2wasm(ADD)), "component"),
        (MODULE, "module"),
        (bytes(wasmtime.wat2wasm(MODULE)), "module"),
    ],
    ids=["component text", "component", "module text", "module"],
)
def test_every_kind_of_input(source: bytes, kind: str) -> None:
    with prepare(source) as artifact:
        assert json.loads(artifact.description)["source_kind"] == kind
        assert os.pread(artifact.fd, 4, 0) == b"\x7fELF"
        assert artifact.metadata.source_bytes == len(source)
        assert artifact.metadata.wasmtime.startswith("48.")
        assert artifact.path is None
        artifact.verify()


def test_what_is_in_memory_cannot_be_changed() -> None:
    with prepare(ADD) as artifact, pytest.raises(PermissionError):
        os.pwrite(artifact.fd, b"x", 0)


def test_the_second_time_it_is_cached(cache: Cache) -> None:
    with prepare(ADD, cache=cache) as first, prepare(ADD, cache=cache) as second:
        assert not first.cached
        assert second.cached
        assert first.key == second.key
        assert first.path == second.path == cache.path_of(first.key)
        assert first.description == second.description
    assert len(cache.entries()) == 1


def test_a_path_and_its_bytes_share_an_entry(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "add.wat"
    path.write_bytes(ADD)
    prepare(path, cache=cache).close()
    with prepare(ADD, cache=cache) as artifact:
        assert artifact.cached


def test_a_changed_file_is_compiled_again(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "f.wat"
    path.write_bytes(MODULE)
    prepare(path, cache=cache).close()
    status = path.stat()
    path.write_bytes(MODULE.replace(b"7", b"8"))
    # Same size and time stamps: only the contents tell.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with prepare(path, cache=cache) as artifact:
        assert not artifact.cached


def test_options_make_another_artifact(cache: Cache) -> None:
    for options in (CompileOptions(), CompileOptions(fuel=True), CompileOptions(False, 1 << 20)):
        with prepare(ADD, options=options, cache=cache) as artifact:
            assert not artifact.cached
            assert artifact.metadata.fuel is options.fuel
            assert artifact.metadata.transfer_bytes == options.transfer_bytes
    assert len(cache.entries()) == 3


def test_a_damaged_entry_is_made_again(cache: Cache) -> None:
    with prepare(ADD, cache=cache) as artifact:
        path = cache.path_of(artifact.key)
    path.chmod(0o600)
    os.truncate(path, 1000)
    with prepare(ADD, cache=cache) as artifact:
        assert not artifact.cached
        artifact.verify()
    with prepare(ADD, cache=cache) as artifact:
        assert artifact.cached


def test_an_artifact_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "add.cwasm"
    with prepare(ADD) as made:
        path.write_bytes(os.pread(made.fd, made.file_bytes, 0))
        for source in (path, path.read_bytes()):
            with prepare(source) as taken:
                assert taken.metadata == made.metadata
                assert taken.description == made.description
                assert os.pread(taken.fd, 100, 0) == os.pread(made.fd, 100, 0)


def test_an_artifact_from_outside_is_checked_whole(tmp_path: Path) -> None:
    with prepare(ADD) as made:
        data = bytearray(os.pread(made.fd, made.file_bytes, 0))
    data[1000] ^= 1
    with pytest.raises(ArtifactError, match="code does not match"):
        prepare(bytes(data))


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (b"(component", InvalidWasm, "expected|unexpected"),
        (b"\0asm\1\0\0\0\x07", InvalidWasm, "."),
        (b"\0asm", InvalidWasm, "."),
        (bytes(wasmtime.wat2wasm(ADD))[:-20], InvalidWasm, "."),
        (b"(component (core module (memory 1 1 shared)))", UnsupportedItem, "thread"),
        (b"\0asm\x07\0\0\0", LoadError, "."),
        (rb'(component (import "a:b/c@1.0.0-\1b[31m" (instance)))', InvalidWasm, "\ufffd\\[31m"),
    ],
)
def test_bad_input_is_one_clear_line(source: bytes, kind: type[LoadError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        prepare(source)
    text = str(caught.value)
    # On one line, and without what acts on a terminal.
    assert text.isprintable()
    assert "Traceback" not in text
    assert "panicked" not in text


def test_bad_input_leaves_nothing_in_the_cache(cache: Cache) -> None:
    with pytest.raises(InvalidWasm):
        prepare(b"\0asm\1\0\0\0\x07", cache=cache)
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []


def test_progress_tells_phases_and_time(cache: Cache) -> None:
    reports: list[Progress] = []
    source = large_module(12_000)
    prepare(source, cache=cache, progress=reports.append).close()
    phases = list(dict.fromkeys(report.phase for report in reports))
    assert phases == [Phase.STARTING, Phase.BRIDGING, Phase.COMPILING, Phase.STORING]
    elapsed = [report.elapsed for report in reports]
    assert elapsed == sorted(elapsed)
    assert len(reports) > 5, "also while nothing changes"
    assert {report.source_bytes for report in reports} == {len(source)}
    reports.clear()
    prepare(source, cache=cache, progress=reports.append).close()
    assert reports == []


def test_describing_compiles_nothing(cache: Cache) -> None:
    outline = describe(ADD, cache=cache)
    assert json.loads(outline.description)["exports"][0]["name"] == "add"
    assert outline.code_bytes is None
    assert cache.entries() == []
    with prepare(ADD, cache=cache) as artifact:
        known = describe(ADD, cache=cache)
        assert known.code_bytes == artifact.code_bytes
        assert known.description == outline.description == artifact.description


def test_processes_compile_an_input_once(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(large_module(2000))
    code = (
        "import sys\n"
        "from hlwasm.artifact import Cache, prepare\n"
        "with prepare(sys.argv[1], cache=Cache(sys.argv[2])) as artifact:\n"
        "    artifact.verify()\n"
        "    print(artifact.cached)\n"
    )
    command = [sys.executable, "-c", code, str(path), str(cache.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    assert sorted(answers) == ["False", "True", "True", "True"]
    assert not list((cache.root / "locks").iterdir())


def test_an_unusable_cache_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with prepare(ADD, cache=Cache(tmp_path / "file")) as artifact:
        assert artifact.path is None
    assert "works without a cache" in caplog.text


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """On a real file system with no room, in a mount namespace of its own."""
    code = (
        "import sys\n"
        "from hlwasm.artifact import Cache, prepare\n"
        "from tests.unit.artifact.files import large_module\n"
        "try:\n"
        "    prepare(large_module(2000), cache=Cache(sys.argv[1]))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    mounted = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=256k x "$1" && shift && "$@"']
    if subprocess.run([*mounted, "sh", tmp_path, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespaces")
    done = subprocess.run(
        [*mounted, "sh", tmp_path, sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"{CompileError.__name__} no space left"), done
    assert "hlwasm cache clear" in done.stdout


def test_a_large_file_is_not_read_again_but_a_changed_one_is(cache: Cache, tmp_path: Path) -> None:
    file = tmp_path / "large.wat"

    def write(answer: int) -> None:
        text = f'(module (func (export "f") (result i32) i32.const {answer}))'
        file.write_text(text + ";;" + " " * (INDEXED_BYTES + 5))

    write(7)
    first = file.stat()
    with prepare(file, cache=cache) as artifact:
        before = artifact.key
    assert not Path(cache.sources().path).exists(), "it may change within the grain of its times"
    time.sleep(2.1)
    with prepare(file, cache=cache) as artifact:
        assert artifact.key == before
    assert cache.sources().find(file.stat()) == artifact.metadata.source_sha256
    # Who looks only at the index finds what it says.
    with prepare(MODULE, cache=cache) as other:
        cache.sources().add(file.stat(), other.metadata.source_sha256)
    with prepare(file, cache=cache) as artifact:
        assert artifact.key == other.key
    # The same size and the same time, as a program that unpacks archives sets it.
    write(8)
    os.utime(file, ns=(first.st_atime_ns, first.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (first.st_size, first.st_mtime_ns)
    with prepare(file, cache=cache) as artifact:
        assert artifact.key != before
