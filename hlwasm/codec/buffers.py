"""Lists of numbers as flat memory: which buffers fit, and casts between formats."""

from __future__ import annotations

import sys
from typing import Any

#: ``struct`` and ``memoryview`` format of the primitives that are plain numbers in memory.
NUMBER_FORMAT = {
    "u8": "B", "s8": "b", "u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q",
    "f32": "f", "f64": "d",
}  # fmt: skip

# Formats of equal meaning: C's int types overlap, and NumPy prefers "l" for 64 bits.
_CLASSES = {
    **dict.fromkeys("BHILQN", "u"),
    **dict.fromkeys("bhilqn", "s"),
    "e": "f", "f": "f", "d": "f", "?": "bool",
}  # fmt: skip

_WANTED = {
    "bool": ("bool", 1),
    **{name: (name[0], int(name[1:]) // 8) for name in NUMBER_FORMAT},
}

_NATIVE_ORDER = "<" if sys.byteorder == "little" else ">"


def matching_buffer(element: str, value: Any) -> memoryview | None:
    """A flat byte view of ``value`` if it is a buffer that holds such elements.

    For ``u8`` the bytes of any buffer match; for other numbers a one-dimensional one of the
    same signedness and size. Elements that do not lie side by side are copied. Returns None for
    everything else (other sizes, big-endian, a scalar), so that the caller takes the elements
    one by one.
    """
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        # No buffer, or one that cannot be exported: NumPy has no format for dates.
        return None
    if view.ndim == 0:
        return None
    if element != "u8":
        code = view.format
        if code[:1] in ("@", "=", _NATIVE_ORDER):
            code = code[1:]
        if view.ndim != 1 or (_CLASSES.get(code), view.itemsize) != _WANTED[element]:
            return None
    if view.nbytes == 0:
        # A view with a zero in its shape cannot be cast.
        return memoryview(b"")
    if not view.c_contiguous:
        return memoryview(view.tobytes())
    return view.cast("B")
