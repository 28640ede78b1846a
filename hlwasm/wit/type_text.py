"""The WIT text of a type, for messages and for `inspect`."""

from __future__ import annotations

from hlwasm.wit.model import (
    Borrow,
    Description,
    Function,
    List,
    Option,
    Own,
    Result,
    Tuple,
    TypeRef,
)

# Deeper and larger types are cut: messages stay short, and hostile descriptions end.
_DEEPEST = 12
_LARGEST = 300


def type_text(description: Description, ref: TypeRef | None) -> str:
    """The type as WIT writes it: a name where it has one, such as ``list<point>``."""
    return _text(description, ref, 0, [_LARGEST])


def _text(description: Description, ref: TypeRef | None, depth: int, left: list[int]) -> str:
    if ref is None:
        return "_"
    if isinstance(ref, str):
        return ref
    # Counted over the whole text.
    left[0] -= 1
    if depth > _DEEPEST or left[0] < 0:
        return "…"
    type_ = description.types[ref]

    def inner(ref: TypeRef | None) -> str:
        return _text(description, ref, depth + 1, left)

    if isinstance(type_, List):
        return f"list<{inner(type_.element)}>"
    if isinstance(type_, Option):
        return f"option<{inner(type_.some)}>"
    if isinstance(type_, Tuple):
        return f"tuple<{', '.join(inner(each) for each in type_.types)}>"
    if isinstance(type_, Result):
        if type_.err is not None:
            return f"result<{inner(type_.ok)}, {inner(type_.err)}>"
        return "result" if type_.ok is None else f"result<{inner(type_.ok)}>"
    if isinstance(type_, Own):
        return inner(type_.resource)
    if isinstance(type_, Borrow):
        return f"borrow<{inner(type_.resource)}>"
    return type_.name or type(type_).__name__.lower()


def function_text(description: Description, function: Function) -> str:
    """The signature as WIT writes it: ``add: func(a: s32, b: s32) -> s32``."""
    params = ", ".join(
        f"{each.name}: {type_text(description, each.type)}" for each in function.params
    )
    arrow = "" if function.result is None else f" -> {type_text(description, function.result)}"
    return f"{function.name}: func({params}){arrow}"


def definition_text(description: Description, index: int) -> str:
    """A named type's definition in one line: ``record point { x: f32, y: f32 }``."""
    type_ = description.types[index]
    kind, name = type(type_).__name__.lower(), type_.name or "_"
    members: list[str] = []
    for each in getattr(type_, "fields", ()):
        members.append(f"{each.name}: {type_text(description, each.type)}")
    for each in getattr(type_, "cases", ()):
        payload = getattr(each, "type", None)
        text = "" if payload is None else f"({type_text(description, payload)})"
        members.append(each.name + text)
    for each in getattr(type_, "flags", ()):
        members.append(each.name)
    if members:
        return f"{kind} {name} {{ {', '.join(members)} }}"
    if kind == "resource":
        return f"resource {name}"
    return f"type {name} = {type_text(description, index)}"
