"""Values of WIT types outside a sandbox: checked, compared bit for bit, written as text.

A value is lowered into bytes by the reference codec, as for a call, and lifted from them.
That gives the same checks and messages as a call, and one form for all the ways in which Python
may spell a value. Two values are the same when their bytes are, which holds for NaN too.

Resources are objects of the host's; here each has a number, and its text is ``page-1``.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.checks import Path, bad_guest_data
from hlwasm.codec.reference import Lifting
from hlwasm.testing.number_lists import (
    FlatLifting,
    FlatReference,
    GrowingLowering,
    parse_numbers,
    unpack_numbers,
)
from hlwasm.text import count_text
from hlwasm.wit.model import AnyType, Borrow, Description, List, Own, TypeRef
from hlwasm.wit.wave.parser import Parser
from hlwasm.wit.wave.writer import Writer

# Bytes that are no text are written as a list up to here; other numbers, where it is to be
# compact, up to there.
_MOST_LISTED = 16
_MOST_NUMBERS = 1000
# Bytes that a value is lowered into at first.
_FIRST_SIZE = 512
# Characters that a string shows as they are, or by two, and all that are not ASCII.
_SHOWN = bytes([*b"\t\n\r", *range(32, 127), *range(128, 256)])


class Numbers:
    """Numbers for resources, from 1, given in the order in which they are first seen.

    It is to the codec what a sandbox's resource table is, whose handles are these numbers.

    Args:
        make: makes the object for a resource of a type index, where a value has none; see
            :meth:`Values.zero`.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._number_of: dict[object, int] = {}
        # Holds the objects too, so that no other object gets the identity of one that is gone.
        self._objects: dict[int, Any] = {}

    def number(self, value: Any) -> int:
        """The number of an object."""
        found = self._number_of.get(self.key(value))
        if found is None:
            found = len(self._number_of) + 1
            self.put(found, value)
        return found

    def key(self, value: Any) -> object:
        """What tells one object from another."""
        return id(value)

    def put(self, number: int, value: Any) -> None:
        """Gives an object a number."""
        self._number_of[self.key(value)] = number
        self._objects[number] = value

    def find(self, type_index: int, number: int) -> Any:
        """The object with a number.

        Raises:
            GuestDataError: there is none.
        """
        try:
            return self._objects[number]
        except KeyError:
            raise bad_guest_data("a value", f"there is no resource {number}") from None

    # What the codec asks of a resource table.

    def lower_own(self, type_index: int, value: Any) -> int:
        return self.number(value)

    def lower_borrow(self, type_index: int, value: Any) -> int:
        return self.number(value)

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        """A number stays, so there is nothing to undo."""

    put_back = take_back

    def lift_own(self, type_index: int, handle: int) -> Any:
        return self.find(type_index, handle) if handle else self._make(type_index)

    def lift_borrow(self, type_index: int, handle: int) -> Any:
        return self.find(type_index, handle)


class _BareNumbers(Numbers):
    """Where the number itself stands for the object."""

    def __init__(self) -> None:
        super().__init__(lambda type_index: 0)

    def number(self, value: Any) -> int:
        return int(value)

    def find(self, type_index: int, number: int) -> Any:
        return number


_BARE = _BareNumbers()


