"""Sizes, alignments and offsets of the canonical ABI.

Computed here independently of the bridge generator, whose numbers are checked against
these when a function is bound.
"""

from __future__ import annotations

from _thread import _local
from collections.abc import Sequence

from hlwasm.errors import ArtifactError
from hlwasm.frozen import Frozen
from hlwasm.wit.model import (
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

# Bytes of the primitives; each is aligned to its size but string, a pointer and a length.
PRIMITIVE_SIZE = {
    "bool": 1, "u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "u64": 8, "s64": 8,
    "f32": 4, "f64": 8, "char": 4, "string": 8,
}  # fmt: skip

#: The struct format of a discriminant by its size.
DISCRIMINANT_FORMAT = {1: "B", 2: "H", 4: "I"}

# No validated component nests deeper; a description that does is damaged or cyclic.
_DEEPEST = 128


class Shape(Frozen):
    """Size and alignment in bytes."""

    size: int
    align: int


class Offsets(Frozen):
    """A record's shape and where each of its members lies."""

    shape: Shape
    offsets: tuple[int, ...]


def align_up(offset: int, align: int) -> int:
    """The first multiple of ``align`` (a power of two) that is not below ``offset``."""
    return (offset + align - 1) & -align


class _Depth(_local):
    """How many shapes are being computed inside of each other, in each thread by itself."""

    now = 0


class Layout:
    """The layouts of one description's types, computed once each."""

    def __init__(self, description: Description) -> None:
        self._types = description.types
        self._shapes: dict[TypeRef, Shape] = {
            name: Shape(size, 4 if name == "string" else size)
            for name, size in PRIMITIVE_SIZE.items()
        }
        self._depth = _Depth()

    def shape(self, ref: TypeRef) -> Shape:
        """Size and alignment of a type in memory.

        Raises:
            ArtifactError: the description's types are cyclic or nested without bound.
        """
        found = self._shapes.get(ref)
        if found is None:
            depth = self._depth
            if depth.now > _DEEPEST:
                raise ArtifactError("the component's description nests types too deeply")
            depth.now += 1
            try:
                found = self._shapes[ref] = self._compute(ref)
            finally:
                depth.now -= 1
        return found

    def record(self, refs: Sequence[TypeRef]) -> Offsets:
        """Layout of a record of these members, in this order."""
        end, align, offsets = 0, 1, []
        for ref in refs:
            member = self.shape(ref)
            offset = align_up(end, member.align)
            offsets.append(offset)
            end = offset + member.size
            align = max(align, member.align)
        return Offsets(Shape(align_up(end, align), align), tuple(offsets))

    def payload(self, refs: Sequence[TypeRef | None]) -> tuple[int, int]:
        """Offset and size of the payload area of a variant with these cases."""
        present = [self.shape(ref) for ref in refs if ref is not None]
        align = max([each.align for each in present], default=1)
        size = max([each.size for each in present], default=0)
        return align_up(discriminant_size(len(refs)), align), size

    def cases(self, ref: TypeRef) -> tuple[TypeRef | None, ...]:
        """The payload types of a variant, option or result, by discriminant."""
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, Variant):
            return tuple(case.type for case in type_.cases)
        if isinstance(type_, Option):
            return (None, type_.some)
        if isinstance(type_, Result):
            return (type_.ok, type_.err)
        raise TypeError(f"{ref!r} has no cases")

    def parts(self, ref: TypeRef) -> tuple[TypeRef, ...]:
        """The types that a type is made of; none for handles."""
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, Record):
            return tuple(each.type for each in type_.fields)
        if isinstance(type_, Tuple):
            return type_.types
        if isinstance(type_, List):
            return (type_.element,)
        if isinstance(type_, (Variant, Option, Result)):
            return tuple(case for case in self.cases(ref) if case is not None)
        return ()

    def check(self, function: Function) -> None:
        """Compares the generator's numbers for a function with this module's.

        Raises:
            ArtifactError: they differ, so reading or writing would hit wrong bytes.
        """
        params = self.record([param.type for param in function.params]).shape
        if params != Shape(function.params_size, function.params_align):
            raise ArtifactError(
                f"{function.name}: the description says that the parameters take "
                f"{function.params_size} bytes aligned to {function.params_align}; "
                f"they take {params.size} aligned to {params.align}"
            )
        if function.result_offset and function.result is not None:
            result = self.shape(function.result)
            if (
                function.result_offset % result.align
                or function.end_offset < function.result_offset + result.size
            ):
                raise ArtifactError(f"{function.name}: the result's place does not fit its type")

    def _compute(self, ref: TypeRef) -> Shape:
        if isinstance(ref, str):
            raise ArtifactError(f"the component's description uses an unknown type {ref!r}")
        type_ = self._types[ref]
        if isinstance(type_, Record):
            return _not_empty(self.record([each.type for each in type_.fields]).shape)
        if isinstance(type_, Tuple):
            return _not_empty(self.record(type_.types).shape)
        if isinstance(type_, List):
            self.shape(type_.element)  # for the depth
            return Shape(8, 4)
        if isinstance(type_, Enum):
            size = discriminant_size(len(type_.cases))
            return Shape(size, size)
        if isinstance(type_, Flags):
            return flags_shape(len(type_.flags))
        if isinstance(type_, (Own, Borrow)):
            return Shape(4, 4)
        if isinstance(type_, Resource):
            raise ArtifactError("a resource type is used as the type of a value")
        cases = self.cases(ref)
        offset, size = self.payload(cases)
        aligns = [self.shape(each).align for each in cases if each is not None]
        align = max([discriminant_size(len(cases)), *aligns])
        return Shape(align_up(offset + size, align), align)


def _not_empty(shape: Shape) -> Shape:
    """WIT has no empty types, and a list of them would have any length in no bytes."""
    if shape.size == 0:
        raise ArtifactError("the component's description has a type without content")
    return shape


def discriminant_size(count: int) -> int:
    """Bytes of the discriminant of a variant or enum with ``count`` cases."""
    return 1 if count <= 0x100 else 2 if count <= 0x1_0000 else 4


def flags_shape(count: int) -> Shape:
    """Shape of ``count`` flags."""
    if count <= 8:
        return Shape(1, 1)
    if count <= 16:
        return Shape(2, 2)
    return Shape(4 * -(-count // 32), 4)
