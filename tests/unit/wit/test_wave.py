from __future__ import annotations

import math
from typing import Any

import pytest

from hlwasm.wit.model import Description
from hlwasm.wit.values import Err, Ok, Some
from hlwasm.wit.wave import WaveError, format_value, parse_call, parse_value
from tests.unit.codec.worlds import World


class Kinds:
    """One type of each kind, and what the tests need of them."""

    def __init__(self) -> None:
        world = World()
        self.basic = world.record("basic", required="u8", optional=world.option("u8"))
        self.loose = world.record("loose", a=world.option("u8"), b=world.option("string"))
        self.shape = world.variant(
            "shape", {"circle": "f32", "empty": None, "err": "string", "pair": world.tuple("u8")}
        )
        self.key = world.enum("key", "left", "two-words", "none", "true")
        self.flags = world.flags("perm", "read", "write", "ok")
        self.option = world.option("u8")
        self.nested = world.option(self.option)
        self.option_key = world.option(self.key)
        self.both = world.result("u8", "string")
        self.bare = world.result()
        self.only_err = world.result(None, "u8")
        self.result_option = world.result(self.option)
        self.pair = world.tuple("u8", "string")
        self.bytes = world.list("u8")
        self.numbers = world.list("s16")
        blob = world.resource("blob")
        self.blob = world.borrow(blob)
        world.function("add", {"a": "s32", "b": "s32"}, "s32")
        world.function("get-all", {"first": "u8", "x": self.option, "y": self.option})
        world.function("[static]blob.make", {"a": "u8"})
        world.function("add", {"a": "u8"}, interface="test:codec/more@1.0.0")
        world.function("top", {}, interface=None)
        self.description: Description = world.description()
        for name in ("basic", "loose", "shape", "key", "flags"):
            cls = self.description.python_type(getattr(self, name))
            setattr(self, cls.__name__, cls)


KINDS: Any = Kinds()


def parse(ref: Any, text: str) -> Any:
    return parse_value(KINDS.description, ref, text)


ACCEPTED = [
    ("bool", "true", True),
    ("u8", "255", 255),
    ("s64", "-9223372036854775808", -(2**63)),
    ("u64", "18446744073709551615", 2**64 - 1),
    ("f64", "6.022e+23", 6.022e23),
    ("f64", "-inf", -math.inf),
    ("f64", "5", 5.0),
    ("f32", "0.1", 0.10000000149011612),
    ("char", "'x'", "x"),
    ("char", r"'\''", "'"),
    ("char", "'\"'", '"'),
    ("char", r"'\u{1F600}'", "\U0001f600"),
    ("string", '""', ""),
    ("string", r'"a\t\"\\\n\u{2603}é"', 'a\t"\\\n☃é'),
    ("string", '"no // comment"', "no // comment"),
    ("string", '"""\n"""', ""),
    ("string", '"""\n    a\n  b\n  """', "  a\nb"),
    ("string", '"""\n\nlines\n\n"""', "\nlines\n"),
    ("string", '"""\r\none\r\ntwo\\r\r\n"""', "one\ntwo\r"),
    ("string", '"""\nbroken ""\\"" up \\u{41}\n"""', 'broken """" up A'),
    (KINDS.bytes, "[1, 2,]", b"\x01\x02"),
    (KINDS.numbers, "[]", []),
    (KINDS.numbers, " [ -1 // one\n , 2 ] // two", [-1, 2]),
    (KINDS.pair, '(1, "x")', (1, "x")),
    (KINDS.pair, '(1, "x",)', (1, "x")),
    (KINDS.basic, "{required: 1}", KINDS.Basic(1, None)),
    (KINDS.basic, "{optional: some(2), required: 1,}", KINDS.Basic(1, 2)),
    (KINDS.basic, "{%required: 1, optional: 2}", KINDS.Basic(1, 2)),
    (KINDS.loose, "{:}", KINDS.Loose(None, None)),
    (KINDS.shape, "circle(1.5)", KINDS.Shape.Circle(1.5)),
    (KINDS.shape, "empty", KINDS.Shape.Empty()),
    (KINDS.shape, '%err("x")', KINDS.Shape.Err("x")),
    (KINDS.shape, "pair((7))", KINDS.Shape.Pair((7,))),
    (KINDS.key, "two-words", KINDS.Key.TWO_WORDS),
    (KINDS.key, "%left", KINDS.Key.LEFT),
    (KINDS.key, "%none", KINDS.Key.NONE),
    (KINDS.flags, "{}", KINDS.Perm(0)),
    (KINDS.flags, "{write, read,}", KINDS.Perm.READ | KINDS.Perm.WRITE),
    (KINDS.flags, "{ok}", KINDS.Perm.OK),
    (KINDS.option, "3", 3),
    (KINDS.option, "some(3)", 3),
    (KINDS.option, "none", None),
    (KINDS.nested, "some(none)", Some(None)),
    (KINDS.nested, "some(some(1))", Some(1)),
    (KINDS.nested, "some(1)", Some(1)),
    (KINDS.nested, "none", None),
    (KINDS.option_key, "none", None),
    (KINDS.option_key, "%none", KINDS.Key.NONE),
    (KINDS.both, "4", Ok(4)),
    (KINDS.both, "ok(4)", Ok(4)),
    (KINDS.both, 'err("x")', Err("x")),
    (KINDS.bare, "ok", Ok()),
    (KINDS.bare, "err", Err(None)),
    (KINDS.only_err, "ok", Ok()),
    (KINDS.result_option, "ok(5)", Ok(5)),
]


