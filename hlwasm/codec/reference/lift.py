"""Canonical-ABI bytes to Python values, one by one."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.checks import (
    Path,
    bad_guest_data,
)
from hlwasm.codec.layout import discriminant_size
from hlwasm.codec.reference.types import ReferenceTypes
from hlwasm.errors import Err, GuestDataError
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Enum,
    Flags,
    List,
    Option,
    Own,
    Record,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.names import snake_case, upper_camel_case
from hlwasm.wit.values import Ok, Some, WitFlags

if TYPE_CHECKING:
    from hlwasm.codec.context import ResourceConverter, ViewMaker


class Lifting:
    """One call's lifting.

    The adapters never let two lists share bytes, so all payload together fits the memory.
    ``budget`` enforces it: without it nested lists that point at the same bytes could make
    the host build a value exponentially larger than the memory.

    Attributes:
        taken: resource type, object and handle of each resource that the guest gave.
        view: makes a view of a part of the memory, for strings and lists of numbers; None
            where they are copied.
    """

    __slots__ = ("budget", "memory", "resources", "taken", "view")

    def __init__(self, memory: memoryview, budget: int, resources: ResourceConverter) -> None:
        self.memory = memory
        self.budget = budget
        self.resources = resources
        self.taken: list[tuple[int, Any, int]] = []
        self.view: ViewMaker | None = None

    def put_back(self) -> None:
        """Undoes what was taken, because nobody gets it."""
        while self.taken:
            self.resources.put_back(*self.taken.pop())

    def payload(self, pointer: int, count: int, size: int, align: int, path: Path) -> int:
        """Checks a list's pointer and length; returns its end.

        Raises:
            GuestDataError: it reaches beyond the memory, is misaligned, or the payload
                of the call exceeds the memory.
        """
        length = count * size
        end = pointer + length
        if end > len(self.memory):
            raise bad_guest_data(
                path, f"{length} bytes at {pointer} reach beyond the transfer memory"
            )
        if pointer % align:
            raise bad_guest_data(path, f"the pointer {pointer} is not aligned to {align}")
        self.budget -= length
        if self.budget < 0:
            raise bad_guest_data(path, "the lists overlap: together they exceed the memory")
        return end


class ReferenceLift(ReferenceTypes):
    """Lifts values; bytes that are none raise with their path."""

    def lift(self, state: Lifting, ref: TypeRef, offset: int, path: Path) -> Any:
        """Reads the value at ``offset``, whose own bytes lie within the memory.

        Raises:
            GuestDataError: the bytes are no valid value.
        """
        if isinstance(ref, str):
            return self._lift_primitive(state, ref, offset, path)
        type_ = self._types[ref]
        if isinstance(type_, Record):
            refs = [each.type for each in type_.fields]
            steps = [snake_case(each.name) for each in type_.fields]
            return self.python[ref](*self._lift_members(state, refs, offset, path, steps))
        if isinstance(type_, Tuple):
            return tuple(
                self._lift_members(state, type_.types, offset, path, range(len(type_.types)))
            )
        if isinstance(type_, List):
            return self._lift_list(state, type_, offset, path)
        size = self.layout.shape(ref).size
        if isinstance(type_, Enum):
            number = int.from_bytes(state.memory[offset : offset + size], "little")
            if number >= len(type_.cases):
                raise bad_guest_data(path, f"{type_.name} has no case number {number}")
            return cast(type[enum.Enum], self.python[ref])(type_.cases[number].name)
        if isinstance(type_, Flags):
            number = int.from_bytes(state.memory[offset : offset + size], "little")
            return cast(type[WitFlags], self.python[ref]).from_bits(number)
        if isinstance(type_, (Own, Borrow)):
            try:
                return self._lift_handle(state, type_, offset)
            except GuestDataError as error:
                raise bad_guest_data(path, str(error)) from None
        return self._lift_case(state, type_, ref, offset, path)

    def _lift_handle(self, state: Lifting, type_: Own | Borrow, offset: int) -> Any:
        (handle,) = struct.unpack_from("<I", state.memory, offset)
        if isinstance(type_, Borrow):
            return state.resources.lift_borrow(type_.resource, handle)
        value = state.resources.lift_own(type_.resource, handle)
        state.taken.append((type_.resource, value, handle))
        return value

    def _lift_primitive(self, state: Lifting, name: str, offset: int, path: Path) -> Any:
        if name == "string":
            pointer, length = struct.unpack_from("<II", state.memory, offset)
            end = state.payload(pointer, length, 1, 1, path)
            if state.view is not None:
                return state.view(state.memory[pointer:end], "B")
            try:
                return str(state.memory[pointer:end], "utf-8")
            except UnicodeDecodeError as error:
                raise bad_guest_data(path, f"the string is not UTF-8: {error.reason}") from None
        if name == "bool":
            return state.memory[offset] != 0
        if name == "char":
            (code,) = struct.unpack_from("<I", state.memory, offset)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise bad_guest_data(path, f"{code:#x} is not a Unicode scalar value")
            return chr(code)
        return struct.unpack_from("<" + NUMBER_FORMAT[name], state.memory, offset)[0]

    def _lift_members(
        self,
        state: Lifting,
        refs: Sequence[TypeRef],
        offset: int,
        path: Path,
        steps: Iterable[int | str],
    ) -> list[Any]:
        offsets = self.layout.record(refs).offsets
        return [
            self.lift(state, ref, offset + each, (path, step))
            for ref, each, step in zip(refs, offsets, steps, strict=True)
        ]

    def _lift_list(self, state: Lifting, type_: List, offset: int, path: Path) -> Any:
        pointer, count = struct.unpack_from("<II", state.memory, offset)
        element = type_.element
        shape = self.layout.shape(element)
        size, align = shape.size, shape.align
        end = state.payload(pointer, count, size, align, path)
        if state.view is not None and element in NUMBER_FORMAT:
            return state.view(state.memory[pointer:end], NUMBER_FORMAT[str(element)])
        number_lists = self.description.number_lists
        if element == "u8" and number_lists != "numpy":
            return bytes(state.memory[pointer:end])
        if element in NUMBER_FORMAT and number_lists != "list":
            from hlwasm.codec.number_lists import copied

            # No element becomes a Python float meanwhile, which would quiet a NaN of f32.
            return copied(number_lists, str(element))(state.memory[pointer:end])
        return [
            self.lift(state, element, pointer + index * size, (path, index))
            for index in range(count)
        ]

    def _lift_case(
        self, state: Lifting, type_: AnyType, ref: TypeRef, offset: int, path: Path
    ) -> Any:
        cases = self.layout.cases(ref)
        tag = discriminant_size(len(cases))
        number = int.from_bytes(state.memory[offset : offset + tag], "little")
        if number >= len(cases):
            raise bad_guest_data(path, f"{self.text(ref)} has no case number {number}")
        case = cases[number]
        if isinstance(type_, Variant):
            step = type_.cases[number].name
        else:
            step = ("ok", "err")[number] if isinstance(type_, Result) else ""
        payload = None
        if case is not None:
            inner: Path = (path, step) if step else path
            payload = self.lift(state, case, offset + self.layout.payload(cases)[0], inner)
        if isinstance(type_, Variant):
            cls = getattr(self.python[type_.index], upper_camel_case(step))
            return cls() if case is None else cls(payload)
        if isinstance(type_, Result):
            return Err(payload) if number else Ok(payload)
        option = cast(Option, type_)
        return Some(payload) if number and self.python.is_option(option.some) else payload
