"""The compiler's process: ``python -m hlwasm.artifact.worker``, started by compiler.py.

It sees untrusted input, so it runs apart, with limits, and hands back nothing but
bytes in a file and lines of JSON::

    argument   JSON: Request
    input      descriptor with the source
    output     descriptor that takes the code and, behind it, the description
    stdout     one JSON object per line:
               {"phase": "BRIDGING"} …, then one of
               {"done": {"code_bytes", "description_bytes", "wasmtime", "native"}}
               {"error": {"kind", "message", "item"}}
    stderr     whatever a crash says
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from hlwasm.artifact.confinement import die_with_parent, limit_resources
from hlwasm.errors import CompileError, HlwasmError, LoadError, UnsupportedItem


@dataclass(frozen=True, slots=True)
class Request:
    """What the parent asks for; descriptors by number.

    Without ``compile`` the output is the description alone.
    """

    parent: int
    input: int
    input_bytes: int
    output: int
    compile: bool
    fuel: bool
    transfer_bytes: int
    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


def _say(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _read(fd: int, length: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return file.read(length)


def _write(fd: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


def _wasmtime() -> str:
    try:
        from hlwasm.artifact.engine import check_wasmtime
    except ImportError as error:
        raise CompileError(f"the compiler is not installed: {error}") from error
    return check_wasmtime()


def work(request: Request) -> None:
    """Bridges and compiles the input; the result is in the output file and on stdout."""
    from hlwasm.native.library import bridge, native_version

    # First, because a wrong compiler is worth saying before anything about the input.
    wasmtime = _wasmtime() if request.compile else ""
    source = _read(request.input, request.input_bytes)
    _say(phase="BRIDGING")
    component, description = bridge(source, request.transfer_bytes)
    del source
    code_bytes = 0
    if request.compile:
        from hlwasm.artifact.engine import compile_component

        _say(phase="COMPILING")
        code_bytes = compile_component(component, fuel=request.fuel, output=request.output)
    text = description.encode()
    _write(request.output, text, code_bytes)
    _say(
        done={
            "code_bytes": code_bytes,
            "description_bytes": len(text),
            "wasmtime": wasmtime,
            "native": native_version(),
        }
    )


def main(argument: str) -> int:
    """Runs one request; returns the process's exit code."""
    request = Request(**json.loads(argument))
    die_with_parent(request.parent)
    limit_resources(
        memory_bytes=request.memory_bytes,
        cpu_seconds=request.cpu_seconds,
        file_bytes=request.file_bytes,
    )
    try:
        work(request)
    except MemoryError:
        _say(error={"kind": "MemoryError", "message": "", "item": ""})
    except OSError as error:
        _say(error={"kind": "OSError", "message": str(error), "item": "", "errno": error.errno})
    except (LoadError, HlwasmError) as error:
        kind = type(error).__name__ if isinstance(error, LoadError) else CompileError.__name__
        item = error.item if isinstance(error, UnsupportedItem) else ""
        _say(error={"kind": kind, "message": str(error), "item": item})
    else:
        return 0
    return 1


if __name__ == "__main__":
    # Without the interpreter's tear-down, which would free gigabytes piece by piece.
    os._exit(main(sys.argv[1]))
