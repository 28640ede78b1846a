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

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hlwasm.artifact.confinement import close_doors, die_with_parent, limit_resources
from hlwasm.artifact.files import write_at
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


class _OutputError(Exception):
    """The output cannot be written, which is nothing about the input."""


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OutputError from error


def work(request: Request) -> None:
    """Bridges and compiles the input; the result is in the output file and on stdout."""
    # All imports first: later there are no files to import from.
    from hlwasm.native.library import bridge, load_library, native_version

    load_library()
    wasmtime = ""
    if request.compile:
        try:
            from hlwasm.artifact.engine import check_wasmtime, compile_component
        except ImportError as error:
            raise CompileError(f"the compiler is not installed: {error}") from error
        wasmtime = check_wasmtime()
    close_doors()
    source = _read(request.input, request.input_bytes)
    _say(phase="BRIDGING")
    component, description = bridge(source, request.transfer_bytes)
    del source
    text, code_bytes = description.encode(), 0
    with _writing():
        if request.compile:
            _say(phase="COMPILING")
            code_bytes = compile_component(component, fuel=request.fuel, output=request.output)
        write_at(request.output, text, code_bytes)
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
    except _OutputError as error:
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        _say(error={"kind": "OutputError", "message": str(cause), "item": "", "errno": number})
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
