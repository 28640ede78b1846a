"""The structure of a world as text: what bindings were made for, and what a component has.

Named types are written with their interface, so that two texts are equal exactly when the
types are, as far as the types that they name are, too. Versions are reduced to what Semver
calls compatible, as linking does.
"""

from __future__ import annotations

from collections import Counter

from hlwasm.errors import ArtifactError
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Description,
    Enum,
    Flags,
    Function,
    List,
    Option,
    Own,
    Record,
    Resource,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.semver import track

# Types nest without end in hostile descriptions only.
_LONGEST = 100_000


def compatible_name(interface: str) -> str:
    """The interface's name without what may differ between compatible versions.

    >>> compatible_name("wasi:io/streams@0.2.9")
    'wasi:io/streams@0.2'
    >>> compatible_name("demo:calc/ops@1.3.0")
    'demo:calc/ops@1'
    """
    name, at, version = interface.partition("@")
    return f"{name}@{track(version)}" if at else name


class Structure:
    """Texts of the types and functions of one description."""

    def __init__(self, description: Description) -> None:
        self._types = description.types
        self._texts: dict[int, str] = {}
        names = dict.fromkeys(each.name for each in description.interfaces)
        compatible = Counter(map(compatible_name, names))
        # Where there are two compatible versions, each keeps its own.
        self._names = {
            name: short for name in names if compatible[short := compatible_name(name)] == 1
        }

    def interface(self, name: str) -> str:
        """The name of an interface, the same for all that can take its place."""
        return self._names.get(name, name)

    def qualified(self, interface: str | None, name: str) -> str:
        """``interface#name``, or the name alone for what belongs to the world itself."""
        return name if interface is None else f"{self.interface(interface)}#{name}"

    def reference(self, ref: TypeRef | None) -> str:
        """The type as others refer to it: by name where it has a definition of its own.

        Raises:
            ArtifactError: the text would be too long.
        """
        if ref is None:
            return "_"
        if isinstance(ref, str):
            return ref
        found = self._texts.get(ref)
        if found is None:
            found = self._texts[ref] = self._bounded(self._reference(self._types[ref]))
        return found

    def _reference(self, type_: AnyType) -> str:
        of = self.reference
        if isinstance(type_, List):
            return f"list<{of(type_.element)}>"
        if isinstance(type_, Option):
            return f"option<{of(type_.some)}>"
        if isinstance(type_, Tuple):
            return f"tuple<{', '.join(map(of, type_.types))}>"
        if isinstance(type_, Result):
            return f"result<{of(type_.ok)}, {of(type_.err)}>"
        if isinstance(type_, (Own, Borrow)):
            return f"{type(type_).__name__.lower()}<{of(type_.resource)}>"
        return self.qualified(type_.interface, type_.name or "_")

    def definition(self, type_: AnyType) -> str:
        """What a record, variant, enum, flags or resource type is made of."""
        of = self.reference
        kind = type(type_).__name__.lower()
        members: list[str] = []
        if isinstance(type_, Record):
            members = [f"{each.name}: {of(each.type)}" for each in type_.fields]
        elif isinstance(type_, Variant):
            members = [
                each.name if each.type is None else f"{each.name}({of(each.type)})"
                for each in type_.cases
            ]
        elif isinstance(type_, Enum):
            members = [each.name for each in type_.cases]
        elif isinstance(type_, Flags):
            members = [each.name for each in type_.flags]
        elif not isinstance(type_, Resource):
            raise TypeError(f"{kind} types have no definition")
        return self._bounded(f"{kind} {{ {', '.join(members)} }}" if members else kind)

    def signature(self, function: Function) -> str:
        """Parameters and result."""
        params = ", ".join(f"{each.name}: {self.reference(each.type)}" for each in function.params)
        result = "" if function.result is None else f" -> {self.reference(function.result)}"
        return self._bounded(f"func({params}){result}")

    @staticmethod
    def _bounded(text: str) -> str:
        if len(text) > _LONGEST:
            raise ArtifactError("the component's description nests types too deeply")
        return text
