"""Python values to canonical-ABI bytes, one by one."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hlwasm.codec.buffers import NUMBER_FORMAT, matching_buffer
from hlwasm.codec.checks import (
    Path,
    memory_full,
    render,
    short,
    wrong_type,
    wrong_value,
)
from hlwasm.codec.layout import align_up, discriminant_size
from hlwasm.codec.reference.scalars import encode_string, to_bool, to_char, to_float, to_integer
from hlwasm.codec.reference.types import ReferenceTypes
from hlwasm.errors import ArtifactError, ConversionError, Err
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
from hlwasm.wit.names import snake_case
from hlwasm.wit.values import Ok, Some

if TYPE_CHECKING:
    from hlwasm.codec.context import ResourceConverter


class Lowering:
    """One call's lowering: where payload goes next, and which resources were given away.

    Attributes:
        given: resource type, object and handle of each.
    """

    __slots__ = ("cursor", "given", "memory", "resources")

    def __init__(self, memory: memoryview, cursor: int, resources: ResourceConverter) -> None:
        self.memory = memory
        self.cursor = cursor
        self.resources = resources
        self.given: list[tuple[int, Any, int]] = []

    def take_back(self) -> None:
        """Undoes what was given away, because the call is not made."""
        while self.given:
            self.resources.take_back(*self.given.pop())

    def allocate(self, size: int, align: int, path: Path) -> int:
        """Takes ``size`` bytes from the transfer memory.

        Raises:
            LimitExceeded: they do not fit.
        """
        offset = align_up(self.cursor, align)
        if offset + size > len(self.memory):
            raise memory_full(path, len(self.memory))
        self.cursor = offset + size
        return offset


class ReferenceLower(ReferenceTypes):
    """Lowers values; wrong ones raise with their path."""

    def lower(self, state: Lowering, ref: TypeRef, offset: int, value: Any, path: Path) -> None:
        """Writes ``value`` at ``offset`` and its payload at the cursor.

        Raises:
            WitTypeError, WitValueError: the value does not fit the type.
            LimitExceeded: the payload does not fit the transfer memory.
        """
        if isinstance(ref, str):
            self._lower_primitive(state, ref, offset, value, path)
            return
        type_ = self._types[ref]
        if isinstance(type_, Record):
            values = self._record_values(type_, value, path)
            names = [snake_case(each.name) for each in type_.fields]
            refs = [each.type for each in type_.fields]
            self._lower_members(state, refs, offset, values, [(path, name) for name in names])
        elif isinstance(type_, Tuple):
            if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
                raise wrong_type(path, self.text(ref), value)
            if len(value) != len(type_.types):
                raise wrong_value(
                    path, f"expected {len(type_.types)} values for {self.text(ref)}, "
                    f"got {len(value)}"
                )  # fmt: skip
            paths: list[Path] = [(path, index) for index in range(len(value))]
            self._lower_members(state, type_.types, offset, value, paths)
        elif isinstance(type_, List):
            self._lower_list(state, type_, offset, value, path)
        elif isinstance(type_, Enum):
            size = discriminant_size(len(type_.cases))
            index = self._enum_index(type_, value, path)
            state.memory[offset : offset + size] = index.to_bytes(size, "little")
        elif isinstance(type_, Flags):
            size = self.layout.shape(ref).size
            bits = self._flag_bits(type_, value, path)
            state.memory[offset : offset + size] = bits.to_bytes(size, "little")
        elif isinstance(type_, (Own, Borrow)):
            handle = self._lower_handle(state, type_, value, path)
            struct.pack_into("<I", state.memory, offset, handle)
        else:
            index, payload, step = self._case(type_, value, path)
            self._lower_case(state, ref, offset, index, payload, (path, step) if step else path)

    def _lower_primitive(
        self, state: Lowering, name: str, offset: int, value: Any, path: Path
    ) -> None:
        memory = state.memory
        if name == "string":
            pointer = state.cursor
            for data in encode_string(value, path):
                # Pieces have no gaps between them.
                at = state.allocate(len(data), 1, path)
                # Which may have moved the memory.
                state.memory[at : at + len(data)] = data
            struct.pack_into("<II", state.memory, offset, pointer, state.cursor - pointer)
        elif name == "bool":
            memory[offset] = to_bool(value, path)
        elif name == "char":
            struct.pack_into("<I", memory, offset, to_char(value, path))
        elif name in ("f32", "f64"):
            number = to_float(name, value, path)
            struct.pack_into("<f" if name == "f32" else "<d", memory, offset, number)
        else:
            number = to_integer(name, value, path)
            struct.pack_into("<" + NUMBER_FORMAT[name], memory, offset, number)

    def _lower_members(
        self,
        state: Lowering,
        refs: Sequence[TypeRef],
        offset: int,
        values: Sequence[Any],
        paths: Sequence[Path],
    ) -> None:
        record = self.layout.record(refs)
        state.memory[offset : offset + record.shape.size] = bytes(record.shape.size)
        for ref, each, value, path in zip(refs, record.offsets, values, paths, strict=True):
            self.lower(state, ref, offset + each, value, path)

    def _lower_list(
        self, state: Lowering, type_: List, offset: int, value: Any, path: Path
    ) -> None:
        element = type_.element
        shape = self.layout.shape(element)
        size, align = shape.size, shape.align
        if element in NUMBER_FORMAT or element == "bool":
            data = matching_buffer(element, value)
            if data is not None:
                pointer = state.allocate(len(data), align, path)
                state.memory[pointer : pointer + len(data)] = data
                struct.pack_into("<II", state.memory, offset, pointer, len(data) // size)
                return
        # An array without dimensions, a NumPy scalar say, only looks iterable.
        scalar = getattr(value, "ndim", 1) == 0
        if isinstance(value, (str, Mapping)) or scalar or not isinstance(value, Iterable):
            raise wrong_type(path, self.text(type_.index), value)
        items = value if isinstance(value, (list, tuple)) else list(value)
        pointer = state.allocate(len(items) * size, align, path)
        for index, item in enumerate(items):
            self.lower(state, element, pointer + index * size, item, (path, index))
        struct.pack_into("<II", state.memory, offset, pointer, len(items))

    def _lower_case(
        self, state: Lowering, ref: TypeRef, offset: int, index: int, payload: Any, path: Path
    ) -> None:
        cases = self.layout.cases(ref)
        size = self.layout.shape(ref).size
        state.memory[offset : offset + size] = bytes(size)
        tag = discriminant_size(len(cases))
        state.memory[offset : offset + tag] = index.to_bytes(tag, "little")
        case = cases[index]
        if case is not None:
            self.lower(state, case, offset + self.layout.payload(cases)[0], payload, path)

    def _lower_handle(self, state: Lowering, type_: Own | Borrow, value: Any, path: Path) -> int:
        try:
            if isinstance(type_, Borrow):
                return state.resources.lower_borrow(type_.resource, value)
            handle = state.resources.lower_own(type_.resource, value)
            state.given.append((type_.resource, value, handle))
            return handle
        except ConversionError as error:
            if error.path:
                raise
            where = render(path)
            raise type(error)(f"{where}: {error}", where) from None

    def _record_values(self, type_: Record, value: Any, path: Path) -> list[Any]:
        names = [snake_case(each.name) for each in type_.fields]
        if isinstance(value, Mapping):
            missing = [name for name in names if name not in value]
            unknown = [short(key) for key in value if key not in names]
            if missing:
                raise wrong_value(path, f"{type_.name} lacks {', '.join(missing)}")
            if unknown:
                raise wrong_value(path, f"{type_.name} has no {', '.join(unknown)}")
            return [value[name] for name in names]
        values = []
        for name in names:
            try:
                values.append(getattr(value, name))
            except AttributeError:
                raise wrong_type(
                    path, f"{type_.name} (an object or mapping with {', '.join(names)})", value
                ) from None
        return values

    def _case(self, type_: AnyType, value: Any, path: Path) -> tuple[int, Any, str]:
        """Discriminant, payload and path step of a variant, option or result value."""
        if isinstance(type_, Option):
            if value is None:
                return 0, None, ""
            if not self.python.is_option(type_.some):
                return 1, value.value if isinstance(value, Some) else value, ""
            if not isinstance(value, Some):
                raise wrong_type(path, f"Some or None for {self.text(type_.index)}", value)
            return 1, value.value, ""
        if isinstance(type_, Result):
            if not isinstance(value, (Ok, Err)):
                raise wrong_type(path, f"Ok or Err for {self.text(type_.index)}", value)
            arm = 0 if isinstance(value, Ok) else 1
            return arm, self._arm_payload(type_, arm, value.value, path), ("ok", "err")[arm]
        if not isinstance(type_, Variant):
            raise ArtifactError(f"{self.text(type_.index)} has no values")
        name = getattr(value, "wit_case", None)
        if not isinstance(name, str):
            raise wrong_type(path, f"a case of {type_.name}", value)
        for index, case in enumerate(type_.cases):
            if case.name == name:
                if case.type is None:
                    return index, None, ""
                try:
                    return index, value.value, name
                except AttributeError:
                    raise wrong_type(
                        path, f"a value in case {name} of {type_.name}", value
                    ) from None
        raise wrong_value(path, f"{type_.name} has no case {short(name)}")

    def _arm_payload(self, type_: Result, arm: int, payload: Any, path: Path) -> Any:
        if (type_.ok, type_.err)[arm] is None and payload is not None:
            name = ("ok", "err")[arm]
            raise wrong_type((path, name), f"no payload for {self.text(type_.index)}", payload)
        return payload

    def _enum_index(self, type_: Enum, value: Any, path: Path) -> int:
        name = value.value if isinstance(value, enum.Enum) else value
        if not isinstance(name, str):
            raise wrong_type(path, f"a member of {type_.name} or its WIT name", value)
        for index, case in enumerate(type_.cases):
            if case.name == name:
                return index
        raise wrong_value(path, f"{type_.name} has no case {short(name)}")

    def _flag_bits(self, type_: Flags, value: Any, path: Path) -> int:
        if isinstance(value, enum.Flag):
            value = value.value
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0 or value >> len(type_.flags):
                raise wrong_value(path, f"{short(value)} has bits that {type_.name} does not have")
            return value
        if isinstance(value, (str, bytes, bool, Mapping)) or not isinstance(value, Iterable):
            raise wrong_type(path, f"{type_.name} flags or a set of their WIT names", value)
        index_of = {each.name: index for index, each in enumerate(type_.flags)}
        bits = 0
        for name in value:
            if isinstance(name, enum.Flag):
                bits |= self._flag_bits(type_, name, path)
            elif isinstance(name, str) and name in index_of:
                bits |= 1 << index_of[name]
            else:
                raise wrong_value(path, f"{type_.name} has no flag {short(name)}")
        return bits
