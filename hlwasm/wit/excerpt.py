"""A line of text with a mark under the place that a message is about."""

from __future__ import annotations

_WIDEST = 76


def excerpt(line: str, column: int, width: int = 1) -> str:
    """Two lines: as much of ``line`` as fits, and carets under the place.

    Args:
        line: without its end; what would act on a terminal is replaced.
        column: of the first character that is meant, from 1.
        width: how many are meant.
    """
    line = "".join([c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line])
    start = max(0, min(column - 1 - _WIDEST // 2, len(line) - _WIDEST))
    shown = line[start : start + _WIDEST]
    before = column - 1 - start
    carets = "^" * max(1, min(width, len(shown) - before))
    return f"  {shown}\n  {' ' * before}{carets}"
