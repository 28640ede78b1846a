"""Python values to the scalars that a type takes, or an error with their path."""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterator
from typing import Any

from hlwasm.codec.checks import (
    INTEGER_RANGE,
    Path,
    out_of_range,
    short,
    wrong_type,
    wrong_value,
)

# Characters that are encoded at a time.
_PIECE = 1 << 14


def to_bool(value: Any, path: Path) -> bool:
    """Accepts bool, and NumPy's by its type name."""
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool_", "bool") and type(value).__module__ == "numpy":
        return bool(value)
    raise wrong_type(path, "bool", value)


def to_integer(name: str, value: Any, path: Path) -> int:
    """Accepts what has ``__index__``, bool excepted."""
    if isinstance(value, bool):
        raise wrong_type(path, name, value)
    try:
        number = operator.index(value)
    except TypeError:
        raise wrong_type(path, name, value) from None
    low, high = INTEGER_RANGE[name]
    if not low <= number <= high:
        raise out_of_range(path, name, number)
    return number


def to_float(name: str, value: Any, path: Path) -> float:
    """Accepts numbers that convert to float; a finite value must stay finite."""
    convertible = hasattr(value, "__float__") or hasattr(value, "__index__")
    if isinstance(value, bool) or not convertible or _is_numpy_other(value):
        raise wrong_type(path, name, value)
    try:
        number = float(value)
        if name == "f32":
            struct.pack("<f", number)
    except OverflowError:
        raise wrong_value(path, f"{short(value)} does not fit {name}") from None
    return number


def _is_numpy_other(value: Any) -> bool:
    """NumPy makes floats of truth values, of complex numbers, whose imaginary part it drops,
    and of arrays of one element.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    return kind not in "fiu" or getattr(value, "ndim", 0) != 0


def to_char(value: Any, path: Path) -> int:
    """Accepts a string of one character that is no surrogate."""
    if not isinstance(value, str):
        raise wrong_type(path, "char (a str of length 1)", value)
    if len(value) != 1:
        raise wrong_value(path, f"expected one character for char, got {short(value)}")
    code = ord(value)
    if 0xD800 <= code < 0xE000:
        raise wrong_value(path, f"{short(value)} is a surrogate, not a char")
    return code


def encode_string(value: Any, path: Path) -> Iterator[bytes]:
    """UTF-8 of a string without surrogates, in pieces: a long one is never there as a whole."""
    if not isinstance(value, str):
        raise wrong_type(path, "string", value)
    for start in range(0, len(value), _PIECE):
        try:
            yield value[start : start + _PIECE].encode()
        except UnicodeEncodeError as error:
            at = start + error.start
            raise wrong_value(path, f"the string has a surrogate at {at}") from None
