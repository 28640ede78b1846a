"""Source of the classes: records, variants, enums, flags, and the sides of resources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hlwasm.bindgen.annotations import Annotations
from hlwasm.bindgen.plan import ClassType, by_python_name
from hlwasm.bindgen.text import INDENT, block, docstring, literal, sentence
from hlwasm.wit.model import Description, Enum, Flags, Label, Record, Variant
from hlwasm.wit.names import snake_case, upper_camel_case, upper_snake_case
from hlwasm.wit.type_text import definition_text


class TypeSource:
    """Writes the value classes of one module.

    They are what :class:`hlwasm.wit.python_types.PythonTypes` would make of the same
    description, as source: same bases, fields and names of cases.
    """

    def __init__(self, description: Description, annotations: Annotations) -> None:
        self._description = description
        self._annotations = annotations

    def classes(self, name: str, type_: ClassType) -> list[list[str]]:
        """The class of a type, and those of its cases; empty for resources."""
        write = _WRITERS.get(type(type_))
        return [] if write is None else write(self, name, type_)

    def _docs(self, type_: ClassType) -> str:
        return sentence(type_.docs, definition_text(self._description, type_.index))

    def _wit_name(self, type_: ClassType) -> list[str]:
        return [f"{INDENT}__wit_name__ = {literal(type_.wit_name)}"]

    def _head(self, name: str, base: str) -> list[str]:
        return [f"class {name}({self._annotations.runtime(base)}):"]

    def _data_class(self) -> str:
        self._annotations.imports.add("import dataclasses as _dataclasses")
        return "@_dataclasses.dataclass(slots=True)"

    def _record(self, name: str, type_: Record) -> list[list[str]]:
        fields = by_python_name(type_.name, type_.fields, snake_case)
        lines: list[str] = []
        for field, each in fields.items():
            lines.append(f"{INDENT}{field}: {self._annotations.lifted(each.type, fields)}")
            lines += docstring(each.docs or "", INDENT)
        head = [self._data_class(), *self._head(name, "Record")]
        return [block(head, self._docs(type_), [self._wit_name(type_), lines])]

    def _variant(self, name: str, type_: Variant) -> list[list[str]]:
        cases = by_python_name(type_.name, type_.cases, upper_camel_case)
        alias = self._annotations.typing("TypeAlias")
        # The decorator puts the classes there; nobody is to take these for fields.
        own = [f"{INDENT}if {self._annotations.typing('TYPE_CHECKING')}:"]
        own += [f'{INDENT * 2}{case}: {alias} = "_{name}_{case}"' for case in cases]
        members = [[*self._wit_name(type_), f"{INDENT}__slots__ = ()"], own]
        sources = [block(self._head(name, "Variant"), self._docs(type_), members)]
        for case, each in cases.items():
            decorator = f"@{self._annotations.runtime('case')}({name}, {literal(case)})"
            head = [decorator, self._data_class(), f"class _{name}_{case}({name}):"]
            lines = [f"{INDENT}wit_case = {literal(each.name)}"]
            if each.type is not None:
                lines.append(f"{INDENT}value: {self._annotations.lifted(each.type)}")
            docs = each.docs or f"Case {each.name} of {name}."
            sources.append(block(head, docs, [lines]))
        return sources

    def _enum(self, name: str, type_: Enum) -> list[list[str]]:
        return self._labels(name, type_, type_.cases, "Enum", lambda i, each: literal(each.name))

    def _flags(self, name: str, type_: Flags) -> list[list[str]]:
        return self._labels(name, type_, type_.flags, "Flags", lambda i, each: f"1 << {i}")

    def _labels(
        self,
        name: str,
        type_: Enum | Flags,
        labels: Sequence[Label],
        base: str,
        value: Callable[[int, Label], str],
    ) -> list[list[str]]:
        lines: list[str] = []
        own = by_python_name(type_.name, labels, upper_snake_case)
        for index, (label, each) in enumerate(own.items()):
            lines.append(f"{INDENT}{label} = {value(index, each)}")
            lines += docstring(each.docs or "", INDENT)
        members = [self._wit_name(type_), lines]
        return [block(self._head(name, base), self._docs(type_), members)]


_WRITERS: dict[type, Callable[[TypeSource, str, Any], list[list[str]]]] = {
    Record: TypeSource._record,
    Variant: TypeSource._variant,
    Enum: TypeSource._enum,
    Flags: TypeSource._flags,
}
