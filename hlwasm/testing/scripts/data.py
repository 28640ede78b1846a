"""Values of WIT types as plain data: the same for each component, engine and process.

A record of one component and the same record of another are values of two Python classes,
and resources belong to one sandbox. What is generated, replayed and compared is therefore:

====================  ====================================================
WIT                   data
====================  ====================================================
bool, numbers         bool, int, float
char, string          str
list                  list; ``list<u8>`` is bytes
record                dict, by WIT name
tuple                 tuple
variant, enum         :class:`Case`
option                ``Case("none")``, ``Case("some", payload)``
result                ``Case("ok", payload)``, ``Case("err", payload)``
flags                 frozenset of WIT names
resource              :class:`Handle`
====================  ====================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from hlwasm.errors import Err
from hlwasm.wit import model
from hlwasm.wit.model import Description, Function, TypeRef
from hlwasm.wit.names import snake_case, upper_camel_case
from hlwasm.wit.python_types import python_types
from hlwasm.wit.values import Ok, Some

#: See the table of this module.
Data: TypeAlias = Any


@dataclass(frozen=True)
class Handle:
    """A resource, by a name that it has within a script."""

    name: str


@dataclass(frozen=True)
class Case:
    """A case of a variant, enum, option or result; ``payload`` is None where it has none."""

    name: str
    payload: Data = None


#: Names the resource of this type (its index) that is in a value.
NameOf: TypeAlias = Callable[[int, Any], Handle]
#: Gives the resource of this type that a handle stands for.
Resolve: TypeAlias = Callable[[int, Handle], Any]


def keep(_: int, resource: Any) -> Any:
    """Leaves handles as they are, both ways."""
    return resource


def to_data(
    description: Description, ref: TypeRef | None, value: Any, name_of: NameOf = keep
) -> Data:
    """The data of a value as codecs lift it."""
    if ref is None or isinstance(ref, str):
        return value
    type_ = description.types[ref]

    def of(inner: TypeRef | None, value: Any) -> Data:
        return to_data(description, inner, value, name_of)

    if isinstance(type_, model.Record):
        return {f.name: of(f.type, getattr(value, snake_case(f.name))) for f in type_.fields}
    if isinstance(type_, model.Tuple):
        return tuple([of(*each) for each in zip(type_.types, value, strict=True)])
    if isinstance(type_, model.List):
        if type_.element == "u8":
            return bytes(value)
        if isinstance(type_.element, str):
            # Lists of numbers can be arrays, whose elements are of types of their own.
            return value.tolist() if hasattr(value, "tolist") else list(value)
        return [of(type_.element, each) for each in value]
    if isinstance(type_, model.Option):
        if value is None:
            return Case("none")
        nested = python_types(description).is_option(type_.some)
        return Case("some", of(type_.some, value.value if nested else value))
    if isinstance(type_, model.Result):
        if isinstance(value, Err):
            return Case("err", of(type_.err, value.value))
        return Case("ok", of(type_.ok, value.value))
    if isinstance(type_, model.Variant):
        payload = next(each.type for each in type_.cases if each.name == value.wit_case)
        return Case(value.wit_case, None if payload is None else of(payload, value.value))
    if isinstance(type_, model.Enum):
        return Case(value.value)
    if isinstance(type_, model.Flags):
        return frozenset(f.name for i, f in enumerate(type_.flags) if value.value >> i & 1)
    assert isinstance(type_, (model.Own, model.Borrow))
    return name_of(type_.resource, value)


def from_data(
    description: Description, ref: TypeRef | None, data: Data, resolve: Resolve = keep
) -> Any:
    """The value that a codec lowers; the inverse of :func:`to_data`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the data is of another type.
    """
    if ref is None or isinstance(ref, str):
        return data
    type_ = description.types[ref]

    def of(inner: TypeRef | None, data: Data) -> Any:
        return from_data(description, inner, data, resolve)

    if isinstance(type_, model.Record):
        values = [of(each.type, data[each.name]) for each in type_.fields]
        return description.python_type(ref)(*values)
    if isinstance(type_, model.Tuple):
        return tuple([of(*each) for each in zip(type_.types, data, strict=True)])
    if isinstance(type_, model.List):
        return data if type_.element == "u8" else [of(type_.element, each) for each in data]
    if isinstance(type_, model.Option):
        if _checked(data, "none", "some") == "none":
            return None
        payload = of(type_.some, data.payload)
        return Some(payload) if python_types(description).is_option(type_.some) else payload
    if isinstance(type_, model.Result):
        if _checked(data, "ok", "err") == "err":
            return Err(of(type_.err, data.payload))
        return Ok(of(type_.ok, data.payload))
    if isinstance(type_, model.Variant):
        case = next(each for each in type_.cases if each.name == data.name)
        cls = getattr(description.python_type(ref), upper_camel_case(case.name))
        return cls() if case.type is None else cls(of(case.type, data.payload))
    if isinstance(type_, model.Enum):
        return description.python_type(ref)(data.name)
    if isinstance(type_, model.Flags):
        bits = sum(1 << i for i, each in enumerate(type_.flags) if each.name in data)
        return description.python_type(ref).from_bits(bits)
    assert isinstance(type_, (model.Own, model.Borrow))
    return resolve(type_.resource, data)


def _checked(data: Case, *names: str) -> str:
    if data.name not in names:
        raise ValueError(f"{data.name} is none of {', '.join(names)}")
    return data.name


def is_fallible(function: Function) -> bool:
    """Whether the function returns a ``result``, whose error arm Python raises."""
    ref = function.result
    return isinstance(ref, int) and isinstance(function.description.types[ref], model.Result)


class Difference(NamedTuple):
    """Where two values differ first, and what is there; ``path`` is empty for the whole."""

    path: str
    left: Data
    right: Data


def first_difference(left: Data, right: Data, path: str = "") -> Difference | None:
    """Where two data differ first, None where they are the same. NaN is the same as NaN,
    and 0.0 is not the same as -0.0.
    """
    if type(left) is not type(right):
        return Difference(path, left, right)
    if isinstance(left, float):
        same = left == right and math.copysign(1, left) == math.copysign(1, right)
        return None if same or (left != left and right != right) else Difference(path, left, right)
    if isinstance(left, Case):
        if left.name != right.name:
            return Difference(path, left, right)
        return first_difference(left.payload, right.payload, f"{path}.{left.name}")
    parts: list[tuple[str, Data, Data]]
    if isinstance(left, dict):
        if left.keys() != right.keys():
            return Difference(path, left, right)
        parts = [(f"{path}.{key}", value, right[key]) for key, value in left.items()]
    elif isinstance(left, (list, tuple)):
        if len(left) != len(right):
            return Difference(path, left, right)
        parts = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(left, right, strict=True))]
    else:
        return None if left == right else Difference(path, left, right)
    for part in parts:
        found = first_difference(part[1], part[2], part[0])
        if found is not None:
            return found
    return None
