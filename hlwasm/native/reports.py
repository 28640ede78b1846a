"""Reports of the guest: text with frame lines → message and backtrace.

The format is the one of ``host_guest_abi::status``. The text comes from the guest, so
a line that does not fit is dropped, never an error.
"""

from __future__ import annotations

from hlwasm.errors import Frame, TrapCode
from hlwasm.native import _abi
from hlwasm.text import printable

_SEPARATOR = "\x1f"
_MESSAGE_LIMIT = 4000
_NAME_LIMIT = 300
_FRAMES_LIMIT = 64

#: Which limit a ``STATUS_LIMIT`` is about: code → field of ``Limits``.
LIMIT_NAMES: dict[int, str] = {
    getattr(_abi, f"LIMIT_{name.upper()}"): name
    for name in ("memory", "memories", "gc_heap", "table_elements", "runtime_memory")
}

TRAP_CODES: dict[int, TrapCode] = {getattr(_abi, f"TRAP_{code.name}"): code for code in TrapCode}


def _printable(text: str, limit: int) -> str:
    """Cut, and without control characters: a guest must not write to the user's terminal."""
    return printable(text[:limit] + ("…" if len(text) > limit else ""))


def parse_frame(line: str) -> Frame | None:
    """One frame line, without its leading separator."""
    parts = line.split(_SEPARATOR)
    if len(parts) != 4:
        return None
    try:
        index, offset = int(parts[0]), int(parts[1], 16)
    except ValueError:
        return None
    return Frame(
        index, offset, _printable(parts[2], _NAME_LIMIT), _printable(parts[3], _NAME_LIMIT)
    )


def parse_report(text: str) -> tuple[str, tuple[Frame, ...]]:
    """Splits a report into its message (one line) and its frames, innermost first."""
    message: list[str] = []
    frames: list[Frame] = []
    for line in text.split("\n"):
        if line.startswith(_SEPARATOR):
            frame = parse_frame(line[1:])
            if frame is not None and len(frames) < _FRAMES_LIMIT:
                frames.append(frame)
        elif line.strip():
            message.append(line.strip())
    return _printable(": ".join(message), _MESSAGE_LIMIT), tuple(frames)