@pytest.mark.parametrize(("ref", "text", "value"), ACCEPTED)
def test_text_is_read(ref: Any, text: str, value: Any) -> None:
    found = parse(ref, text)
    assert found == value
    assert type(found) is type(value)
    assert parse(ref, format_value(KINDS.description, ref, value)) == value


def test_nan() -> None:
    assert math.isnan(parse("f32", "nan"))
    assert format_value(KINDS.description, "f64", math.nan) == "nan"


REFUSED = [
    ("bool", "1"),
    ("bool", "%true"),
    ("bool", "True"),
    ("u8", "256"),
    ("u8", "-1"),
    ("u8", "1.0"),
    ("u8", "1e2"),
    ("u8", "01"),
    ("u8", "1a"),
    ("u8", "9" * 5000),
    ("u8", '"1"'),
    ("u8", "1 2"),
    ("u8", ""),
    ("f64", "-nan"),
    ("f64", "NaN"),
    ("f64", "Inf"),
    ("f64", "-infinity"),
    ("f64", ".5"),
    ("f64", "1."),
    ("f32", "1e300"),
    ("char", "''"),
    ("char", "'ab'"),
    ("char", "'''"),
    ("char", r"'\u{d800}'"),
    ("char", '"a"'),
    ("string", "'a'"),
    ("string", '"a'),
    ("string", '"a\nb"'),
    ("string", r'"\x41"'),
    ("string", r'"\u{110000}"'),
    ("string", '"\ud800"'),
    ("string", '""""""'),
    ("string", '"""a\n"""'),
    ("string", '"""\na"""'),
    ("string", '"""\n a\n  """'),
    ("string", '"""\n \\"""\n"""'),
    (KINDS.bytes, "[1 2]"),
    (KINDS.bytes, "[,]"),
    (KINDS.bytes, "[1"),
    (KINDS.bytes, "[300]"),
    (KINDS.pair, "(1)"),
    (KINDS.pair, '(1, "x", 2)'),
    (KINDS.basic, "{optional: none}"),
    (KINDS.basic, "{required: 1, required: 1}"),
    (KINDS.basic, "{required: 1,, }"),
    (KINDS.basic, "{required: 1, other: 2}"),
    (KINDS.loose, "{}"),
    (KINDS.shape, "circle"),
    (KINDS.shape, "empty()"),
    (KINDS.shape, "square(1)"),
    (KINDS.shape, 'err("x")'),
    (KINDS.shape, "pair(7)"),
    (KINDS.key, "none"),
    (KINDS.key, "middle"),
    (KINDS.flags, "{read, read}"),
    (KINDS.flags, "{execute}"),
    (KINDS.flags, "read"),
    (KINDS.option, "some"),
    (KINDS.option, "some()"),
    (KINDS.option, "none()"),
    (KINDS.option, "some(some(1))"),
    (KINDS.nested, "1"),
    (KINDS.both, "ok"),
    (KINDS.both, "ok()"),
    (KINDS.bare, "ok()"),
    (KINDS.bare, "1"),
    (KINDS.only_err, "err"),
    (KINDS.result_option, "5"),
    (KINDS.blob, "1"),
]


