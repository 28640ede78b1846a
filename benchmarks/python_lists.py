"""The least that a Python list can cost a codec: ``python_lists.c``, built and called."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).with_suffix(".c")


@cache
def _library() -> ctypes.PyDLL:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "python_lists.so"
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(target), str(_SOURCE)]
        subprocess.run([sys.executable, "-m", "ziglang", *command], check=True)
        # With the GIL held, as the C API wants.
        return ctypes.PyDLL(str(target))


def echo(kind: str, values: list[Any]) -> Callable[[], object]:
    """What reads a list of ``s32``, ``f64`` or ``string`` into memory, and makes it again."""
    function = _library()[f"echo_{kind}"]
    function.argtypes, function.restype = [ctypes.py_object, ctypes.c_void_p], ctypes.py_object
    memory = ctypes.create_string_buffer(1 << 16)
    call: Callable[[], object] = partial(function, values, memory)
    if call() != values:
        raise AssertionError(f"{kind}: does not echo")
    return call
