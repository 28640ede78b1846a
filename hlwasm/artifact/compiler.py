"""The parent's side of a compile: starts the worker, watches it, ends it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import hlwasm
from hlwasm.artifact.files import memory_file
from hlwasm.artifact.options import MIB, CompileLimits, CompileOptions, Phase
from hlwasm.artifact.worker import Request
from hlwasm.errors import ArtifactError, CompileError, InvalidWasm, LoadError, UnsupportedItem
from hlwasm.native import _abi
from hlwasm.text import printable

# Between two looks at the worker, and so between two reports of progress.
_TICK_SECONDS = 0.1
# A description is text about types: far smaller than what this allows.
_OUTPUT_LIMIT = _abi.ARTIFACT_MAX_BYTES + 64 * MIB
_MESSAGE_LIMIT = 1 << 20
_THREADS_MAX = 16

# -I -S: no PYTHON* variables, no current directory, no user or site hooks. Behind the
# standard library comes the parent's own import path.
_BOOT = (
    "import json,runpy,sys;sys.path+=json.loads(sys.argv.pop(1));"
    "runpy.run_module('hlwasm.artifact.worker',run_name='__main__')"
)
_PACKAGE_PARENT = Path(hlwasm.__file__).resolve().parent.parent
# What a Python may need to start at all; nothing else is passed on.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH",)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the worker put into the output file: code, then description."""

    code_bytes: int
    description: str
    wasmtime: str
    native: str


class OutputFailed(Exception):
    """The worker could not write its output; ``errno`` says why."""

    def __init__(self, code: int) -> None:
        super().__init__(os.strerror(code))
        self.errno = code


