"""Generated code that lowers: Python values to canonical-ABI bytes.

A value is a few *leaves*: the scalars of its flat record. Emitting a value adds the
statements that check it and copy its payload (strings and lists) to the cursor, and
returns the leaves; whoever owns the record packs all of them by one ``pack_into``. An
option is its discriminant and the leaves of its payload, zero where there is none; the
payload of a variant with several payload types is packed into bytes first.

The code knows the usual Python types only. Whatever else it meets, and everything that
is wrong, raises some exception, and the call is done again by the plain codec. Names in
generated code: ``_memory``, its length ``_size``, and ``_cursor``, the first free byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Flag

from hlwasm.codec import fast_values, lower_cases
from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.checks import INTEGER_RANGE
from hlwasm.codec.complexity import FLAT_ELEMENTS, Complexity
from hlwasm.codec.layout import DISCRIMINANT_FORMAT, Layout, align_up, discriminant_size
from hlwasm.codec.reference import Reference
from hlwasm.codec.source import Leaf, Source, packed_format
from hlwasm.codec.text_lists import lower_texts
from hlwasm.wit.model import (
    Borrow,
    Enum,
    Flags,
    List,
    Option,
    Record,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.names import snake_case


class LowerEmitter:
    """Emits the lowering of values into a source.

    Args:
        source: where statements go.
        reference: the plain codec of the same description.
        complexity: its measures.
        cursor: the cursor's value at the start: a number, or ``_cursor``.
        check_ranges: compare integers with their range before anything is packed, so
            that packing cannot fail any more.
    """

    def __init__(
        self,
        source: Source,
        reference: Reference,
        complexity: Complexity,
        cursor: int | str,
        check_ranges: bool = False,
    ) -> None:
        self.source = source
        self.reference = reference
        self.layout: Layout = reference.layout
        self.types = reference.description.types
        self.complexity = complexity
        self._check_ranges = check_ranges
        # Inside a loop: the append method that collects strings, if they are joined.
        self._parts: str | None = None
        self._loops = 0
        self.cursor: int | str = cursor

    def record(self, refs: Sequence[TypeRef], values: Sequence[str], offset: int) -> list[Leaf]:
        """Lowers the members of a record that starts at ``offset``."""
        leaves: list[Leaf] = []
        offsets = self.layout.record(refs).offsets
        for ref, value, each in zip(refs, values, offsets, strict=True):
            leaves += self.value(ref, value, offset + each)
        return leaves

    def value(self, ref: TypeRef, value: str, offset: int) -> list[Leaf]:
        """Lowers the value of the expression ``value``, a simple name."""
        if isinstance(ref, str):
            return self._primitive(ref, value, offset)
        type_ = self.types[ref]
        if isinstance(type_, Record):
            return self._record(type_, value, offset)
        if isinstance(type_, Tuple):
            return self._tuple(type_, value, offset)
        if isinstance(type_, List):
            return self._list(type_, value, offset)
        if isinstance(type_, Enum):
            return [self._enum(type_, value, offset)]
        if isinstance(type_, Flags):
            return self._flags(type_, value, offset)
        if isinstance(type_, Option):
            return lower_cases.option(self, type_, value, offset)
        if isinstance(type_, Result):
            return lower_cases.result(self, type_, value, offset)
        if isinstance(type_, Variant):
            return lower_cases.variant(self, type_, value, offset)
        if isinstance(type_, Borrow):
            handle = self.source.fresh("handle")
            self.source.line(f"{handle} = _lower_borrow({type_.resource}, {value})")
            return [Leaf(offset, "I", handle)]
        raise TypeError(f"{type(type_).__name__} is not lowered inline")

    def _primitive(self, name: str, value: str, offset: int) -> list[Leaf]:
        source = self.source
        if name == "string":
            return self._string(value, offset)
        if name == "char":
            code = source.fresh("code")
            source.line(f"{code} = ord({value})")
            source.require(f"type({value}) is not str or 0xD7FF < {code} < 0xE000")
            return [Leaf(offset, "I", code)]
        if name == "bool":
            source.require(f"type({value}) is not bool")
            return [Leaf(offset, "?", value)]
        if name in ("f32", "f64"):
            source.require(f"type({value}) is not float and type({value}) is not int")
        else:
            source.require(f"type({value}) is not int")
            if self._check_ranges:
                low, high = INTEGER_RANGE[name]
                source.require(f"not {low} <= {value} <= {high}")
        return [Leaf(offset, NUMBER_FORMAT[name], value)]

    def _string(self, value: str, offset: int) -> list[Leaf]:
        source = self.source
        source.require(f"type({value}) is not str")
        data = source.fresh("data")
        if self._loops:
            source.line(f"{data} = {value}.encode()")
            return self._bytes(data, offset, 1, 0)
        length, pointer = source.fresh("length"), self._aligned(1)
        copy = source.constant("copy_text", fast_values.copy_text, fast_values.copy_text)
        with source.block(f"if len({value}) > {fast_values.LONG_TEXT}:"):
            source.line(f"{length} = {copy}(_memory, {pointer}, {value})")
            source.line(f"_cursor = {pointer} + {length}")
        with source.block("else:"):
            source.line(f"{data} = {value}.encode()")
            source.line(f"{length} = len({data})")
            source.line(f"_cursor = {pointer} + {length}")
            source.line(f"_memory[{pointer}:_cursor] = {data}")
        self.cursor = "_cursor"
        return [Leaf(offset, "I", str(pointer)), Leaf(offset + 4, "I", length)]

    def _bytes(self, data: str, offset: int, align: int, shift: int) -> list[Leaf]:
        """Copies a byte buffer to the cursor; its elements have ``1 << shift`` bytes."""
        source = self.source
        length = source.fresh("length")
        source.line(f"{length} = len({data})")
        pointer = self._aligned(align)
        source.line(f"_cursor = {pointer} + {length}")
        if self._parts is not None:
            source.line(f"{self._parts}({data})")
        else:
            source.line(f"_memory[{pointer}:_cursor] = {data}")
        self.cursor = "_cursor"
        count = f"{length} >> {shift}" if shift else length
        return [Leaf(offset, "I", str(pointer)), Leaf(offset + 4, "I", count)]

    def _aligned(self, align: int) -> int | str:
        """The cursor, aligned: a number while it is known, else a new name."""
        if isinstance(self.cursor, int):
            return align_up(self.cursor, align)
        pointer = self.source.fresh("pointer")
        aligned = "_cursor" if align == 1 else f"(_cursor + {align - 1}) & {-align}"
        self.source.line(f"{pointer} = {aligned}")
        return pointer

    def variable_cursor(self) -> None:
        """Makes the cursor a variable, where branches or loops may move it."""
        if isinstance(self.cursor, int):
            self.source.line(f"_cursor = {self.cursor}")
            self.cursor = "_cursor"

    def _record(self, type_: Record, value: str, offset: int) -> list[Leaf]:
        source = self.source
        names = [snake_case(each.name) for each in type_.fields]
        fields = [source.fresh(name) for name in names]
        with source.block(f"if type({value}) is dict:"):
            source.require(f"len({value}) != {len(names)}")
            for field, name in zip(fields, names, strict=True):
                source.line(f"{field} = {value}[{name!r}]")
        with source.block("else:"):
            for field, name in zip(fields, names, strict=True):
                source.line(f"{field} = {value}.{name}")
        return self.record([each.type for each in type_.fields], fields, offset)

    def _tuple(self, type_: Tuple, value: str, offset: int) -> list[Leaf]:
        source = self.source
        source.require(f"type({value}) is not tuple and type({value}) is not list")
        if not type_.types:
            source.require(f"len({value})")
            return []
        items = [source.fresh("item") for _ in type_.types]
        source.line(f"{', '.join(items)}, = {value}")
        return self.record(type_.types, items, offset)

    def _enum(self, type_: Enum, value: str, offset: int) -> Leaf:
        source = self.source
        table = {case.name: index for index, case in enumerate(type_.cases)}
        indices = source.constant("cases", table, (type_.index, "cases"))
        index = source.fresh("case")
        key = f"{value} if type({value}) is str else {value}._value_"
        source.line(f"{index} = {indices}[{key}]")
        return Leaf(offset, DISCRIMINANT_FORMAT[discriminant_size(len(type_.cases))], index)

    def _flags(self, type_: Flags, value: str, offset: int) -> list[Leaf]:
        source = self.source
        flag = source.constant("Flag", Flag, Flag)
        from_names = source.constant("flag_bits", fast_values.flag_bits, fast_values.flag_bits)
        table = {each.name: 1 << index for index, each in enumerate(type_.flags)}
        names = source.constant("flags", table, (type_.index, "flags"))
        bits = source.fresh("bits")
        source.line(
            f"{bits} = {value}._value_ if isinstance({value}, {flag}) "
            f"else {from_names}({value}, {names})"
        )
        source.require(f"type({bits}) is not int or {bits} & {-1 << len(type_.flags)}")
        size = self.layout.shape(type_.index).size
        if size <= 4:
            return [Leaf(offset, DISCRIMINANT_FORMAT[size], bits)] if size else []
        return [
            Leaf(offset + at, "I", f"{bits} >> {8 * at} & 0xFFFFFFFF") for at in range(0, size, 4)
        ]

    # Lists

    def _list(self, type_: List, value: str, offset: int) -> list[Leaf]:
        if type_.element in FLAT_ELEMENTS:
            return self._flat_list(str(type_.element), value, offset)
        if type_.element == "string":
            return self._text_list(value, offset)
        source = self.source
        element = type_.element
        shape = self.layout.shape(element)
        size, align = shape.size, shape.align
        source.require(f"type({value}) is not list and type({value}) is not tuple")
        self.variable_cursor()
        pointer = self._aligned(align)
        count, at = source.fresh("count"), source.fresh("at")
        source.line(f"{count} = len({value})")
        source.line(f"{at} = {pointer}")
        source.line(f"_cursor = {at} + {count} * {size}")
        source.require("_cursor > _size")
        with self._collected_strings(element):
            item = source.fresh("item")
            self._loops += 1
            with source.block(f"for {item} in {value}:"):
                leaves = self.value(element, item, 0)
                self.pack(leaves, 0, size, at)
                source.line(f"{at} += {size}")
            self._loops -= 1
        return [Leaf(offset, "I", str(pointer)), Leaf(offset + 4, "I", count)]

    def _flat_list(self, element: str, value: str, offset: int) -> list[Leaf]:
        source = self.source
        data = source.fresh("data")
        if element == "u8":
            convert = source.constant("byte_data", fast_values.byte_data, fast_values.byte_data)
            source.line(f"{data} = {value} if type({value}) is bytes else {convert}({value})")
            return self._bytes(data, offset, 1, 0)
        size = self.layout.shape(element).size
        known: dict[str, Callable[..., object]] = {
            "bool": fast_values.bool_data,
            "char": fast_values.char_data,
        }
        function = known.get(element) or fast_values.number_data(element)
        convert = source.constant(f"{element}_data", function, ("data", element))
        source.line(f"{data} = {convert}({value})")
        return self._bytes(data, offset, size, size.bit_length() - 1)

    def _text_list(self, value: str, offset: int) -> list[Leaf]:
        source = self.source
        self.variable_cursor()
        pointer = self._aligned(4)
        lower = source.constant("lower_texts", lower_texts, lower_texts)
        source.line(f"_cursor = {lower}(_memory, {pointer}, {value})")
        return [Leaf(offset, "I", str(pointer)), Leaf(offset + 4, "I", f"len({value})")]

    def _collected_strings(self, element: TypeRef) -> AbstractContextManager[None]:
        """Strings of all elements are joined and copied at once, if nothing else is."""
        return _CollectedStrings(
            self,
            self._parts is None
            and self.complexity.has_payload(element)
            and self.complexity.only_strings(element),
        )

    def pack(self, leaves: Sequence[Leaf], start: int, end: int, at: int | str) -> None:
        """Emits the ``pack_into`` of leaves whose record starts at ``at``."""
        source = self.source
        pack = source.struct(packed_format(leaves, start, end), "pack_into")
        values = "".join(f", {leaf.expression}" for leaf in leaves)
        source.line(f"{pack}(_memory, {at}{values})")


class _CollectedStrings:
    """While active, strings are appended to a list, and copied at the end."""

    def __init__(self, emitter: LowerEmitter, active: bool) -> None:
        self._emitter = emitter
        self._active = active

    def __enter__(self) -> None:
        if self._active:
            source = self._emitter.source
            self._list, self._start = source.fresh("parts"), source.fresh("start")
            append = source.fresh("append")
            source.line(f"{self._list} = []; {append} = {self._list}.append")
            source.line(f"{self._start} = _cursor")
            self._emitter._parts = append

    def __exit__(self, *_: object) -> None:
        if self._active:
            self._emitter._parts = None
            self._emitter.source.line(f"_memory[{self._start}:_cursor] = b''.join({self._list})")
