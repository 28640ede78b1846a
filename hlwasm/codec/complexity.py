"""Which types the generated codecs handle; the plain codec takes the rest."""

from __future__ import annotations

from collections.abc import Iterable

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.reference import Reference
from hlwasm.wit.model import Flags, List, TypeRef, Variant

# Generated code grows with the flattened type, which a small description can make huge.
_LARGEST = 600
# CPython allows 20 nested loops.
_DEEPEST_LISTS = 10
# Lists of these are one block of memory, without a loop.
FLAT_ELEMENTS = frozenset([*NUMBER_FORMAT, "bool", "char"])


class Complexity:
    """Measures types; each is measured once."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._types = reference.description.types
        self._parts = reference.layout.parts
        self._weights: dict[TypeRef, int] = {}
        self._list_depths: dict[TypeRef, int] = {}
        self._string_only: dict[TypeRef, bool] = {}

    def generated(self, refs: Iterable[TypeRef]) -> bool:
        """Whether values of these types together are worth generated code."""
        known = list(refs)
        for ref in known:
            self._reference.layout.shape(ref)  # raises for cyclic types
        return (
            sum(self.weight(ref) for ref in known) <= _LARGEST
            and max([self.list_depth(ref) for ref in known], default=0) <= _DEEPEST_LISTS
        )

    def weight(self, ref: TypeRef) -> int:
        """How many values the type flattens to; lists count as one element."""
        found = self._weights.get(ref)
        if found is None:
            found = 1 + sum(self.weight(each) for each in self._parts(ref))
            if isinstance(ref, int):
                type_ = self._types[ref]
                if isinstance(type_, Variant):
                    found += len(type_.cases) // 8
                elif isinstance(type_, Flags):
                    found += len(type_.flags) // 32
            self._weights[ref] = found
        return found

    def list_depth(self, ref: TypeRef) -> int:
        """How many lists are nested in each other."""
        found = self._list_depths.get(ref)
        if found is None:
            inner = max([self.list_depth(each) for each in self._parts(ref)], default=0)
            is_list = isinstance(ref, int) and isinstance(self._types[ref], List)
            found = self._list_depths[ref] = inner + is_list
        return found

    def has_payload(self, ref: TypeRef) -> bool:
        """Whether values have bytes outside of their own record."""
        if ref == "string" or (isinstance(ref, int) and isinstance(self._types[ref], List)):
            return True
        return any(self.has_payload(each) for each in self._parts(ref))

    def only_strings(self, ref: TypeRef) -> bool:
        """Whether all payload is strings, which need no alignment."""
        found = self._string_only.get(ref)
        if found is None:
            is_list = isinstance(ref, int) and isinstance(self._types[ref], List)
            found = self._string_only[ref] = not is_list and all(
                self.only_strings(each) for each in self._parts(ref)
            )
        return found
