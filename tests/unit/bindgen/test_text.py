"""Pieces of source: nothing that is quoted gets out of its quotes."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlwasm.bindgen.text import WIDTH, block, docstring, function, header, literal

HOSTILE = [
    '"""',
    'ends with a quote"',
    'ends with many """"',
    "ends with a backslash\\",
    "\\",
    '\\"""; import os',
    "one\ntwo\\\nthree\\",
    "carriage\rreturn\x0bvertical\x0cfeed\x85next\u2028line\u2029paragraph",
    "\x00\x1b[31m\x7f",
    "bidi \u202e txet \u2066isolated\u2069",
    "\ud800 lone surrogate",
    "\N{ZERO WIDTH SPACE}",
    "{braces} %s %(x)s \\N{DIGIT ONE} \\u0041 \\x41",
    '"',
    '""',
    "'''",
    "#\n  indented\n\ttabs",
]
texts = st.one_of(
    st.text(),
    st.text(alphabet="\"\\\n\r '#{}N u0041\u202e\u2028\x0c"),
    st.sampled_from(HOSTILE),
)


def whole(text: str) -> str:
    """With U+FFFD for halves of surrogates."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def only_docstring(lines: list[str]) -> str | None:
    """The value of a docstring in a class, which must be all that there is."""
    source = "\n".join(["class C:", *lines, "    x = 1"])
    assert source.isprintable() or set(source) - {"\n"} <= {c for c in source if c.isprintable()}
    (cls,) = ast.parse(source).body
    assert isinstance(cls, ast.ClassDef)
    *before, last = cls.body
    assert isinstance(last, ast.Assign)
    if not before:
        return None
    (only,) = before
    assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
    value = only.value.value
    assert isinstance(value, str)
    return value


@given(texts)
def test_a_docstring_says_the_text_and_nothing_else(text: str) -> None:
    value = only_docstring(docstring(text, "    "))
    expected = whole(text).expandtabs(4).strip()
    if value is None:
        assert not any(line.rstrip() for line in expected.split("\n"))
        return
    shown = [line.strip() for line in value.strip().split("\n")]
    assert shown == [line.strip() for line in expected.split("\n")]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_docstrings(text: str) -> None:
    value = only_docstring(docstring(text, "    "))
    assert value is not None
    assert value.split() == whole(text).split()


@given(texts)
def test_a_literal_is_its_text(text: str) -> None:
    source = literal(text)
    assert source.isascii()
    assert "\n" not in source
    assert ast.literal_eval(source) == whole(text)


def test_very_long_documentation_is_cut() -> None:
    assert len("\n".join(docstring("x" * 1_000_000))) < 25_000


def test_long_signatures_are_wrapped() -> None:
    few = header("def f", ["self", "a: int"], " -> int: ...", "    ")
    assert few == ["    def f(self, a: int) -> int: ..."]
    some = header("def function", ["self", *[f"parameter{i}: str" for i in range(3)]], " -> int:")
    assert some == [
        "def function(self, parameter0: str, parameter1: str, parameter2: str) -> int:",
    ]
    many = header("def function", ["self", *[f"parameter{i}: str" for i in range(4)]], " -> int:")
    assert many == [
        "def function(",
        "    self, parameter0: str, parameter1: str, parameter2: str, parameter3: str",
        ") -> int:",
    ]
    most = header("def function", ["self", *[f"parameter{i}: str" for i in range(9)]], " -> int:")
    assert most[:2] == ["def function(", "    self,"]
    assert most[-1] == ") -> int:"
    assert max(map(len, few + some + many + most)) <= WIDTH


def test_a_function_that_is_declared_only() -> None:
    assert function("f", ["self"], "None", "") == ["def f(self) -> None: ..."]
    assert function("f", ["self"], "None", "What.", decorators=["d"]) == [
        "@d",
        "def f(self) -> None:",
        '    """What."""',
        "    ...",
    ]


def test_a_class_without_anything() -> None:
    assert block(["class A:"], "", []) == ["class A: ..."]
