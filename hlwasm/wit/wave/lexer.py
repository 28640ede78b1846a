"""WAVE text to tokens."""

from __future__ import annotations

import re
from typing import NamedTuple

from hlwasm.errors import WitValueError
from hlwasm.wit.excerpt import excerpt

#: Words that are not labels unless a ``%`` stands before them.
KEYWORDS = frozenset(["true", "false", "some", "none", "ok", "err", "inf", "nan"])

_ESCAPE = r"""\\(?:['"tnr\\]|u\{[0-9a-fA-F]{1,6}\})"""
_WORD = "(?:[a-z][a-z0-9]*|[A-Z][A-Z0-9]*)"
_LATER_WORD = "(?:[a-z0-9]+|[A-Z0-9]+)"

_TOKEN = re.compile(
    rf"""
      (?P<space>(?:[ \t\n\r]|//[^\n]*)+)
    | (?P<punctuation>[{{}}()\[\]:,])
    | (?P<number>-inf(?![\w%-])|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.%]))
    | (?P<label>%?{_WORD}(?:-{_LATER_WORD})*(?![\w%-]))
    | (?P<block>
        \"\"\"\r?\n (?P<body>(?:(?!\\?\"\"\")(?:[^\\]|{_ESCAPE}))*?) (?P<indent>(?<=\n)[ ]*) \"\"\"
      )
    | (?P<string>"(?!"")[^\\"\n]*(?:{_ESCAPE}[^\\"\n]*)*")
    | (?P<char>'(?:[^\\'\n]|{_ESCAPE})')
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPED = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|(.))", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SIMPLE = {"t": "\t", "n": "\n", "r": "\r"}


class WaveError(WitValueError):
    """The text is no value of the wanted type.

    Attributes:
        line, column: where, both from 1.
        problem: what is wrong, in one line.
    """

    def __init__(self, text: str, offset: int, problem: str) -> None:
        self.problem = problem
        self.line = text.count("\n", 0, offset) + 1
        start = text.rfind("\n", 0, offset) + 1
        self.column = offset - start + 1
        end = text.find("\n", offset)
        source = text[start : len(text) if end < 0 else end]
        where = f"line {self.line}, column {self.column}"
        super().__init__(f"{where}: {problem}\n{excerpt(source, self.column)}")


class Token(NamedTuple):
    """A token: kind, its meaning (strings decoded, labels without ``%``), and its place."""

    kind: str
    value: str
    offset: int
    #: Whether a label was written with ``%``.
    quoted: bool = False

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        if self.kind in ("string", "char"):
            return f"a {self.kind}"
        return repr(self.value)


def tokens(text: str, start: int = 0) -> list[Token]:
    """All tokens from ``start``, and one of kind ``end``.

    Raises:
        WaveError: something is no token.
    """
    found: list[Token] = []
    offset = start
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise WaveError(text, offset, _what_is_wrong(text, offset))
        kind = str(match.lastgroup)
        value = match[0]
        if kind == "label":
            found.append(Token(kind, value.lstrip("%"), offset, value.startswith("%")))
        elif kind in ("string", "char"):
            found.append(Token(kind, _decode(text, value[1:-1], offset + 1), offset))
        elif kind == "block":
            found.append(Token("string", _block(text, match), offset))
        elif kind != "space":
            found.append(Token(kind, value, offset))
        offset = match.end()
    found.append(Token("end", "", len(text)))
    return found


def _decode(text: str, source: str, offset: int) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return _SIMPLE.get(match[2], match[2])
        code = int(match[1], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise WaveError(text, offset + match.start(), f"{match[0]} is no Unicode scalar value")
        return chr(code)

    decoded = _ESCAPED.sub(replace, source) if "\\" in source else source
    surrogate = None if decoded.isascii() else _SURROGATE.search(decoded)
    if surrogate is not None:
        place = offset + surrogate.start()
        raise WaveError(text, place, "surrogates are no Unicode scalar values")
    return decoded


def _block(text: str, match: re.Match[str]) -> str:
    """The string in triple quotes: less indented by the spaces before the closing quotes."""
    indent = match["indent"]
    offset = match.start("body")
    lines = []
    # The body ends with the line break before the closing quotes.
    for line in match["body"].split("\n")[:-1]:
        if not line.startswith(indent):
            raise WaveError(
                text, offset, f"the line is indented less than its closing quotes ({len(indent)})"
            )
        content = line[len(indent) :].removesuffix("\r")
        lines.append(_decode(text, content, offset + len(indent)))
        offset += len(line) + 1
    return "\n".join(lines)


def _what_is_wrong(text: str, offset: int) -> str:
    rest = text[offset:]
    if rest.startswith('"""'):
        return 'a string in """ starts on the next line, and """ ends it on a line of its own'
    if rest[0] == '"':
        return "the string does not end on this line, or has an unknown escape"
    if rest[0] == "'":
        return "a char is one character or one escape in single quotes"
    if rest[0] in "-0123456789":
        return "this is no number"
    return f"unexpected {rest[0]!r}"
