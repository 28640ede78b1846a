"""Strategies for the values of primitive types, in which edge values are likely."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from hlwasm.codec.checks import INTEGER_RANGE, short
from hlwasm.testing.constants import Constants, check_constants
from hlwasm.testing.hypothesis_extra import hypothesis

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from hlwasm.wit.model import Description

st = hypothesis.strategies

_NAMES = ("bool", "char", "string", "f32", "f64", *INTEGER_RANGE)
_LONGEST_STRING = 24
# What may follow a text of the code.
_LONGEST_REST = 4

# No surrogates: they are no Unicode scalar values.
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_EDGE_CHARACTERS = st.sampled_from(
    "\0\n\"\\'\x7f\x80ßЖ\u0301\u202e\ud7ff\ue000\ufeff\uffff😀\U0010ffff"
)
# Several, as Hypothesis takes what it needs not choose for simpler than all else.
_EDGE_BYTES = st.sampled_from([b"", bytes(range(256))])
_EDGE_FLOATS = [0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan")]
_F32_EDGES = [2.0**-149, 2.0**-126, (2 - 2.0**-23) * 2.0**127, 16777217.0 - 1]
_F64_EDGES = [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740992.0, 0.1]


class Primitives:
    """The strategies of primitive types, by their WIT names, and of ``bytes``.

    Args:
        constants: values that are likely, too.
        allow_nan: whether floats may be NaN.

    Raises:
        TypeError: ``constants`` are none.
    """

    def __init__(self, constants: Constants | None = None, allow_nan: bool = True) -> None:
        check_constants(constants)
        self._constants = Constants() if constants is None else constants
        self._allow_nan = allow_nan
        self._made: dict[str, SearchStrategy[Any]] = {}

    def of(self, name: str) -> SearchStrategy[Any]:
        """The strategy of a type, or of ``bytes``."""
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._make(name)
        return found

    def _make(self, name: str) -> SearchStrategy[Any]:
        plain = _plain(name)
        if not self._allow_nan and name in ("f32", "f64"):
            plain = plain.filter(lambda value: value == value)
        groups = [st.sampled_from(group) for group in self._constants.of_type(name)]
        if not groups:
            return plain
        if name in ("string", "bytes"):
            rest = st.text(_CHARACTERS, max_size=_LONGEST_REST)
            tail = rest if name == "string" else rest.map(str.encode)
            groups.append(st.tuples(groups[0], tail).map(lambda pair: pair[0] + pair[1]))
        # One choice beside the plain ones, however many groups there are.
        return plain | st.integers(0, len(groups) - 1).flatmap(groups.__getitem__)


@cache
def _plain(name: str) -> SearchStrategy[Any]:
    if name == "bool":
        return st.booleans()
    if name == "char":
        return _CHARACTERS | _EDGE_CHARACTERS
    if name == "string":
        text = st.text(_CHARACTERS | _EDGE_CHARACTERS, max_size=_LONGEST_STRING)
        # Longer than buffers that were thought to be large enough.
        return text | st.sampled_from(["", " ", "\0", "0", "-1", "a" * 256, "😀" * 1025])
    if name == "bytes":
        return st.binary(max_size=_LONGEST_STRING) | _EDGE_BYTES
    if name == "f32":
        return st.floats(width=32) | st.sampled_from(_EDGE_FLOATS + _F32_EDGES)
    if name == "f64":
        return st.floats() | st.sampled_from(_EDGE_FLOATS + _F64_EDGES)
    low, high = INTEGER_RANGE[name]
    edges = {low, low + 1, -1, 0, 1, 2, 10, high - 1, high}
    for bits in (7, 8, 15, 16, 31, 32, 63):
        edges |= {(1 << bits) - 1, 1 << bits}
    fitting = sorted((each for each in edges if low <= each <= high), key=abs)
    return st.integers(low, high) | st.sampled_from(fitting)


def check_type(description: Description, type_: object) -> None:
    """Refuses what is neither the name of a primitive type nor the index of another.

    Raises:
        TypeError, ValueError: see above.
    """
    how = "types of the component are given by their index, as in function.params[0].type"
    if isinstance(type_, str):
        if type_ in _NAMES:
            return
        found = (each.index for each in description.types if each.name == type_)
        index = next(found, None)
        if index is not None:
            raise ValueError(f"{type_!r} is type {index} of the component: {how}")
        close = get_close_matches(type_, _NAMES, n=1)
        meant = f": did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"there is no primitive type {type_!r}{meant}; there are {', '.join(_NAMES)}; {how}"
        )
    if type(type_) is not int:
        raise TypeError(f"expected the name of a primitive type, not {short(type_)}; {how}")
    if not 0 <= type_ < len(description.types):
        raise ValueError(f"there is no type {type_}: the component has {len(description.types)}")
