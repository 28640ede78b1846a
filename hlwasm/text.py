"""Text for people: sizes, times, and text that comes from a component."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB")


def printable(text: str) -> str:
    """Without what acts on a terminal; new lines and tabs stay.

    Names, documentation and messages of a component are its author's.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def cut_off(text: str, length: int = 300) -> str:
    """Printable, and without what is beyond a length, with a sign of it."""
    return printable(text if len(text) <= length else f"{text[:length]}…")


def size_text(size: int) -> str:
    """A size in the largest fitting unit: ``17.5 MiB``."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size} bytes" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def milliseconds(seconds: float) -> str:
    """A time in milliseconds: ``12.3 ms``."""
    return f"{seconds * 1e3:.1f} ms"


def count_text(count: int, thing: str) -> str:
    """``1 entry``, ``2 entries``."""
    if count == 1:
        return f"1 {thing}"
    consonant_y = thing.endswith("y") and thing[-2] not in "aeiou"
    plural = f"{thing[:-1]}ies" if consonant_y else f"{thing}s"
    return f"{count} {plural}"
