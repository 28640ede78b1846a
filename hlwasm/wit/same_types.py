"""Whether two types, each of a description of its own, are the same, and where they differ."""

from __future__ import annotations

from typing import NamedTuple

from hlwasm.wit import model
from hlwasm.wit.model import AnyType, Description, Function, TypeRef
from hlwasm.wit.names import parse_interface_name
from hlwasm.wit.type_text import type_text


class TypeDifference(NamedTuple):
    """Where two types differ first.

    Attributes:
        path: such as ``parameter shape.radius`` or ``result.ok[]``.
        wanted, found: what is there, in words or as WIT.
    """

    path: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found} instead of {self.wanted}"


class TypeComparison:
    """Compares types of two descriptions by their structure.

    Types have no subtypes in the component model: fields and cases must be the same, with the
    same names, in the same order. Names of types do not matter but those of resources, which
    are what they are by their interface and name.
    """

    def __init__(self, wanted: Description, found: Description) -> None:
        self._wanted = wanted
        self._found = found
        # The first difference below each pair that was compared; a hostile description can
        # have exponentially many ways to one.
        self._known: dict[tuple[TypeRef, TypeRef], TypeDifference | None] = {}

    def functions(self, wanted: Function, found: Function) -> TypeDifference | None:
        """The first difference of two functions' types."""
        if len(wanted.params) != len(found.params):
            return TypeDifference("parameters", _names(wanted), _names(found))
        for one, other in zip(wanted.params, found.params, strict=True):
            if one.name != other.name:
                return TypeDifference("parameters", _names(wanted), _names(found))
            difference = self.types(one.type, other.type)
            if difference is not None:
                return _below(f"parameter {one.name}", difference)
        difference = self.types(wanted.result, found.result)
        return None if difference is None else _below("result", difference)

    def types(self, wanted: TypeRef | None, found: TypeRef | None) -> TypeDifference | None:
        """The first difference of two types; None stands for no type."""
        if not isinstance(wanted, int) or not isinstance(found, int):
            return None if wanted == found else self._differ(wanted, found)
        pair = wanted, found
        if pair not in self._known:
            # A cyclic description, which no component has, ends here.
            self._known[pair] = None
            self._known[pair] = self._compare(
                wanted, found, self._wanted.types[wanted], self._found.types[found]
            )
        return self._known[pair]

    def _differ(self, wanted: TypeRef | None, found: TypeRef | None) -> TypeDifference:
        return TypeDifference("", _text(self._wanted, wanted), _text(self._found, found))

    def _compare(
        self, wanted: int, found: int, one: AnyType, other: AnyType
    ) -> TypeDifference | None:
        if type(one) is not type(other):
            return self._differ(wanted, found)
        if isinstance(one, model.Resource) and isinstance(other, model.Resource):
            same = _resource_name(one) == _resource_name(other)
            return None if same else self._differ(wanted, found)
        here, there = _members(one), _members(other)
        if [name for name, _ in here] != [name for name, _ in there]:
            if isinstance(one, model.Tuple):
                return self._differ(wanted, found)
            return TypeDifference("", _listed(one, here), _listed(other, there))
        for (name, inner), (_, other_inner) in zip(here, there, strict=True):
            difference = self.types(inner, other_inner)
            if difference is not None:
                return _below(name, difference)
        return None


def _members(type_: AnyType) -> list[tuple[str, TypeRef | None]]:
    """The parts of a type, by the step that a path to them takes."""
    if isinstance(type_, model.Record):
        return [(f".{each.name}", each.type) for each in type_.fields]
    if isinstance(type_, model.Variant):
        return [(f".{each.name}", each.type) for each in type_.cases]
    if isinstance(type_, model.Enum):
        return [(f".{each.name}", None) for each in type_.cases]
    if isinstance(type_, model.Flags):
        return [(f".{each.name}", None) for each in type_.flags]
    if isinstance(type_, model.Tuple):
        return [(f"[{index}]", each) for index, each in enumerate(type_.types)]
    if isinstance(type_, model.List):
        return [("[]", type_.element)]
    if isinstance(type_, model.Option):
        return [(".some", type_.some)]
    if isinstance(type_, model.Result):
        return [(".ok", type_.ok), (".err", type_.err)]
    assert isinstance(type_, (model.Own, model.Borrow))
    return [("", type_.resource)]


def _below(step: str, difference: TypeDifference) -> TypeDifference:
    return difference._replace(path=step + difference.path)


def _text(description: Description, ref: TypeRef | None) -> str:
    return "no type" if ref is None else type_text(description, ref)


def _listed(type_: AnyType, members: list[tuple[str, TypeRef | None]]) -> str:
    names = ", ".join(name.lstrip(".") for name, _ in members)
    return f"{type(type_).__name__.lower()} {{ {names} }}"


def _names(function: Function) -> str:
    return f"({', '.join(each.name for each in function.params)})"


def _resource_name(resource: model.Resource) -> tuple[str, str | None]:
    """Without the version, which is compared where interfaces are."""
    interface = parse_interface_name(resource.interface or "")
    return f"{interface.namespace}:{interface.package}/{interface.name}", resource.name
