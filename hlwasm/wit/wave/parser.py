"""WAVE text to values, guided by the type."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from hlwasm.codec.checks import INTEGER_RANGE
from hlwasm.errors import Err
from hlwasm.wit.model import (
    Case,
    Description,
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
from hlwasm.wit.names import upper_camel_case
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import type_text
from hlwasm.wit.values import Ok, Some
from hlwasm.wit.wave.lexer import KEYWORDS, Token, WaveError, tokens


def parse_value(description: Description, ref: TypeRef, text: str) -> Any:
    """Reads one value of a type.

    Raises:
        WaveError: the text is no value of the type.
    """
    parser = Parser(description, text)
    value = parser.value(ref)
    parser.end()
    return value


class Parser:
    """Reads values off a text, one after the other."""

    def __init__(self, description: Description, text: str, start: int = 0) -> None:
        self._description = description
        self._python = python_types(description)
        self._text = text
        self._tokens = tokens(text, start)
        self._next = 0

    # Tokens

    def peek(self) -> Token:
        """The next token, which stays."""
        return self._tokens[self._next]

    def take(self) -> Token:
        """The next token, which is used up."""
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def at(self, punctuation: str) -> bool:
        """Whether the next token is this."""
        token = self._tokens[self._next]
        return token.kind == "punctuation" and token.value == punctuation

    def expect(self, punctuation: str, what: str) -> Token:
        """Takes this token, or says that ``what`` needs it."""
        if not self.at(punctuation):
            raise self.error(f"expected {punctuation!r} for {what}, got {self.peek()}")
        return self.take()

    def end(self) -> None:
        """Nothing may be left."""
        if self.peek().kind != "end":
            raise self.error(f"unexpected {self.peek()} after the value")

    def error(self, problem: str, token: Token | None = None) -> WaveError:
        """A WaveError at a token, the next one by default."""
        return WaveError(self._text, (token or self.peek()).offset, problem)

    # Values

    def value(self, ref: TypeRef) -> Any:
        """Reads one value of a type."""
        if isinstance(ref, str):
            return self._primitive(ref)
        type_ = self._description.types[ref]
        if isinstance(type_, Record):
            return self._record(type_)
        if isinstance(type_, Tuple):
            return self._tuple(type_)
        if isinstance(type_, List):
            items = list(self._sequence("[", "]", self._type(ref), type_.element))
            return bytes(items) if type_.element == "u8" else items
        if isinstance(type_, Option):
            return self._option(type_)
        if isinstance(type_, Result):
            return self._result(type_)
        if isinstance(type_, Variant):
            return self._variant(type_)
        if isinstance(type_, Enum):
            return self._enum(type_)
        if isinstance(type_, Flags):
            return self._flags(type_)
        raise self.error(f"a {self._type(ref)} is a resource and cannot be written as text")

    def _type(self, ref: TypeRef) -> str:
        return type_text(self._description, ref)

    def _primitive(self, name: str) -> Any:
        token = self.take()
        if name == "bool":
            if token.kind == "label" and not token.quoted and token.value in ("true", "false"):
                return token.value == "true"
        elif name in ("string", "char"):
            if token.kind == name:
                return token.value
        elif name in ("f32", "f64"):
            if token.kind == "number" or (
                token.kind == "label" and not token.quoted and token.value in ("inf", "nan")
            ):
                return self._float(name, token)
        elif token.kind == "number" and token.value.lstrip("-").isdigit():
            low, high = INTEGER_RANGE[name]
            # More digits than any 64-bit number has: Python limits what int() reads.
            number = int(token.value) if len(token.value) <= 20 else high + 1
            if not low <= number <= high:
                problem = f"{token.value[:40]} does not fit {name} ({low} to {high})"
                raise self.error(problem, token)
            return number
        raise self.error(f"expected {name}, got {token}", token)

    def _float(self, name: str, token: Token) -> float:
        number = float(token.value)
        if name == "f64":
            return number
        try:
            return float(struct.unpack("<f", struct.pack("<f", number))[0])
        except OverflowError:
            raise self.error(f"{token.value[:40]} does not fit f32", token) from None

    def _sequence(self, opening: str, closing: str, what: str, ref: TypeRef) -> Iterator[Any]:
        self.expect(opening, what)
        while not self.at(closing):
            yield self.value(ref)
            if not self.at(closing):
                self.expect(",", what)
        self.take()

    def _tuple(self, type_: Tuple) -> tuple[Any, ...]:
        what = self._type(type_.index)
        self.expect("(", what)
        items: list[Any] = []
        for ref in type_.types:
            if items:
                self.expect(",", what)
            if self.at(")"):
                raise self.error(f"{what} has {len(type_.types)} values, not {len(items)}")
            items.append(self.value(ref))
        if items and self.at(","):
            self.take()
        self.expect(")", what)
        return tuple(items)

    def _record(self, type_: Record) -> Any:
        what = self._type(type_.index)
        start = self.expect("{", what)
        refs = {each.name: each.type for each in type_.fields}
        values: dict[str, Any] = {}
        if self.at(":"):
            self.take()
            self.expect("}", what)
        else:
            if self.at("}"):
                raise self.error(f"the {what} without fields is written {{:}}")
            while not self.at("}"):
                label = self._label(f"a field of {what}", keywords=True)
                if label.value not in refs:
                    problem = f"{what} has no field {label.value}; it has {', '.join(refs)}"
                    raise self.error(problem, label)
                if label.value in values:
                    raise self.error(f"{label.value} is there twice", label)
                self.expect(":", f"field {label.value}")
                values[label.value] = self.value(refs[label.value])
                if not self.at("}"):
                    self.expect(",", what)
            self.take()
        missing = []
        for name, ref in refs.items():
            if name not in values:
                if self._python.is_option(ref):
                    values[name] = None
                else:
                    missing.append(name)
        if missing:
            raise self.error(f"{what} lacks {', '.join(missing)}", start)
        return self._python[type_.index](*[values[name] for name in refs])

    def _option(self, type_: Option) -> Any:
        token = self.peek()
        nested = self._python.is_option(type_.some)
        if token.kind == "label" and not token.quoted:
            if token.value == "none":
                self.take()
                return None
            if token.value == "some":
                self.take()
                payload = self._payload(type_.some, "some")
                return Some(payload) if nested else payload
        self._check_bare(type_.some, self._type(type_.index), "some(…) or none")
        return self.value(type_.some)

    def _result(self, type_: Result) -> Any:
        token = self.peek()
        if token.kind == "label" and not token.quoted and token.value in ("ok", "err"):
            self.take()
            ref = type_.ok if token.value == "ok" else type_.err
            payload = None if ref is None else self._payload(ref, token.value)
            return Ok(payload) if token.value == "ok" else Err(payload)
        if type_.ok is None:
            raise self.error(f"expected ok or err for {self._type(type_.index)}, got {token}")
        self._check_bare(type_.ok, self._type(type_.index), "ok(…) or err(…)")
        return Ok(self.value(type_.ok))

    def _check_bare(self, ref: TypeRef, what: str, forms: str) -> None:
        """A bare payload must not be an option or result: it would be ambiguous."""
        if isinstance(ref, int) and isinstance(self._description.types[ref], (Option, Result)):
            raise self.error(f"expected {forms} for {what}, got {self.peek()}")

    def _payload(self, ref: TypeRef, what: str) -> Any:
        self.expect("(", f"the payload of {what}")
        value = self.value(ref)
        self.expect(")", f"the payload of {what}")
        return value

    def _label(self, what: str, keywords: bool = False) -> Token:
        token = self.take()
        if token.kind != "label":
            raise self.error(f"expected {what}, got {token}", token)
        if token.value in KEYWORDS and not (token.quoted or keywords):
            problem = f"{token.value} is a keyword here; the name is written %{token.value}"
            raise self.error(f"expected {what}: {problem}", token)
        return token

    def _named(self, what: str, find: Callable[[str], int | None], names: list[str]) -> int:
        token = self._label(f"a case of {what}")
        index = find(token.value)
        if index is None:
            known = ", ".join(names)
            raise self.error(f"{what} has no case {token.value}; it has {known}", token)
        return index

    def _variant(self, type_: Variant) -> Any:
        names = [each.name for each in type_.cases]
        index = self._named(type_.name or "the variant", _finder(names), names)
        case: Case = type_.cases[index]
        cls = getattr(self._python[type_.index], upper_camel_case(case.name))
        return cls() if case.type is None else cls(self._payload(case.type, case.name))

    def _enum(self, type_: Enum) -> Any:
        names = [each.name for each in type_.cases]
        index = self._named(type_.name or "the enum", _finder(names), names)
        return self._python[type_.index](names[index])

    def _flags(self, type_: Flags) -> Any:
        what = type_.name or "the flags"
        names = [each.name for each in type_.flags]
        find = _finder(names)
        bits = 0
        self.expect("{", what)
        while not self.at("}"):
            token = self._label(f"a flag of {what}", keywords=True)
            index = find(token.value)
            if index is None:
                known = ", ".join(names)
                raise self.error(f"{what} has no flag {token.value}; it has {known}", token)
            if bits >> index & 1:
                raise self.error(f"{token.value} is there twice", token)
            bits |= 1 << index
            if not self.at("}"):
                self.expect(",", what)
        self.take()
        return self._python[type_.index].from_bits(bits)  # type: ignore[attr-defined]


def _finder(names: list[str]) -> Callable[[str], int | None]:
    return {name: index for index, name in enumerate(names)}.get
