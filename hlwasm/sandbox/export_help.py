"""What help() says of exports: names, signatures and documentation, without binding anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from textwrap import indent
from typing import TYPE_CHECKING

from hlwasm.codec.plain import parameter_names
from hlwasm.wit.names import python_function_name
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import definition_text

if TYPE_CHECKING:
    from hlwasm.wit.model import Description, Function


def interface_help(description: Description, name: str, items: Mapping[str, Function | int]) -> str:
    """Tells the functions and types of an exported interface."""
    docs = next(
        (i.docs for i in description.interfaces if (i.name, i.direction) == (name, "export")), None
    )
    return _page(docs, _entries(description, items))


def world_help(description: Description, items: Mapping[str, Function | str]) -> str:
    """Tells the functions and interfaces that a component exports."""
    functions = {key: each for key, each in items.items() if not isinstance(each, str)}
    docs = {i.name: i.docs for i in description.interfaces if i.direction == "export"}
    interfaces = [
        _entry(f"{attribute}: interface {name}", docs.get(name))
        for attribute, name in items.items()
        if isinstance(name, str)
    ]
    return _page(None, [*_entries(description, functions), *interfaces])


def signature_text(function: Function) -> str:
    """``add(a: int, b: int) -> int``"""
    types = python_types(function.description)
    pairs = zip(parameter_names(function), function.params, strict=True)
    # The object itself needs no type.
    params = [
        name if name == "self" else f"{name}: {types.annotation(param.type)}"
        for name, param in pairs
    ]
    result = types.annotation(types.success(function.result))
    return f"{python_function_name(function.name)}({', '.join(params)}) -> {result}"


def _entries(description: Description, items: Mapping[str, Function | int]) -> Iterator[str]:
    for target in items.values():
        if not isinstance(target, int):
            yield _entry(signature_text(target), target.docs)
    for name, target in items.items():
        if isinstance(target, int):
            definition = definition_text(description, target)
            yield _entry(f"{name}: {definition}", description.types[target].docs)


def _entry(head: str, docs: str | None) -> str:
    return f"{head}\n{indent(docs, '    ')}" if docs else head


def _page(docs: str | None, entries: Iterable[str]) -> str:
    return "\n\n".join(filter(None, [docs, *entries]))