def compile_source(
    source: bytes,
    output: int,
    options: CompileOptions,
    limits: CompileLimits,
    report: Callable[[Phase], None],
    *,
    only_describe: bool = False,
) -> Compiled:
    """Bridges and compiles ``source`` into the open file ``output``.

    Args:
        only_describe: do not compile; ``code_bytes`` is 0 then.
        report: called at each change of phase and at every tick.

    Raises:
        InvalidWasm, UnsupportedItem, CompileError: see there.
        OutputFailed: the output cannot be written, the disk is full for example.
    """
    report(Phase.STARTING)
    input_fd = memory_file("hlwasm-source", source)
    try:
        request = Request(
            parent=os.getpid(),
            input=input_fd,
            input_bytes=len(source),
            output=output,
            compile=not only_describe,
            fuel=options.fuel,
            transfer_bytes=options.transfer_bytes,
            memory_bytes=limits.memory_bytes,
            cpu_seconds=int(limits.seconds * _threads()) + 1,
            file_bytes=_OUTPUT_LIMIT,
        )
        answer = _run(request, limits, report)
    finally:
        os.close(input_fd)
    try:
        code_bytes, length = int(answer["code_bytes"]), int(answer["description_bytes"])
        description = os.pread(output, length, code_bytes) if 0 <= length < _OUTPUT_LIMIT else b""
        if len(description) != length:
            raise ValueError("description")
        return Compiled(
            code_bytes, description.decode(), str(answer["wasmtime"]), str(answer["native"])
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CompileError("the compiler's answer makes no sense") from error


def _threads() -> int:
    return max(1, min(len(os.sched_getaffinity(0)), _THREADS_MAX))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # Each thread of the compiler gets memory pools of its own: bounded on large machines.
    return {**kept, "RAYON_NUM_THREADS": str(_threads()), "MALLOC_ARENA_MAX": "4"}


def _start(request: Request, errors: int) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise CompileError("cannot start the compiler: this Python does not know its own path")
    # Without the current directory, from which this package may nevertheless come.
    path = [*filter(os.path.isabs, sys.path), str(_PACKAGE_PARENT)]
    command = [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(path)]
    try:
        return subprocess.Popen(
            [*command, json.dumps(asdict(request))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=(request.input, request.output),
            env=_environment(),
            # Not in the terminal's foreground group: Ctrl-C comes to the parent alone.
            start_new_session=True,
        )
    except OSError as error:
        raise CompileError(
            f"cannot start the compiler ({sys.executable}): {error.strerror}"
        ) from error


def _run(
    request: Request, limits: CompileLimits, report: Callable[[Phase], None]
) -> dict[str, Any]:
    errors = memory_file("hlwasm-stderr", b"")
    process = None
    try:
        process = _start(request, errors)
        assert process.stdout is not None
        answer = _listen(process.stdout, limits, report)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        # After this nothing writes to the output file any more.
        _end(process)
        return _result(answer, process.returncode, errors, limits)
    finally:
        if process is not None:
            _end(process)
        os.close(errors)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of the worker. Also on KeyboardInterrupt."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _listen(
    stdout: IO[bytes], limits: CompileLimits, report: Callable[[Phase], None]
) -> dict[str, Any] | None:
    """Reads messages until the last one; None where the worker ended without it."""
    deadline = time.monotonic() + limits.seconds
    phase, pending = Phase.STARTING, b""
    poll = select.poll()
    poll.register(stdout, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise CompileError(f"the compiler took more than {limits.seconds:g} seconds")
        if not poll.poll(min(_TICK_SECONDS, left) * 1000):
            report(phase)
            continue
        data = os.read(stdout.fileno(), 1 << 16)
        if not data:
            return None
        pending += data
        if len(pending) > _MESSAGE_LIMIT:
            raise CompileError("the compiler's answer makes no sense")
        *lines, pending = pending.split(b"\n")
        for line in lines:
            message = _parse(line)
            if "phase" not in message:
                return message
            phase = Phase.__members__.get(str(message["phase"]), phase)
            report(phase)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CompileError("the compiler's answer makes no sense") from error
    if not isinstance(message, dict):
        raise CompileError("the compiler's answer makes no sense")
    return message


def _result(
    answer: dict[str, Any] | None, code: int, errors: int, limits: CompileLimits
) -> dict[str, Any]:
    if answer is None:
        raise _crash(code, errors, limits)
    done = answer.get("done")
    if isinstance(done, dict):
        return done
    error = answer.get("error")
    if isinstance(error, dict):
        raise _error(error, limits)
    raise CompileError("the compiler's answer makes no sense")


def _error(error: dict[str, Any], limits: CompileLimits) -> Exception:
    # Names and text of the component are in the messages.
    kind, message = str(error.get("kind")), printable(str(error.get("message")))
    if kind == "OutputError" and isinstance(error.get("errno"), int):
        code = int(error["errno"])
        if code == errno.EFBIG:
            return CompileError("the compiled code is larger than 1 GiB")
        return OutputFailed(code)
    if kind == "MemoryError":
        return _out_of_memory(limits)
    if kind == UnsupportedItem.__name__:
        return UnsupportedItem(message, printable(str(error.get("item"))))
    known: dict[str, type[LoadError]] = {
        each.__name__: each for each in (InvalidWasm, ArtifactError)
    }
    return known.get(kind, CompileError)(message)


def _out_of_memory(limits: CompileLimits) -> CompileError:
    return CompileError(
        f"the compiler needs more than its limit of {limits.memory_bytes // MIB} MiB of memory"
    )


def _crash(code: int, errors: int, limits: CompileLimits) -> CompileError:
    """Why a worker ended without an answer."""
    size = os.fstat(errors).st_size
    text = os.pread(errors, 4096, max(0, size - 4096)).decode("utf-8", "replace")
    if "memory allocation of" in text or "MemoryError" in text or "out of memory" in text:
        return _out_of_memory(limits)
    if code == -signal.SIGXCPU:
        return CompileError(f"the compiler took more than {limits.seconds:g} seconds of CPU time")
    if code == -signal.SIGKILL:
        return CompileError(
            "the compiler was killed, perhaps because the machine ran out of memory"
        )
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    detail = "".join(c if c.isprintable() else " " for c in last.strip())[:300]
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        ended = f"the compiler crashed ({name})"
    else:
        ended = f"the compiler ended without a result (exit code {code})"
    return CompileError(f"{ended}: {detail}" if detail else ended)
