"""The compiler's process: its limits, and what its end in all ways becomes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hlwasm.artifact import CompileLimits, Phase, Progress, prepare
from hlwasm.errors import CompileError

from .files import ADD, large_module
from .workers import wait_until_gone, workers_of

MIB = 1 << 20


class _AtCompiling:
    """Does something once, when the worker compiles."""

    def __init__(self) -> None:
        self.pid = 0

    def __call__(self, progress: Progress) -> None:
        if progress.phase is Phase.COMPILING and not self.pid:
            (self.pid,) = workers_of()
            self.act()

    def act(self) -> None:
        raise NotImplementedError


def test_time_is_limited() -> None:
    began = time.monotonic()
    with pytest.raises(CompileError, match=r"^the compiler took more than 0\.5 seconds$"):
        prepare(large_module(30_000), limits=CompileLimits(seconds=0.5))
    assert time.monotonic() - began < 5
    assert workers_of() == []


def test_memory_is_limited() -> None:
    with pytest.raises(CompileError, match="more than its limit of 128 MiB of memory"):
        prepare(large_module(20_000), limits=CompileLimits(memory_bytes=128 * MIB))
    # The same limit is enough for small inputs.
    prepare(ADD, limits=CompileLimits(memory_bytes=128 * MIB)).close()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, r"^the compiler crashed \(SIGSEGV\)$"),
        (signal.SIGABRT, r"^the compiler crashed \(SIGABRT\)$"),
        (signal.SIGKILL, "the compiler was killed"),
        (signal.SIGXCPU, "seconds of CPU time"),
    ],
)
def test_a_crash_is_one_clear_line(number: signal.Signals, message: str) -> None:
    class Kill(_AtCompiling):
        def act(self) -> None:
            # Twice: wasmtime's own handler lets the first SIGSEGV pass that it cannot explain.
            for _ in range(2):
                os.kill(self.pid, number)
                time.sleep(0.05)

    with pytest.raises(CompileError, match=message):
        prepare(large_module(3000), progress=Kill())


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_exception_of_the_callback_ends_the_worker(raised: type[BaseException]) -> None:
    class Raise(_AtCompiling):
        def act(self) -> None:
            raise raised("stop")

    callback = Raise()
    with pytest.raises(raised, match="stop"):
        prepare(large_module(10_000), progress=callback)
    assert callback.pid
    assert wait_until_gone(callback.pid)


def test_the_worker_dies_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(large_module(60_000))
    code = "import sys\nfrom hlwasm.artifact import prepare\nprepare(sys.argv[1])\n"
    parent = subprocess.Popen([sys.executable, "-c", code, path])
    deadline = time.monotonic() + 30
    while not (found := workers_of(parent.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    assert wait_until_gone(found[0])


def test_what_the_worker_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASMTIME_BACKTRACE_DETAILS", "1")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    monkeypatch.setenv("SECRET_TOKEN", "secret")
    seen: dict[str, str] = {}

    class Look(_AtCompiling):
        def act(self) -> None:
            directory = Path("/proc") / str(self.pid)
            seen["environ"] = (directory / "environ").read_text()
            seen["limits"] = (directory / "limits").read_text()
            seen["status"] = (directory / "status").read_text()
            seen["session"] = str(os.getsid(self.pid))
            targets = [str(link.readlink()) for link in (directory / "fd").iterdir()]
            seen["files"] = " ".join(targets)

    look = Look()
    with Path(__file__).open() as unrelated:
        os.set_inheritable(unrelated.fileno(), False)
        prepare(large_module(2000), progress=look).close()
    names = {line.partition("=")[0] for line in seen["environ"].split("\0") if line}
    assert names <= {"LD_LIBRARY_PATH", "RAYON_NUM_THREADS", "MALLOC_ARENA_MAX"}
    limits = {line[:26].strip(): line[26:].split()[0] for line in seen["limits"].splitlines()}
    assert limits["Max core file size"] == "0"
    assert int(limits["Max data size"]) == CompileLimits().memory_bytes
    assert limits["Max address space"] != "unlimited"
    assert limits["Max cpu time"] != "unlimited"
    assert limits["Max file size"] != "unlimited"
    assert "NoNewPrivs:\t1" in seen["status"]
    assert seen["session"] == str(look.pid), "Ctrl-C in a terminal does not reach it"
    assert "test_worker.py" not in seen["files"]


def test_modules_beside_the_program_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("wasmtime", "resource", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    prepare(ADD).close()


def test_the_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="seconds"):
        CompileLimits(seconds=0)
    with pytest.raises(ValueError, match="memory_bytes"):
        CompileLimits(memory_bytes=MIB)
