"""Building Python source: lines, blocks, fresh names and the constants they refer to.

Every name that a builder makes starts with an underscore, which no WIT name can, so it
never meets a parameter's name.
"""

from __future__ import annotations

import linecache
import re
import struct
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

_REQUIRE = re.compile(r"if (.*): raise _Unusual\Z", re.DOTALL)
# Longer conditions get a line of their own, to keep generated source readable.
_LONGEST_CONDITION = 120


class Leaf(NamedTuple):
    """One value of a flat record: where it lies, its struct format and its expression."""

    offset: int
    format: str
    expression: str


def packed_format(leaves: Sequence[Leaf], start: int, end: int) -> str:
    """The struct format of leaves in order of their offsets, padded from start to end."""
    position, parts = start, ["<"]
    for leaf in leaves:
        if leaf.offset > position:
            parts.append(f"{leaf.offset - position}x")
        parts.append(leaf.format)
        position = leaf.offset + struct.calcsize("<" + leaf.format)
    if end > position:
        parts.append(f"{end - position}x")
    return "".join(parts)


@lru_cache(maxsize=1024)
def compiled_struct(format: str) -> struct.Struct:
    """One Struct per format, shared by all generated code."""
    return struct.Struct(format)


class Source:
    """Source under construction, and the objects that it names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._depth = 0
        self._count = 0
        self._names: dict[Any, str] = {}

    def line(self, text: str) -> None:
        """Adds a line at the present indentation."""
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Adds a header line; what is added meanwhile is indented under it."""
        self.line(header)
        self._depth += 1
        size = len(self.lines)
        try:
            yield
        finally:
            if len(self.lines) == size:
                self.line("pass")
            self._depth -= 1

    def require(self, problem: str) -> None:
        """Leaves the fast path where ``problem`` holds; adjacent checks become one."""
        indent = "    " * self._depth
        last = self.lines[-1] if self.lines else ""
        if last.startswith(indent) and len(last) < _LONGEST_CONDITION:
            match = _REQUIRE.match(last[len(indent) :])
            if match:
                self.lines[-1] = f"{indent}if {match[1]} or {problem}: raise _Unusual"
                return
        self.line(f"if {problem}: raise _Unusual")

    def fresh(self, hint: str) -> str:
        """A name that is used nowhere else in this source."""
        self._count += 1
        return f"_{hint}_{self._count}"

    def constant(self, hint: str, value: Any, key: Any = None) -> str:
        """The name of an object from outside; equal keys share one name."""
        if key is not None and key in self._names:
            return self._names[key]
        name = self.fresh(hint)
        self.constants[name] = value
        if key is not None:
            self._names[key] = name
        return name

    def struct(self, format: str, method: str) -> str:
        """The name of a bound method of a compiled Struct, such as ``pack_into``."""
        bound = getattr(compiled_struct(format), method)
        return self.constant(method.split("_")[0], bound, (format, method))

    def compile(self, name: str, filename: str, owner: object) -> CodeType:
        """Compiles one function; its source shows in tracebacks and debuggers.

        The source is kept for as long as ``owner`` lives.
        """
        text = "\n".join(self.lines) + "\n"
        module = compile(text, filename, "exec")
        # No modification time: linecache keeps such entries for ever.
        linecache.cache[filename] = (
            len(text), None, text.splitlines(keepends=True), filename
        )  # fmt: skip
        weakref.finalize(owner, linecache.cache.pop, filename, None).atexit = False
        for each in module.co_consts:
            if isinstance(each, CodeType) and each.co_name == name:
                return each
        raise AssertionError(f"the generated source has no function {name}")
