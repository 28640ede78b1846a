"""Simpler data of the same type, to shrink what makes a test fail.

Hypothesis shrinks what it drew, which is not what is wanted of a whole sequence of calls with
the answers that its host calls got: a bug that needs a number above 1,000 and was found by an
edge value would stay at the edge. This knows the types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from hlwasm.testing.scripts.data import Case, Data, Handle
from hlwasm.testing.scripts.steps import fake_handle
from hlwasm.wit import model
from hlwasm.wit.model import Description, TypeRef

# Of lists and strings as many parts are tried one by one.
_PARTS = 64
# Of integers that floats are converted to.
_LIMITS = [2.0**bits for bits in (31, 32, 53, 63, 64)]


def simplest(description: Description, ref: TypeRef | None) -> Data:
    """The plainest data of a type; a resource is a new one of the host's.

    Raises:
        RecursionError: the type is nested too deeply.
    """
    if ref is None:
        return None
    if isinstance(ref, str):
        return {"bool": False, "char": "a", "string": "", "f32": 0.0, "f64": 0.0}.get(ref, 0)
    type_ = description.types[ref]
    if isinstance(type_, model.Record):
        return {each.name: simplest(description, each.type) for each in type_.fields}
    if isinstance(type_, model.Tuple):
        return tuple([simplest(description, each) for each in type_.types])
    if isinstance(type_, model.List):
        return b"" if type_.element == "u8" else []
    if isinstance(type_, model.Option):
        return Case("none")
    if isinstance(type_, model.Result):
        return Case("ok", simplest(description, type_.ok))
    if isinstance(type_, model.Variant):
        return Case(type_.cases[0].name, simplest(description, type_.cases[0].type))
    if isinstance(type_, model.Enum):
        return Case(type_.cases[0].name)
    if isinstance(type_, model.Flags):
        return frozenset()
    return fake_handle(description, getattr(type_, "resource", type_.index))


def simpler(description: Description, ref: TypeRef | None, data: Data) -> Iterator[Data]:
    """Data that are simpler than this, the simplest first."""
    if ref is None or isinstance(data, Handle):
        return
    if isinstance(ref, str):
        yield from _primitives(ref, data)
        return
    type_ = description.types[ref]
    if isinstance(type_, model.Record):
        for each in type_.fields:
            for value in simpler(description, each.type, data[each.name]):
                yield {**data, each.name: value}
    elif isinstance(type_, model.Tuple):
        for index, part in enumerate(type_.types):
            for value in simpler(description, part, data[index]):
                yield (*data[:index], value, *data[index + 1 :])
    elif isinstance(type_, model.List):
        yield from _lists(description, type_.element, data)
    elif isinstance(type_, model.Flags):
        if data:
            yield frozenset()
            if len(data) > 1:
                for name in sorted(data):
                    yield data - {name}
    elif isinstance(type_, model.Option):
        if data.name == "some":
            yield Case("none")
            for value in simpler(description, type_.some, data.payload):
                yield Case("some", value)
    elif isinstance(type_, model.Result):
        yield from _cases(description, [("ok", type_.ok), ("err", type_.err)], data)
    elif isinstance(type_, model.Variant):
        yield from _cases(description, [(each.name, each.type) for each in type_.cases], data)
    elif isinstance(type_, model.Enum):
        yield from _cases(description, [(each.name, None) for each in type_.cases], data)


def _cases(
    description: Description, cases: Sequence[tuple[str, TypeRef | None]], data: Case
) -> Iterator[Case]:
    for name, payload in cases:
        if name == data.name:
            for value in simpler(description, payload, data.payload):
                yield Case(name, value)
            return
        if payload is None or not _is_handle(description, payload):
            yield Case(name, simplest(description, payload))


def _is_handle(description: Description, ref: TypeRef) -> bool:
    return isinstance(ref, int) and isinstance(description.types[ref], model.Own)


def _lists(description: Description, element: TypeRef, data: Any) -> Iterator[Any]:
    yield from _shorter(data)
    if element == "u8":
        for index, byte in enumerate(data[:_PARTS]):
            for smaller in _integers(byte):
                yield data[:index] + bytes([smaller]) + data[index + 1 :]
        return
    for index, part in enumerate(data[:_PARTS]):
        for value in simpler(description, element, part):
            yield [*data[:index], value, *data[index + 1 :]]


def _shorter(data: Any) -> Iterator[Any]:
    """Empty, the halves, and without one part."""
    if not data:
        return
    yield data[:0]
    half = len(data) // 2
    if half:
        yield data[:half]
        yield data[half:]
    if len(data) > 1:
        for index in range(min(len(data), _PARTS)):
            yield data[:index] + data[index + 1 :]


def _primitives(name: str, data: Any) -> Iterator[Any]:
    if name == "bool":
        if data:
            yield False
    elif name == "string":
        yield from _shorter(data)
        for index, character in enumerate(data[:_PARTS]):
            for simple in _characters(character):
                yield data[:index] + simple + data[index + 1 :]
    elif name == "char":
        yield from _characters(data)
    elif name in ("f32", "f64"):
        yield from _floats(data)
    else:
        yield from _integers(data)


def _characters(character: str) -> Iterator[str]:
    order = "a0 "
    at = order.find(character)
    yield from order if at < 0 else order[:at]


def _integers(number: int) -> Iterator[int]:
    """Towards 0, by ever smaller steps."""
    if number < 0 and number != -(1 << abs(number).bit_length() - 1):
        # The limits of types have no positive counterpart.
        yield -number
    step = number
    while step:
        yield number - step
        step = abs(step) // 2 * (1 if number > 0 else -1)


def _floats(number: float) -> Iterator[float]:
    if number == 0 and math.copysign(1, number) > 0:
        return
    yield 0.0
    if not math.isfinite(number):
        if number < 0:
            yield -number
        yield from (1.0, -1.0)
        return
    if number < 0:
        yield -number
    whole = math.trunc(number)
    if whole != number:
        yield float(whole)
    elif abs(whole) < 1 << 53:
        for smaller in _integers(whole):
            yield float(smaller)
    else:
        yield from (limit for limit in _LIMITS if limit < number)
        yield number / 2
