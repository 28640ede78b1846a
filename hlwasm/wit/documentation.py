"""Documentation of a world's WIT text, for a component that carries none.

Compilers leave it out of components, so it comes from the ``.wit`` beside it. It is put where
the names are the same; versions of interfaces may differ. Nothing else is taken from the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from hlwasm.wit.model import AnyType, Description, Function, Interface

# Where members of types are: fields of records, cases of variants and enums, flags.
_MEMBERS = ("fields", "cases", "flags")


def concerns(source: Description, description: Description) -> bool:
    """Whether the two have an interface or a function of the world in common."""
    return bool(_names(source) & _names(description))


def documented(description: Description, source: Description) -> Description:
    """The description with what ``source`` says of its functions, interfaces and types.

    Documentation that ``description`` has on its own account stays.
    """
    functions = _docs_by_name(
        (each.interface, each.name, each.docs) for each in (*source.exports, *source.imports)
    )
    interfaces = _docs_by_name((each.name, "", each.docs) for each in source.interfaces)

    def function(each: Function) -> Any:
        return each.__replace__(docs=each.docs or _find(functions, each.interface, each.name))

    def interface(each: Interface) -> Any:
        return each.__replace__(docs=each.docs or _find(interfaces, each.name, ""))

    made: Description = description.__replace__(
        types=_DocumentedTypes(description.types, source.types),
        interfaces=tuple(map(interface, description.interfaces)),
        imports=tuple(map(function, description.imports)),
        exports=tuple(map(function, description.exports)),
    )
    return made


class _DocumentedTypes(Sequence["AnyType"]):
    """Types, each documented when it is first asked for."""

    __slots__ = ("_documented", "_source", "_types")

    def __init__(self, types: Sequence[AnyType], source: Iterable[AnyType]) -> None:
        self._types = types
        self._documented: dict[int, AnyType] = {}
        self._source: dict[tuple[str | None, str], AnyType] = {}
        for each in source:
            if each.name is not None:
                for interface in _spellings(each.interface):
                    self._source.setdefault((interface, each.name), each)

    @overload
    def __getitem__(self, index: int) -> AnyType: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AnyType]: ...
    def __getitem__(self, index: int | slice) -> AnyType | Sequence[AnyType]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        found = self._documented.get(index)
        if found is None:
            found = self._documented[index] = self._document(self._types[index])
        return found

    def __len__(self) -> int:
        return len(self._types)

    def __iter__(self) -> Iterator[AnyType]:
        return (self[index] for index in range(len(self)))

    def _document(self, type_: AnyType) -> AnyType:
        spellings = _spellings(type_.interface)
        named = (self._source.get((each, type_.name or "")) for each in spellings)
        source = next((each for each in named if type(each) is type(type_)), None)
        if source is None:
            return type_
        changes: dict[str, Any] = {"docs": type_.docs or source.docs}
        for members in _MEMBERS:
            if hasattr(type_, members):
                docs = {each.name: each.docs for each in getattr(source, members)}
                changes[members] = tuple(
                    each.__replace__(docs=each.docs or docs.get(each.name))
                    for each in getattr(type_, members)
                )
        made: AnyType = type_.__replace__(**changes)
        return made


def _names(description: Description) -> set[str]:
    interfaces = {_spellings(each.name)[-1] or "" for each in description.interfaces}
    functions = (*description.imports, *description.exports)
    return interfaces | {each.name for each in functions if each.interface is None}


def _docs_by_name(
    items: Iterable[tuple[str | None, str, str | None]],
) -> dict[tuple[str | None, str], str]:
    found: dict[tuple[str | None, str], str] = {}
    for interface, name, docs in items:
        for each in _spellings(interface) if docs else ():
            found.setdefault((each, name), docs or "")
    return found


def _find(
    docs: Mapping[tuple[str | None, str], str], interface: str | None, name: str
) -> str | None:
    found = (docs.get((each, name)) for each in _spellings(interface))
    return next((each for each in found if each is not None), None)


def _spellings(interface: str | None) -> tuple[str | None, ...]:
    """The name of an interface, and the same without its version."""
    return (interface,) if interface is None else (interface, interface.partition("@")[0])
