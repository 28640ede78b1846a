"""Types of a description as those that components are generated from."""

from __future__ import annotations

from components.kitchen_sink import wit_types as wit
from components.kitchen_sink.catalogue import SCALARS, STRING
from hlwasm.wit import model

PRIMITIVES: dict[str, wit.Type] = {**{type_.name: type_ for type_ in SCALARS}, "string": STRING}


def wit_type(described: model.Description, ref: model.TypeRef) -> wit.Type:
    """The type that a reference means; aliases are gone in descriptions."""
    if isinstance(ref, str):
        return PRIMITIVES[ref]

    def of(inner: model.TypeRef) -> wit.Type:
        return wit_type(described, inner)

    def payload(inner: model.TypeRef | None) -> wit.Type | None:
        return None if inner is None else of(inner)

    type_ = described.types[ref]
    name = type_.name or ""
    if isinstance(type_, model.List):
        return wit.List(of(type_.element))
    if isinstance(type_, model.Tuple):
        return wit.Tuple(tuple(map(of, type_.types)))
    if isinstance(type_, model.Option):
        return wit.Option(of(type_.some))
    if isinstance(type_, model.Result):
        return wit.Result(payload(type_.ok), payload(type_.err))
    if isinstance(type_, model.Record):
        return wit.Record(name, tuple((each.name, of(each.type)) for each in type_.fields))
    if isinstance(type_, model.Variant):
        return wit.Variant(name, tuple((each.name, payload(each.type)) for each in type_.cases))
    if isinstance(type_, model.Enum):
        return wit.Enum(name, tuple(each.name for each in type_.cases))
    assert isinstance(type_, model.Flags)
    return wit.Flags(name, tuple(each.name for each in type_.flags))
