"""Generated code that lifts: canonical-ABI bytes to Python values.

A value is declared first: its leaves get names, so that one ``unpack_from`` reads the
whole record, each byte once. Then it is built: statements that check and read payload,
and an expression. Payload of variants with several payload types is read as bytes and
unpacked in the branch of its case.

Whatever is not valid raises some exception, and the plain codec lifts again to say what.
Names in generated code: ``_memory``, its length ``_size``, and ``_used``, the payload
bytes read so far, which together cannot exceed the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import starmap

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.complexity import FLAT_ELEMENTS, Complexity
from hlwasm.codec.layout import DISCRIMINANT_FORMAT, Layout, discriminant_size
from hlwasm.codec.number_lists import copying_template
from hlwasm.codec.reference import Reference
from hlwasm.codec.source import Leaf, Source, packed_format
from hlwasm.codec.text_lists import lift_texts
from hlwasm.errors import Err
from hlwasm.wit.model import (
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
from hlwasm.wit.names import upper_camel_case
from hlwasm.wit.values import Ok, Some

# More cases without payload than this are made through a table.
_LONGEST_CHAIN = 4
# What `struct` unpacks is the value.
_AS_UNPACKED = frozenset([*NUMBER_FORMAT, "bool"])

#: Emits the statements that build a declared value; returns its expression.
Build = Callable[[], str]


class LiftEmitter:
    """Emits the lifting of values into a source.

    Args:
        source: where statements go.
        reference: the plain codec of the same description.
        complexity: its measures.
        views: strings and lists of numbers are views of the memory, made by ``_view``.
    """

    def __init__(
        self, source: Source, reference: Reference, complexity: Complexity, views: bool = False
    ) -> None:
        self._views = views
        self._number_lists = reference.description.number_lists
        self._source = source
        self._layout: Layout = reference.layout
        self._python = reference.python
        self._types = reference.description.types
        self._complexity = complexity

    def record(self, refs: Sequence[TypeRef], offset: int, leaves: list[Leaf]) -> list[Build]:
        """Declares the members of a record that starts at ``offset``."""
        offsets = self._layout.record(refs).offsets
        return [
            self.declare(ref, offset + each, leaves)
            for ref, each in zip(refs, offsets, strict=True)
        ]

    def unpack(self, leaves: Sequence[Leaf], start: int, memory: str, at: int | str) -> None:
        """Emits the ``unpack_from`` of declared leaves whose record starts at ``at``."""
        if leaves:
            unpack = self._source.struct(packed_format(leaves, start, start), "unpack_from")
            names = ", ".join(leaf.expression for leaf in leaves)
            self._source.line(f"{names}, = {unpack}({memory}, {at})")

    def declare(self, ref: TypeRef, offset: int, leaves: list[Leaf]) -> Build:
        """Adds the value's leaves; returns what builds it once they are unpacked."""
        if isinstance(ref, str):
            return self._primitive(ref, offset, leaves)
        type_ = self._types[ref]
        if isinstance(type_, Record):
            members = self.record([each.type for each in type_.fields], offset, leaves)
            cls = self._source.constant("class", self._python[ref], self._python[ref])
            return lambda: f"{cls}({', '.join([build() for build in members])})"
        if isinstance(type_, Tuple):
            members = self.record(type_.types, offset, leaves)
            return lambda: f"({''.join([build() + ', ' for build in members])})"
        if isinstance(type_, List):
            return self._list(type_, offset, leaves)
        if isinstance(type_, Enum):
            return self._enum(type_, offset, leaves)
        if isinstance(type_, Flags):
            return self._flags(type_, offset, leaves)
        if isinstance(type_, Option):
            return self._option(type_, offset, leaves)
        if isinstance(type_, Result):
            return self._result(type_, offset, leaves)
        if isinstance(type_, Variant):
            return self._variant(type_, offset, leaves)
        if isinstance(type_, (Own, Borrow)):
            handle = self._leaf("handle", offset, "I", leaves)
            kind = "own" if isinstance(type_, Own) else "borrow"
            return lambda: f"_lift_{kind}({type_.resource}, {handle})"
        raise TypeError(f"{type(type_).__name__} is not lifted inline")

    def _leaf(self, hint: str, offset: int, format: str, leaves: list[Leaf]) -> str:
        name = self._source.fresh(hint)
        leaves.append(Leaf(offset, format, name))
        return name

    def _primitive(self, name: str, offset: int, leaves: list[Leaf]) -> Build:
        if name == "string":
            return self._string(offset, leaves)
        if name == "char":
            code = self._leaf("code", offset, "I", leaves)

            def build_char() -> str:
                self._source.require(f"0xD7FF < {code} < 0xE000")
                return f"chr({code})"

            return build_char
        value = self._leaf("value", offset, NUMBER_FORMAT.get(name, "?"), leaves)
        return lambda: value

    def _payload(self, offset: int, size: int, align: int, leaves: list[Leaf]) -> tuple[str, Build]:
        """Declares pointer and count; the Build checks them and returns the end's name."""
        source = self._source
        pointer = self._leaf("pointer", offset, "I", leaves)
        count = self._leaf("count", offset + 4, "I", leaves)

        def check() -> str:
            end = source.fresh("end")
            length = count if size == 1 else f"{count} * {size}"
            source.line(f"{end} = {pointer} + {length}")
            source.line(f"_used += {length}")
            source.require(f"{end} > _size or _used > _size")
            if align > 1:
                source.require(f"{pointer} & {align - 1}")
            return end

        return pointer, check

    def _string(self, offset: int, leaves: list[Leaf]) -> Build:
        pointer, check = self._payload(offset, 1, 1, leaves)
        if self._views:
            return lambda: f"_view(_memory[{pointer}:{check()}], 'B')"
        return lambda: f"str(_memory[{pointer}:{check()}], 'utf-8')"

    def _list(self, type_: List, offset: int, leaves: list[Leaf]) -> Build:
        element = type_.element
        shape = self._layout.shape(element)
        size, align = shape.size, shape.align
        pointer, check = self._payload(offset, size, align, leaves)
        template = self._list_template(element)
        if template:
            return lambda: template.format(f"_memory[{pointer}:{check()}]")
        if element == "string" and not self._views:
            return lambda: self._text_list(pointer, check())

        def build() -> str:
            source = self._source
            end = check()
            items, append = source.fresh("items"), source.fresh("append")
            source.line(f"{items} = []; {append} = {items}.append")
            inner: list[Leaf] = []
            build_item = self.declare(element, 0, inner)
            rows = source.struct(packed_format(inner, 0, size), "iter_unpack")
            names = ", ".join(leaf.expression for leaf in inner)
            with source.block(f"for {names}, in {rows}(_memory[{pointer}:{end}]):"):
                source.line(f"{append}({build_item()})")
            return items

        return build

    def _text_list(self, pointer: str, end: str) -> str:
        source = self._source
        texts, total = source.fresh("texts"), source.fresh("total")
        lift = source.constant("lift_texts", lift_texts, lift_texts)
        source.line(f"{texts}, {total} = {lift}(_memory, {pointer}, {end})")
        source.line(f"_used += {total}")
        source.require("_used > _size")
        return texts

    def _list_template(self, element: TypeRef) -> str:
        """An expression that makes the list of the bytes in its braces; empty where it takes
        statements for each element.
        """
        if element in FLAT_ELEMENTS:
            return self._flat_template(str(element))
        type_ = self._types[element] if isinstance(element, int) else None
        size = self._layout.shape(element).size
        if isinstance(type_, Enum) and size == 1:
            return f"list(map({self._members(type_)}.__getitem__, {{}}))"
        if not isinstance(type_, (Record, Tuple)) or not set(self._layout.parts(type_.index)) <= (
            _AS_UNPACKED
        ):
            return ""
        leaves: list[Leaf] = []
        self.record(self._layout.parts(type_.index), 0, leaves)
        rows = self._source.struct(packed_format(leaves, 0, size), "iter_unpack")
        if isinstance(type_, Tuple):
            return f"list({rows}({{}}))"
        cls = self._source.constant("class", self._python[type_.index], self._python[type_.index])
        return f"list({self._source.constant('starmap', starmap, starmap)}({cls}, {rows}({{}})))"

    def _flat_template(self, element: str) -> str:
        if element == "bool":
            return "list(map(bool, {}))"
        if element == "char":
            return "list(str({}, 'utf-32-le'))"
        if self._views:
            return f"_view({{}}, {NUMBER_FORMAT[element]!r})"
        return copying_template(self._source, self._number_lists, element)

    def _enum(self, type_: Enum, offset: int, leaves: list[Leaf]) -> Build:
        members = self._members(type_)
        format = DISCRIMINANT_FORMAT[discriminant_size(len(type_.cases))]
        index = self._leaf("case", offset, format, leaves)
        return lambda: f"{members}[{index}]"

    def _members(self, type_: Enum) -> str:
        cls = self._python[type_.index]
        return self._source.constant("members", tuple(cls), ("members", cls))  # type: ignore[arg-type]

    def _flags(self, type_: Flags, offset: int, leaves: list[Leaf]) -> Build:
        cls = self._python[type_.index]
        from_bits = self._source.constant("flags", cls.from_bits, ("flags", cls))  # type: ignore[attr-defined]
        size = self._layout.shape(type_.index).size
        if size <= 4:
            format = DISCRIMINANT_FORMAT.get(size)
            bits = self._leaf("bits", offset, format, leaves) if format else "0"
        else:
            words = [self._leaf("bits", offset + at, "I", leaves) for at in range(0, size, 4)]
            bits = " | ".join(f"{word} << {32 * i}" for i, word in enumerate(words))
        return lambda: f"{from_bits}({bits})"

    # Cases

    def _option(self, type_: Option, offset: int, leaves: list[Leaf]) -> Build:
        template = "{}"
        if self._python.is_option(type_.some):
            template = f"{self._source.constant('Some', Some, Some)}({{}})"
        return self._cases((None, type_.some), ["None", template], offset, leaves)

    def _result(self, type_: Result, offset: int, leaves: list[Leaf]) -> Build:
        ok = self._source.constant("Ok", Ok, Ok)
        err = self._source.constant("Err", Err, Err)
        templates = [
            f"{ok}(None)" if type_.ok is None else f"{ok}({{}})",
            f"{err}(None)" if type_.err is None else f"{err}({{}})",
        ]
        return self._cases((type_.ok, type_.err), templates, offset, leaves)

    def _variant(self, type_: Variant, offset: int, leaves: list[Leaf]) -> Build:
        cls = self._python[type_.index]
        templates = []
        for case in type_.cases:
            case_class = getattr(cls, upper_camel_case(case.name))
            name = self._source.constant("class", case_class, case_class)
            templates.append(f"{name}()" if case.type is None else f"{name}({{}})")
        refs = [case.type for case in type_.cases]
        table = ""
        if refs.count(None) > _LONGEST_CHAIN:
            makers = tuple(getattr(cls, upper_camel_case(case.name)) for case in type_.cases)
            table = self._source.constant("cases", makers, ("makers", cls))
        return self._cases(refs, templates, offset, leaves, table)

    def _cases(
        self,
        cases: Sequence[TypeRef | None],
        templates: Sequence[str],
        offset: int,
        leaves: list[Leaf],
        table: str = "",
    ) -> Build:
        """Declares a value with cases; ``templates`` make each from its payload.

        ``table`` names a tuple that makes the cases without payload, by discriminant.
        """
        source = self._source
        payload_offset, payload_size = self._layout.payload(cases)
        tag_format = DISCRIMINANT_FORMAT[discriminant_size(len(cases))]
        tag = self._leaf("tag", offset, tag_format, leaves)
        payloads = [case for case in cases if case is not None]
        shared: Build | None = None
        packed = ""
        if len(payloads) == 1:
            shared = self.declare(payloads[0], offset + payload_offset, leaves)
        elif payload_size:
            packed = self._leaf("packed", offset + payload_offset, f"{payload_size}s", leaves)

        def build() -> str:
            value = source.fresh("value")
            word = "if"
            for index, (case, template) in enumerate(zip(cases, templates, strict=True)):
                if case is None and table:
                    continue
                with source.block(f"{word} {tag} == {index}:"):
                    expression = template
                    if case is not None:
                        inner = shared() if shared else self._from_bytes(case, packed)
                        expression = template.format(inner)
                    source.line(f"{value} = {expression}")
                word = "elif"
            if table and word == "if":
                source.line(f"{value} = {table}[{tag}]()")
                return value
            with source.block("else:"):
                source.line(f"{value} = {table}[{tag}]()" if table else "raise _Unusual")
            return value

        return build

    def _from_bytes(self, case: TypeRef, packed: str) -> str:
        leaves: list[Leaf] = []
        build = self.declare(case, 0, leaves)
        self.unpack(leaves, 0, packed, 0)
        return build()