@pytest.mark.parametrize(("ref", "text"), REFUSED)
def test_wrong_text_is_refused(ref: Any, text: str) -> None:
    with pytest.raises(WaveError):
        parse(ref, text)


def test_an_error_shows_the_place() -> None:
    with pytest.raises(WaveError) as caught:
        parse(KINDS.basic, '{\n  required: 1,\n  optional: some("x")\n}')
    assert str(caught.value) == (
        "line 3, column 18: expected u8, got a string\n"
        '    optional: some("x")\n'
        "                   ^"
    )
    with pytest.raises(WaveError) as caught:
        parse(KINDS.numbers, "[" + "1, " * 100 + "x]")
    *_, shown, caret = str(caught.value).splitlines()
    assert len(shown) <= 80
    assert shown[len(caret) - 1] == "x"


def test_calls() -> None:
    exports = KINDS.description.exports
    for text in (
        "ops.add(1, -2)",
        "test:codec/ops.add(1, -2)",
        "test:codec/ops@1.0.0.add(1, -2)",
        "test:codec/ops@1.0.0#add(1,-2,)",
        "test:codec/ops.add@1.0.0(1, -2)",
        " ops.add (1, // one\n -2) ",
    ):
        assert parse_call(KINDS.description, text) == (exports[0], [1, -2])
    for text in ("get-all(1)", "ops.get_all(1, none)", "get_all(1, none, none)"):
        assert parse_call(KINDS.description, text) == (exports[1], [1, None, None])
    assert parse_call(KINDS.description, "ops.[static]blob.make(1)") == (exports[2], [1])
    assert parse_call(KINDS.description, "top()") == (exports[4], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("add(1, 2)", "ambiguous: test:codec/ops@1.0.0#add, test:codec/more@1.0.0#add"),
        ("sub(1)", "exports no function sub; it exports test:codec/ops@1.0.0#add"),
        ("ops.top()", "exports no function ops.top"),
        ("opps.add(1)", r"exports no function opps.add: did you mean ops.add\?; it exports"),
        ("ad(1)", r"exports no function ad: did you mean ops.add\?; it exports"),
        ("add", "expected a call"),
        ("", "expected a call"),
        ("ops.add(1)", "no argument for b of add: func"),
        ("ops.add(1, 2, 3)", "too many arguments for add: func"),
        ("ops.add(1, 2", r"the closing \) is missing"),
        ("ops.add(1, 2) x", "unexpected 'x' after the value"),
        ("ops.add(1, x)", "expected s32, got 'x'"),
    ],
)
def test_wrong_calls_are_refused(text: str, problem: str) -> None:
    with pytest.raises(WaveError, match=problem):
        parse_call(KINDS.description, text)


def test_text_of_values() -> None:
    def text(ref: Any, value: Any) -> str:
        return format_value(KINDS.description, ref, value)

    assert text(KINDS.basic, KINDS.Basic(1, 2)) == "{required: 1, optional: some(2)}"
    assert text(KINDS.shape, KINDS.Shape.Err("x")) == '%err("x")'
    assert text(KINDS.bytes, b"\x01\xff") == "[1, 255]"
    assert text(KINDS.flags, KINDS.Perm.READ | KINDS.Perm.OK) == "{read, ok}"
    assert text("f32", 0.10000000149011612) == "0.1"
    assert text("f32", 3.4028234663852886e38) == "3.4028235e+38"
    assert text("string", "a\x00\u2028\"'") == '"a\\u{0}\\u{2028}\\"\'"'
    assert text("char", "'") == r"'\''"
    assert text(KINDS.blob, object()) == "<borrow<blob>>"
    assert text(None, None) == "()"
