"""What lowering and lifting both need to know of a description's types."""

from __future__ import annotations

from hlwasm.codec.layout import Layout
from hlwasm.wit.model import Description, Own, TypeRef
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import type_text


class ReferenceTypes:
    """A description's types with their layout and their Python classes."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.layout = Layout(description)
        self._types = description.types
        self.python = python_types(description)
        self._owns: dict[TypeRef, bool] = {}

    def text(self, ref: TypeRef) -> str:
        """The type as WIT writes it, for messages."""
        return type_text(self.description, ref)

    def owns(self, ref: TypeRef) -> bool:
        """Whether values of the type contain an owned handle."""
        found = self._owns.get(ref)
        if found is None:
            self.layout.shape(ref)  # raises for cyclic types
            found = isinstance(ref, int) and isinstance(self._types[ref], Own)
            found = found or any(self.owns(each) for each in self.layout.parts(ref))
            self._owns[ref] = found
        return found
