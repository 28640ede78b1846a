"""The slow, plain codec: walks types and values one by one.

It defines what the generated codecs must do and is their oracle in tests. Generated code
falls back to it for whatever its fast path does not know: unusual but acceptable Python
values, and every error, because this codec knows the path to what is wrong.
"""

from __future__ import annotations

import enum
import operator
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hlwasm.codec.buffers import NUMBER_FORMAT, matching_buffer
from hlwasm.codec.checks import (
    INTEGER_RANGE,
    Path,
    bad_guest_data,
    memory_full,
    out_of_range,
    render,
    short,
    wrong_type,
    wrong_value,
)
from hlwasm.codec.context import ResourceConverter
from hlwasm.codec.layout import Layout, align_up, discriminant_size
from hlwasm.errors import ArtifactError, ConversionError, Err
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Description,
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
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import type_text
from hlwasm.wit.values import Ok, Some, WitFlags


@dataclass
class Lowering:
    """One call's lowering: where payload goes next, and which resources were given away.

    Attributes:
        given: resource type, object and handle of each.
    """

    memory: memoryview
    cursor: int
    resources: ResourceConverter
    given: list[tuple[int, Any, int]] = field(default_factory=list)

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


@dataclass
class Lifting:
    """One call's lifting.

    The adapters never let two lists share bytes, so all payload together fits the memory.
    ``budget`` enforces it: without it nested lists that point at the same bytes could make
    the host build a value exponentially larger than the memory.
    """

    memory: memoryview
    budget: int
    resources: ResourceConverter

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


class Reference:
    """Lowers and lifts values of one description's types."""

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

    # Lower

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
            data = encode_string(value, path)
            pointer = state.allocate(len(data), 1, path)
            memory[pointer : pointer + len(data)] = data
            struct.pack_into("<II", memory, offset, pointer, len(data))
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
        shape, offsets = self.layout.record(refs)
        state.memory[offset : offset + shape.size] = bytes(shape.size)
        for ref, each, value, path in zip(refs, offsets, values, paths, strict=True):
            self.lower(state, ref, offset + each, value, path)

    def _lower_list(
        self, state: Lowering, type_: List, offset: int, value: Any, path: Path
    ) -> None:
        element = type_.element
        size, align = self.layout.shape(element)
        if element in NUMBER_FORMAT or element == "bool":
            data = matching_buffer(element, value)
            if data is not None:
                pointer = state.allocate(len(data), align, path)
                state.memory[pointer : pointer + len(data)] = data
                struct.pack_into("<II", state.memory, offset, pointer, len(data) // size)
                return
        if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
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

    # Lift

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
            (handle,) = struct.unpack_from("<I", state.memory, offset)
            resources = state.resources
            lift = resources.lift_own if isinstance(type_, Own) else resources.lift_borrow
            return lift(type_.resource, handle)
        return self._lift_case(state, type_, ref, offset, path)

    def _lift_primitive(self, state: Lifting, name: str, offset: int, path: Path) -> Any:
        if name == "string":
            pointer, length = struct.unpack_from("<II", state.memory, offset)
            end = state.payload(pointer, length, 1, 1, path)
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
        size, align = self.layout.shape(element)
        end = state.payload(pointer, count, size, align, path)
        if element == "u8":
            return bytes(state.memory[pointer:end])
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


def to_bool(value: Any, path: Path) -> bool:
    """Accepts bool, and NumPy's by its type name."""
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool_", "bool") and type(value).__module__ == "numpy":
        return bool(value)
    raise wrong_type(path, "bool", value)


def to_integer(name: str, value: Any, path: Path) -> int:
    """Accepts what has ``__index__``, bool excepted."""
    if isinstance(value, bool):
        raise wrong_type(path, name, value)
    try:
        number = operator.index(value)
    except TypeError:
        raise wrong_type(path, name, value) from None
    low, high = INTEGER_RANGE[name]
    if not low <= number <= high:
        raise out_of_range(path, name, number)
    return number


def to_float(name: str, value: Any, path: Path) -> float:
    """Accepts numbers that convert to float; a finite value must stay finite."""
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise wrong_type(path, name, value)
    try:
        number = float(value)
        if name == "f32":
            struct.pack("<f", number)
    except OverflowError:
        raise wrong_value(path, f"{short(value)} does not fit {name}") from None
    return number


def to_char(value: Any, path: Path) -> int:
    """Accepts a string of one character that is no surrogate."""
    if not isinstance(value, str):
        raise wrong_type(path, "char (a str of length 1)", value)
    if len(value) != 1:
        raise wrong_value(path, f"expected one character for char, got {short(value)}")
    code = ord(value)
    if 0xD800 <= code < 0xE000:
        raise wrong_value(path, f"{short(value)} is a surrogate, not a char")
    return code


def encode_string(value: Any, path: Path) -> bytes:
    """UTF-8 of a string without surrogates."""
    if not isinstance(value, str):
        raise wrong_type(path, "string", value)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise wrong_value(path, f"the string has a surrogate at {error.start}") from None