class Values:
    """Values of one description's types, as objects, as bytes and as text.

    Args:
        description: the types.
        numbers: numbers of resources.
    """

    def __init__(self, description: Description, numbers: Numbers) -> None:
        self.description = description
        self.numbers = numbers
        self._reference = FlatReference(description)
        self._writer = _TextWriter(description)
        self._compact_writer = _TextWriter(description, _MOST_NUMBERS)

    def encode(self, ref: TypeRef, value: Any, path: Path) -> bytes:
        """The bytes of a value.

        Raises:
            WitTypeError, WitValueError: it does not fit its type; the message begins with ``path``.
        """
        return self._encode(ref, value, path, self.numbers)

    def _encode(self, ref: TypeRef, value: Any, path: Path, numbers: Numbers) -> bytes:
        shape = self._reference.layout.shape(ref)
        memory = memoryview(bytearray(max(_FIRST_SIZE, shape.size)))
        state = GrowingLowering(memory, shape.size, numbers)
        self._reference.lower(state, ref, 0, value, path)
        return bytes(state.memory[: state.cursor])

    def decode(self, ref: TypeRef, data: bytes, path: Path) -> Any:
        """The value of some bytes, which may be anybody's.

        Raises:
            GuestDataError: they are none.
        """
        state = Lifting(memoryview(data), len(data), self.numbers)
        return self._lift(state, ref, path)

    def passed(self, ref: TypeRef, data: bytes, path: Path) -> Any:
        """The same value as codecs take it, bit for bit: lists of numbers are views of ``data``.

        Raises:
            GuestDataError: as :meth:`decode`.
        """
        state = FlatLifting(memoryview(data), len(data), self.numbers)
        return self._lift(state, ref, path)

    def _lift(self, state: Lifting, ref: TypeRef, path: Path) -> Any:
        size = self._reference.layout.shape(ref).size
        if len(state.memory) < size:
            raise bad_guest_data(path, f"{len(state.memory)} of {count_text(size, 'byte')}")
        return self._reference.lift(state, ref, 0, path)

    def zero(self, ref: TypeRef) -> Any:
        """The value whose bytes are all zero: 0, empty, none, ok, the first case; new resources."""
        return self.decode(ref, bytes(self._reference.layout.shape(ref).size), "zero")

    def text(self, ref: TypeRef, data: bytes) -> str:
        """The text of a value's bytes: WAVE, but for resources and for bytes in UTF-8.

        Raises:
            GuestDataError: they are none.
        """
        return self._text(self._writer, ref, data)

    def compact(self, ref: TypeRef, data: bytes) -> str:
        """The same, but long lists of numbers are in base64, too.

        Raises:
            GuestDataError: as :meth:`text`.
        """
        return self._text(self._compact_writer, ref, data)

    def _text(self, writer: Writer, ref: TypeRef, data: bytes) -> str:
        state = FlatLifting(memoryview(data), len(data), _BARE)
        return writer.text(ref, self._lift(state, ref, "a value"))

    def parse(self, ref: TypeRef, text: str) -> bytes:
        """The bytes of a text, the same as of the value that it is of, but for the bits of NaN.

        Raises:
            WaveError: it is none of the type.
        """
        value = self._parse_list(ref, text)
        if value is None:
            parser = _TextParser(self.description, text)
            value = parser.value(ref)
            parser.end()
        return self._encode(ref, value, "a value", _BARE)

    def _parse_list(self, ref: TypeRef, text: str) -> Any:
        type_ = self.description.types[ref] if isinstance(ref, int) else None
        if isinstance(type_, List) and type_.element in NUMBER_FORMAT and text.startswith("["):
            return parse_numbers(str(type_.element), text)
        return None


class _TextWriter(Writer):
    """Writes a resource as ``page-1``, and bytes as the text that they are in UTF-8, or else in
    base64: as a list of numbers they would take four times the room and be slow to read.

    Args:
        most_numbers: lists of more are written in base64, too; None writes all as lists.
    """

    def __init__(self, description: Description, most_numbers: int | None = None) -> None:
        super().__init__(description)
        self._types = description.types
        self._most_numbers = most_numbers

    def text(self, ref: TypeRef, value: Any) -> str:
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, (Own, Borrow)):
            return f"{resource_name(self._types[type_.resource])}-{value}"
        if isinstance(type_, List) and type_.element in NUMBER_FORMAT and len(value):
            if type_.element == "u8":
                text = self._bytes(bytes(value))
            else:
                text = self._numbers(str(type_.element), value)
            if text is not None:
                return text
        return super().text(ref, value)

    def _bytes(self, data: bytes) -> str | None:
        many = len(data) > _MOST_LISTED
        # Each of them takes five characters or more.
        escapes = len(data.translate(None, _SHOWN))
        if not many or 10 * escapes <= len(data):
            with suppress(UnicodeDecodeError):
                return super().text("string", str(data, "utf-8"))
        return _base64(data) if many else None

    def _numbers(self, element: str, value: memoryview) -> str | None:
        if self._most_numbers is not None and len(value) > self._most_numbers:
            return _base64(value.cast("B"))
        # As WAVE writes them; only f32 is shorter there.
        return None if element == "f32" else repr(value.tolist())


class _TextParser(Parser):
    def __init__(self, description: Description, text: str) -> None:
        super().__init__(description, text)
        self._types = description.types

    def value(self, ref: TypeRef) -> Any:
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, (Own, Borrow)):
            return self._resource(resource_name(self._types[type_.resource]))
        if isinstance(type_, List) and type_.element in NUMBER_FORMAT and not self.at("["):
            return self._base64(str(type_.element))
        return super().value(ref)

    def _base64(self, element: str) -> Any:
        token = self.take()
        if token.kind == "string" and element == "u8":
            return token.value.encode()
        if token.kind != "label" or token.value != "base64":
            raise self.error(f"expected list<{element}>, got {token}", token)
        self.expect("(", "base64")
        text = self.take()
        self.expect(")", "base64")
        try:
            data = b64decode(text.value, validate=True)
        except ValueError as error:
            raise self.error(f"this is not base64: {error}", text) from None
        try:
            return unpack_numbers(element, data)
        except ValueError as error:
            raise self.error(str(error), text) from None

    def _resource(self, name: str) -> int:
        token = self.take()
        label, _, number = token.value.rpartition("-")
        if token.kind == "label" and label == name and number.isdecimal() and len(number) < 10:
            return int(number)
        raise self.error(f"expected a {name} such as {name}-1, got {token}", token)


def _base64(data: bytes | memoryview) -> str:
    return f'base64("{b64encode(data).decode()}")'


def resource_name(type_: AnyType) -> str:
    """The name under which texts show resources of a type."""
    return type_.name or "resource"
