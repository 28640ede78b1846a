"""Data as the Python values that wasmtime-py takes and returns, and back.

wasmtime-py leaves the tag of a variant, option or result away where it can tell the cases
apart by the Python classes of their values; so this works out the same classes. Back, nothing
is lost by that. On the way there it can take the first case whose class fits (``true`` is an
``int``, too), and such values are refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wasmtime.component import Record as WasmtimeRecord
from wasmtime.component import ResourceAny, ResourceHost, Variant

from hlwasm.testing.scripts.data import Case, Data, Handle
from hlwasm.wit import model
from hlwasm.wit.model import Description, TypeRef

_PRIMITIVES: dict[str, type] = {
    "bool": bool, "f32": float, "f64": float, "char": str, "string": str,
}  # fmt: skip


class NotComparable(Exception):
    """wasmtime-py cannot be given this value."""


Cases = Sequence[tuple[str, "TypeRef | None"]]


class WasmtimeValues:
    """Converts values of one description's types."""

    def __init__(self, description: Description) -> None:
        self._types = description.types
        self._known: dict[TypeRef | None, frozenset[type]] = {}

    def to_wasmtime(
        self, ref: TypeRef | None, data: Data, resolve: Callable[[int, Handle], Any]
    ) -> Any:
        """What wasmtime-py takes.

        Raises:
            NotComparable: it would take it for something else.
        """
        if ref is None or isinstance(ref, str):
            return data
        type_ = self._types[ref]

        def of(ref: TypeRef | None, data: Data) -> Any:
            return self.to_wasmtime(ref, data, resolve)

        if isinstance(type_, model.Record):
            record = WasmtimeRecord()
            for each in type_.fields:
                setattr(record, each.name, of(each.type, data[each.name]))
            return record
        if isinstance(type_, model.Tuple):
            return tuple([of(*each) for each in zip(type_.types, data, strict=True)])
        if isinstance(type_, model.List):
            return data if type_.element == "u8" else [of(type_.element, each) for each in data]
        if isinstance(type_, model.Enum):
            return data.name
        if isinstance(type_, model.Flags):
            return set(data)
        if isinstance(type_, (model.Own, model.Borrow)):
            return resolve(type_.resource, data)
        cases = _cases(type_)
        payload = dict(cases)[data.name]
        value = None if payload is None else of(payload, data.payload)
        if self._is_tagged(cases):
            return Variant(data.name, value)
        if self._taken_for(cases, value) != data.name:
            raise NotComparable(f"wasmtime-py takes {value!r} for another case than {data.name}")
        return value

    def _taken_for(self, cases: Cases, value: Any) -> str | None:
        """The case that wasmtime-py takes an untagged value for."""
        for name, payload in cases:
            if payload is None:
                if value is None:
                    return name
            elif isinstance(value, tuple(self._classes(payload))):
                return name
        return None

    def from_wasmtime(
        self, ref: TypeRef | None, value: Any, name_of: Callable[[int, ResourceAny], Handle]
    ) -> Data:
        """The data of what wasmtime-py returned."""
        if ref is None or isinstance(ref, str):
            return value
        type_ = self._types[ref]

        def of(ref: TypeRef | None, value: Any) -> Data:
            return self.from_wasmtime(ref, value, name_of)

        if isinstance(type_, model.Record):
            return {each.name: of(each.type, getattr(value, each.name)) for each in type_.fields}
        if isinstance(type_, model.Tuple):
            return tuple([of(*each) for each in zip(type_.types, value, strict=True)])
        if isinstance(type_, model.List):
            return value if type_.element == "u8" else [of(type_.element, each) for each in value]
        if isinstance(type_, model.Enum):
            return Case(value)
        if isinstance(type_, model.Flags):
            return frozenset(value)
        if isinstance(type_, (model.Own, model.Borrow)):
            return name_of(type_.resource, value)
        cases = _cases(type_)
        if self._is_tagged(cases):
            payload = dict(cases)[value.tag]
            return Case(value.tag, None if payload is None else of(payload, value.payload))
        for name, payload in cases:
            if payload is None:
                if value is None:
                    return Case(name)
            elif self._can_be(payload, value):
                return Case(name, of(payload, value))
        raise NotComparable(f"wasmtime-py returned {value!r}, which is of no case")

    def _can_be(self, ref: TypeRef, value: Any) -> bool:
        classes = self._classes(ref)
        return (value is None and object in classes) or type(value) in classes

    def _is_tagged(self, cases: Cases) -> bool:
        """Whether values of these cases are not told apart by their classes."""
        seen: set[type] = set()
        for _, payload in cases:
            classes = frozenset([object]) if payload is None else self._classes(payload)
            if classes & seen:
                return True
            seen |= classes
        return False

    def _classes(self, ref: TypeRef) -> frozenset[type]:
        """The classes of a type's values, as wasmtime-py counts them."""
        found = self._known.get(ref)
        if found is None:
            found = self._known[ref] = frozenset(self._find_classes(ref))
        return found

    def _find_classes(self, ref: TypeRef) -> set[type]:
        if isinstance(ref, str):
            return {_PRIMITIVES.get(ref, int)}
        type_ = self._types[ref]
        if isinstance(type_, model.Record):
            return {WasmtimeRecord}
        if isinstance(type_, model.Tuple):
            return {tuple}
        if isinstance(type_, model.List):
            return {bytes if type_.element == "u8" else list}
        if isinstance(type_, model.Enum):
            return {str}
        if isinstance(type_, model.Flags):
            return {set}
        if isinstance(type_, (model.Own, model.Borrow)):
            return {ResourceAny, ResourceHost}
        cases = _cases(type_)
        if self._is_tagged(cases):
            return {Variant}
        found: set[type] = set()
        for _, payload in cases:
            found |= {object} if payload is None else self._classes(payload)
        return found


def _cases(type_: model.AnyType) -> Cases:
    if isinstance(type_, model.Option):
        return [("none", None), ("some", type_.some)]
    if isinstance(type_, model.Result):
        return [("ok", type_.ok), ("err", type_.err)]
    assert isinstance(type_, model.Variant)
    return [(each.name, each.type) for each in type_.cases]
