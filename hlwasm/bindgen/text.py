"""Pieces of Python source, made of text that nobody vouches for.

Documentation and names come out of a component, or out of somebody's WIT: whatever of them
reaches generated source goes through this module, as a string literal or a docstring.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

INDENT = "    "
# What formatters wrap at unless they are told otherwise.
WIDTH = 88
# Documentation is for reading; more than this is no documentation.
_LONGEST_DOCS = 20_000


def literal(text: str) -> str:
    """A string literal: ASCII, in double quotes, with U+FFFD for halves of surrogates."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(c if " " <= c <= "~" else _escape(c) for c in escaped)}"'


def docstring(text: str, indent: str = "") -> list[str]:
    """The lines of a docstring that says ``text``, whatever it contains."""
    lines = [
        _escaped(line.rstrip()) for line in text[:_LONGEST_DOCS].expandtabs(4).strip().split("\n")
    ]
    if not any(lines):
        return []
    if len(lines) == 1 and len(indent) + len(lines[0]) + 6 <= WIDTH:
        return [f'{indent}"""{lines[0]}"""']
    shown = [f"{indent}{line}" if line else "" for line in lines]
    return [f'{indent}"""{lines[0]}', *shown[1:], f'{indent}"""']


def _escaped(line: str) -> str:
    """One line for inside triple quotes; what is not printable becomes an escape."""
    # Of quotes those that could join others.
    line = re.sub(r'"(?="|\Z)', r'\\"', line.replace("\\", "\\\\"))
    return "".join(c if c.isprintable() else _escape(c) for c in line)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code < 0xE000:
        # Half a character, which a docstring must not have.
        code = 0xFFFD
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sentence(*parts: str | None) -> str:
    """Paragraphs, without those that are empty."""
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def header(
    head: str, arguments: Sequence[str], tail: str, indent: str = "", brackets: str = "()"
) -> list[str]:
    """``head(arguments)tail``, wrapped as Python's formatters do.

    >>> header("def add", ["self", "a: int"], " -> int: ...")
    ['def add(self, a: int) -> int: ...']
    """
    joined = ", ".join(arguments)
    opening, closing = brackets[0], brackets[1]
    line = f"{indent}{head}{opening}{joined}{closing}{tail}"
    if len(line) <= WIDTH or not arguments:
        return [line]
    inner = indent + INDENT
    first, last = f"{indent}{head}{opening}", f"{indent}{closing}{tail}"
    if len(inner) + len(joined) <= WIDTH and len(last) <= WIDTH:
        return [first, inner + joined, last]
    return [first, *[f"{inner}{each}," for each in arguments], last]


def function(
    name: str,
    arguments: Sequence[str],
    returns: str,
    docs: str,
    indent: str = "",
    *,
    prefix: str = "def",
    decorators: Sequence[str] = (),
) -> list[str]:
    """A function that is declared only: its body is its documentation, or an ellipsis."""
    body = docstring(docs, indent + INDENT)
    if body:
        # Type checkers take a docstring alone for a body that returns None.
        body.append(f"{indent}{INDENT}...")
    tail = f" -> {returns}:" if body else f" -> {returns}: ..."
    head = header(f"{prefix} {name}", arguments, tail, indent)
    return [*[f"{indent}@{each}" for each in decorators], *head, *body]


def block(head: list[str], docs: str, members: Sequence[list[str]], indent: str = "") -> list[str]:
    """A class: its head, docstring, and members with an empty line between them."""
    inner = indent + INDENT
    parts = [part for part in (docstring(docs, inner), *members) if part]
    if not parts:
        return [*head[:-1], f"{head[-1]} ..."]
    lines = list(head)
    for number, part in enumerate(parts):
        if number:
            lines.append("")
        lines += part
    return lines
