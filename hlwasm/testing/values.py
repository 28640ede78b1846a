"""Values of WIT types outside a sandbox: checked, compared bit for bit, written as text.

A value is lowered into bytes by the reference codec, as for a call, and lifted from them.
That gives the same checks and messages as a call, and one form for all the ways in which Python
may spell a value. Two values are the same when their bytes are, which holds for NaN too.

Resources are objects of the host's; here each has a number, and its text is ``page-1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlwasm.codec.checks import Path, bad_guest_data
from hlwasm.codec.reference import Lifting, Lowering, Reference
from hlwasm.errors import TransferLimitExceeded
from hlwasm.wit.model import Borrow, Description, List, Own, TypeRef
from hlwasm.wit.wave.parser import Parser
from hlwasm.wit.wave.writer import Writer

# Bytes that a value is lowered into at first, and at most.
_FIRST_SIZE = 512
_LARGEST_SIZE = 1 << 28


class Numbers:
    """Numbers for resources, given in the order in which they are first seen.

    Args:
        make: makes the object for a resource of a type index, where a value has none: in
            :meth:`Values.zero`.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._number_of: dict[int, int] = {}
        # Holds the objects too, so that no other object gets the identity of one that is gone.
        self._objects: dict[int, Any] = {}

    def number(self, value: Any) -> int:
        """The number of an object, from 1."""
        found = self._number_of.get(id(value))
        if found is None:
            found = len(self._objects) + 1
            self.put(found, value)
        return found

    def put(self, number: int, value: Any) -> None:
        """Gives an object a number."""
        self._number_of[id(value)] = number
        self._objects[number] = value

    def find(self, number: int) -> Any:
        """The object with a number.

        Raises:
            KeyError: there is none.
        """
        return self._objects[number]

    # What the codec asks of a resource table.

    def lower_own(self, type_index: int, value: Any) -> int:
        return self.number(value)

    def lower_borrow(self, type_index: int, value: Any) -> int:
        return self.number(value)

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        """A number stays, so there is nothing to undo."""

    put_back = take_back

    def lift_own(self, type_index: int, handle: int) -> Any:
        if handle == 0:
            return self._make(type_index)
        try:
            return self.find(handle)
        except KeyError:
            raise bad_guest_data("a value", f"there is no resource {handle}") from None

    lift_borrow = lift_own


class Values:
    """Values of one description's types.

    Args:
        description: the types.
        numbers: numbers of resources.
    """

    def __init__(self, description: Description, numbers: Numbers) -> None:
        self.description = description
        self.numbers = numbers
        self._reference = Reference(description)
        self._writer = _TextWriter(description, numbers)

    def encode(self, ref: TypeRef, value: Any, path: Path) -> bytes:
        """The bytes of a value.

        Raises:
            WitTypeError, WitValueError: it does not fit its type; the message begins with ``path``.
        """
        shape = self._reference.layout.shape(ref)
        size = max(_FIRST_SIZE, shape.size)
        while True:
            memory = memoryview(bytearray(size))
            state = Lowering(memory, shape.size, self.numbers)
            try:
                self._reference.lower(state, ref, 0, value, path)
            except TransferLimitExceeded:
                if size >= _LARGEST_SIZE:
                    raise
                size *= 8
            else:
                return bytes(memory[: state.cursor])

    def decode(self, ref: TypeRef, data: bytes, path: Path) -> Any:
        """The value of some bytes, which may be anybody's.

        Raises:
            GuestDataError: they are none.
        """
        if len(data) < self._reference.layout.shape(ref).size:
            raise bad_guest_data(path, f"{len(data)} bytes are too few")
        memory = memoryview(data)
        return self._reference.lift(Lifting(memory, len(data), self.numbers), ref, 0, path)

    def zero(self, ref: TypeRef) -> Any:
        """The value whose bytes are all zero: 0, empty, none, ok, the first case; new resources."""
        return self.decode(ref, bytes(self._reference.layout.shape(ref).size), "zero")

    def text(self, ref: TypeRef | None, value: Any) -> str:
        """A value, as :meth:`decode` gives it, as text.

        WAVE, but for resources (``page-1``) and bytes that are UTF-8 (``"text"``).
        """
        return "()" if ref is None else self._writer.text(ref, value)

    def parse(self, ref: TypeRef | None, text: str) -> Any:
        """The value of a text.

        Raises:
            WaveError: it is none of the type, or names a resource that has not been seen.
        """
        parser = _TextParser(self.description, text, self.numbers)
        if ref is None:
            parser.expect("(", "no value")
            parser.expect(")", "no value")
            value = None
        else:
            value = parser.value(ref)
        parser.end()
        return value


class _TextWriter(Writer):
    def __init__(self, description: Description, numbers: Numbers) -> None:
        super().__init__(description)
        self._types = description.types
        self._numbers = numbers

    def text(self, ref: TypeRef, value: Any) -> str:
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, (Own, Borrow)):
            return f"{_resource_name(self._types, type_)}-{self._numbers.number(value)}"
        if isinstance(type_, List) and type_.element == "u8" and value:
            try:
                return super().text("string", str(value, "utf-8"))
            except UnicodeDecodeError:
                pass
        return super().text(ref, value)


class _TextParser(Parser):
    def __init__(self, description: Description, text: str, numbers: Numbers) -> None:
        super().__init__(description, text)
        self._types = description.types
        self._numbers = numbers

    def value(self, ref: TypeRef) -> Any:
        type_ = self._types[ref] if isinstance(ref, int) else None
        if isinstance(type_, (Own, Borrow)):
            return self._resource(type_)
        if isinstance(type_, List) and type_.element == "u8" and self.peek().kind == "string":
            return self.take().value.encode()
        return super().value(ref)

    def _resource(self, type_: Own | Borrow) -> Any:
        token = self.take()
        name = _resource_name(self._types, type_)
        label, _, number = token.value.rpartition("-")
        if token.kind == "label" and label == name and number.isdecimal() and len(number) < 10:
            try:
                return self._numbers.find(int(number))
            except KeyError:
                raise self.error(f"there is no {token.value} yet", token) from None
        raise self.error(f"expected a {name} such as {name}-1, got {token}", token)


def _resource_name(types: Any, type_: Own | Borrow) -> str:
    return types[type_.resource].name or "resource"
