"""Errors of lowering and lifting, with the path to the value that is wrong."""

from __future__ import annotations

import reprlib
from typing import Any, TypeAlias

from hlwasm.errors import GuestDataError, TransferLimitExceeded, WitTypeError, WitValueError

#: Where a value is: the root text, or the parent's path and one step, which is an index
#: or text. Rendered only when something is wrong.
Path: TypeAlias = "str | tuple[Path, int | str]"

_INTEGERS = {f"{sign}{bits}": (sign == "s", bits) for sign in "us" for bits in (8, 16, 32, 64)}

#: Smallest and largest value of each integer type.
INTEGER_RANGE: dict[str, tuple[int, int]] = {
    name: (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for name, (signed, bits) in _INTEGERS.items()
}

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60
_repr.maxlong = 40


def render(path: Path) -> str:
    """``ops.draw: parameter shape.points[3].x`` of a path."""
    steps: list[str] = []
    while not isinstance(path, str):
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return path + "".join(reversed(steps))


def short(value: object) -> str:
    """A repr of bounded length."""
    try:
        return _repr.repr(value)
    except Exception:  # a value's own repr must not hide what is wrong with it
        return f"<{type(value).__name__}>"


def wrong_type(path: Path, expected: str, value: object) -> WitTypeError:
    """The value is of a Python type that does not fit."""
    where = render(path)
    return WitTypeError(f"{where}: expected {expected}, got {_kind(value)}", where)


def out_of_range(path: Path, name: str, value: int) -> WitValueError:
    """An integer does not fit its type."""
    low, high = INTEGER_RANGE[name]
    return wrong_value(path, f"{short(value)} does not fit {name} ({low} to {high})")


def wrong_value(path: Path, problem: str) -> WitValueError:
    """The value is of the right type but does not fit; ``problem`` says why."""
    where = render(path)
    return WitValueError(f"{where}: {problem}", where)


def bad_guest_data(path: Path, problem: str) -> GuestDataError:
    """The guest's bytes are no valid value."""
    return GuestDataError(f"{render(path)}: {problem}")


def memory_full(path: Path, size: int) -> TransferLimitExceeded:
    """Lowered values do not fit the transfer memory of ``size`` bytes."""
    return TransferLimitExceeded(
        f"{render(path)}: the values do not fit the transfer memory of {size} bytes: "
        f"pass a larger transfer_memory=… to hlwasm.load",
        "transfer_memory",
        size,
    )


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    text = type(value).__name__
    if isinstance(value, (bool, int, float, str)):
        return f"{text} {short(value)}"
    return text
