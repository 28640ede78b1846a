"""What Python values a parameter accepts, and what the others are told."""

from __future__ import annotations

import array
import collections
import ctypes
import enum
import math
import types
from typing import Any, NamedTuple

import numpy as np
import pytest

from hlwasm.codec.functions import bind_export
from hlwasm.codec.layout import PRIMITIVE_SIZE
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import LimitExceeded, WitTypeError, WitValueError
from hlwasm.wit.values import Err, Ok, Some
from tests.unit.codec.worlds import EchoContext, World, echo


class Kinds:
    def __init__(self) -> None:
        self.world = world = World()
        self.point = world.record("point", x="f32", from_="u8")
        self.shape = world.variant("shape", {"circle": "f32", "named": "string", "empty": None})
        self.key = world.enum("key", "left", "two-words")
        self.perm = world.flags("perm", "read", "write", "run")
        self.points = world.list(self.point)
        self.option = world.option("u8")
        self.nested = world.option(self.option)
        self.result = world.result("u8", "string")
        self.bare = world.result()
        self.pair = world.tuple("u8", "string")
        self.lists = {name: world.list(name) for name in _ELEMENTS}
        self.deep = world.record("deep", shapes=world.list(self.shape), at=self.pair)
        self.of = {}
        refs = [*_ELEMENTS, *range(len(world.types))]
        for number, ref in enumerate(refs):
            self.of[ref] = world.function(f"f{number}", {"arg": ref}, world.tuple(ref))
        self.description = world.description()
        for ref in (self.point, self.shape, self.key, self.perm, self.deep):
            cls = self.description.python_type(ref)
            setattr(self, cls.__name__, cls)


_ELEMENTS = list(PRIMITIVE_SIZE)
KINDS: Any = Kinds()


def through(ref: Any, value: Any) -> Any:
    """The value after a call that returns its parameter (in a tuple of one)."""
    context = EchoContext()
    function = KINDS.description.exports[KINDS.of[ref]]
    echo(function, context)
    (result,) = bind_export(function, context)(value)
    assert context.depth == 0
    # The plain codec accepts the same.
    plain = EchoContext()
    PlainFunction(function).lower_params(plain, (value,))
    assert bytes(plain.export_memory[60:]) == _without_result(function, context)
    return result


def _without_result(function: Any, context: EchoContext) -> bytes:
    start, end = function.result_offset, function.result_offset + function.params_size
    memory = bytearray(context.export_memory)
    memory[start:end] = bytes(end - start)
    return bytes(memory[60:])


class Foreign(enum.Enum):
    LEFT = "left"


class ForeignFlags(enum.Flag):
    A = 1
    B = 2


class Pair(NamedTuple):
    a: int
    b: str


class IntLike:
    def __index__(self) -> int:
        return 7


def _read_only(made: Any) -> Any:
    made.flags.writeable = False
    return made


K = KINDS
ACCEPTED = [
    ("bool", True, True),
    ("bool", np.bool_(False), False),
    ("u8", 255, 255),
    ("u8", IntLike(), 7),
    ("s64", np.int64(-5), -5),
    ("u64", 2**64 - 1, 2**64 - 1),
    ("f64", 3, 3.0),
    ("f64", np.float32(0.5), 0.5),
    ("f32", 0.1, 0.10000000149011612),
    ("f32", math.inf, math.inf),
    ("char", "\U0010ffff", "\U0010ffff"),
    ("string", "aé☃\U0001f600\0", "aé☃\U0001f600\0"),
    ("string", "", ""),
    ("string", "x" * 10000, "x" * 10000),
    (K.point, K.Point(1.5, 2), K.Point(1.5, 2)),
    (K.point, {"x": 1.5, "from_": 2}, K.Point(1.5, 2)),
    (K.point, collections.OrderedDict(from_=2, x=1), K.Point(1.0, 2)),
    (K.point, types.MappingProxyType({"x": 1.5, "from_": 2}), K.Point(1.5, 2)),
    (K.point, types.SimpleNamespace(x=1.5, from_=2, more=3), K.Point(1.5, 2)),
    (K.shape, K.Shape.Circle(1), K.Shape.Circle(1.0)),
    (K.shape, types.SimpleNamespace(wit_case="empty"), K.Shape.Empty()),
    (K.shape, types.SimpleNamespace(wit_case="named", value="x"), K.Shape.Named("x")),
    (K.key, K.Key.TWO_WORDS, K.Key.TWO_WORDS),
    (K.key, "two-words", K.Key.TWO_WORDS),
    (K.key, Foreign.LEFT, K.Key.LEFT),
    (K.perm, K.Perm.READ | K.Perm.RUN, K.Perm.READ | K.Perm.RUN),
    (K.perm, 6, K.Perm.WRITE | K.Perm.RUN),
    (K.perm, {"read", "run"}, K.Perm.READ | K.Perm.RUN),
    (K.perm, ["write"], K.Perm.WRITE),
    (K.perm, iter(["write"]), K.Perm.WRITE),
    (K.perm, frozenset(), K.Perm(0)),
    (K.perm, ForeignFlags.A | ForeignFlags.B, K.Perm.READ | K.Perm.WRITE),
    (K.perm, [K.Perm.READ, "write"], K.Perm.READ | K.Perm.WRITE),
    (K.option, None, None),
    (K.option, 3, 3),
    (K.option, Some(3), 3),
    (K.nested, Some(None), Some(None)),
    (K.nested, Some(3), Some(3)),
    (K.nested, None, None),
    (K.result, Ok(3), Ok(3)),
    (K.result, Err("x"), Err("x")),
    (K.bare, Ok(), Ok(None)),
    (K.bare, Err(None), Err(None)),
    (K.pair, (1, "x"), (1, "x")),
    (K.pair, [1, "x"], (1, "x")),
    (K.pair, Pair(1, "x"), (1, "x")),
    (K.points, (K.Point(1.0, 2),), [K.Point(1.0, 2)]),
    (K.lists["u8"], b"abc", b"abc"),
    (K.lists["u8"], bytearray(b"abc"), b"abc"),
    (K.lists["u8"], memoryview(b"abc"), b"abc"),
    (K.lists["u8"], [1, 2, 255], b"\x01\x02\xff"),
    (K.lists["u8"], iter([1, 2]), b"\x01\x02"),
    (K.lists["u8"], [IntLike()], b"\x07"),
    (K.lists["u8"], array.array("I", [1]), b"\x01\x00\x00\x00"),
    (K.lists["u8"], np.zeros((2, 0), "u1"), b""),
    (K.lists["u8"], np.arange(6, dtype="u1")[::2], b"\x00\x02\x04"),
    (K.lists["u8"], np.arange(12, dtype="u1").reshape(3, 4)[:, 1:3], bytes([1, 2, 5, 6, 9, 10])),
    (K.lists["u8"], np.asfortranarray([[1, 2], [3, 4]], "u1"), bytes([1, 2, 3, 4])),
    (K.lists["u8"], memoryview(b"abcd")[::-1], b"dcba"),
    (K.lists["s16"], [-5, 5], [-5, 5]),
    (K.lists["s16"], b"\x01\x02", [1, 2]),
    (K.lists["u32"], range(5), [0, 1, 2, 3, 4]),
    (K.lists["u32"], (x for x in [1, IntLike()]), [1, 7]),
    (K.lists["u32"], array.array("I", [1, 2]), [1, 2]),
    (K.lists["s64"], np.array([-1, 2]), [-1, 2]),
    (K.lists["s64"], np.array([1, 2, 3, 4])[::2], [1, 3]),
    (K.lists["s64"], np.array([1, 2, 3, 4])[::-3], [4, 1]),
    (K.lists["s64"], np.arange(20).reshape(4, 5)[:, 3], [3, 8, 13, 18]),
    (K.lists["s64"], np.zeros(0, "i8"), []),
    (K.lists["s64"], [np.int64(3), 4], [3, 4]),
    (K.lists["s32"], np.array([-1, 2]), [-1, 2]),
    (K.lists["s32"], np.array([-1, 2, 3])[::2], [-1, 3]),
    (K.lists["s32"], memoryview(b"\x01\x00\x00\x00").cast("i"), [1]),
    (K.lists["s32"], (ctypes.c_int32 * 2)(5, -6), [5, -6]),
    (K.lists["u64"], np.array([7], "u8"), [7]),
    (K.lists["u16"], np.array([1, 2], dtype=">u2"), [1, 2]),
    (K.lists["f64"], [1, 2.5], [1.0, 2.5]),
    (K.lists["f64"], array.array("d", [1.5]), [1.5]),
    (K.lists["f64"], np.array([1.5, 0.25], "f2"), [1.5, 0.25]),
    (K.lists["f64"], np.array([1.5, 2.5], ">f8"), [1.5, 2.5]),
    (K.lists["f64"], np.array([1, 2]), [1.0, 2.0]),
    (K.lists["f64"], [np.float32(0.5), np.int8(1)], [0.5, 1.0]),
    (K.lists["f64"], _read_only(np.array([1.5])), [1.5]),
    (K.lists["f32"], np.array([0.5, 3.0, np.inf]), [0.5, 3.0, math.inf]),
    (K.lists["f32"], np.array([0.5], dtype="f4"), [0.5]),
    (K.lists["f32"], [0.5, 1, math.inf], [0.5, 1.0, math.inf]),
    (K.lists["bool"], [True, False], [True, False]),
    (K.lists["bool"], np.array([True, False]), [True, False]),
    (K.lists["bool"], np.array([True, True, False])[::2], [True, False]),
    (K.lists["char"], ["a", "é", "\U0001f600"], ["a", "é", "\U0001f600"]),
    (K.lists["string"], ("a", "", "é"), ["a", "", "é"]),
    (K.lists["string"], iter("ab"), ["a", "b"]),
]


@pytest.mark.parametrize(("ref", "value", "expected"), ACCEPTED)
def test_values_are_accepted(ref: Any, value: Any, expected: Any) -> None:
    if isinstance(value, collections.abc.Iterator):
        # It can be read once only.
        context = EchoContext()
        function = K.description.exports[K.of[ref]]
        echo(function, context)
        assert bind_export(function, context)(value) == (expected,)
        return
    result = through(ref, value)
    assert result == expected
    assert type(result) is type(expected)


REFUSED = [
    ("bool", 1, "expected bool, got int 1"),
    ("u8", 300, "300 does not fit u8 (0 to 255)"),
    ("u8", -1, "-1 does not fit u8 (0 to 255)"),
    ("s8", 128, "128 does not fit s8 (-128 to 127)"),
    ("u64", 2**64, "18446744073709551616 does not fit u64"),
    ("s64", -(10**4000), "does not fit s64"),
    ("u8", True, "expected u8, got bool True"),
    ("u8", 1.0, "expected u8, got float 1.0"),
    ("u8", "1", "expected u8, got str '1'"),
    ("u8", None, "expected u8, got None"),
    ("f64", "1", "expected f64, got str '1'"),
    ("f64", True, "expected f64, got bool True"),
    ("f64", 1j, "expected f64, got complex"),
    ("f64", 10**400, "does not fit f64"),
    ("f32", 1e300, "1e+300 does not fit f32"),
    ("char", "ab", "expected one character for char, got 'ab'"),
    ("char", "", "expected one character"),
    ("char", "\ud800", "is a surrogate"),
    ("char", b"a", "expected char (a str of length 1), got bytes"),
    ("string", b"a", "expected string, got bytes"),
    ("string", "ab\udc00", "surrogate at 2"),
    (K.point, K.Shape.Empty(), "expected point (an object or mapping with x, from_)"),
    (K.point, {"x": 1.0}, "point lacks from_"),
    (K.point, {"x": 1.0, "from_": 1, "y": 2}, "point has no 'y'"),
    (K.point, None, "expected point"),
    (K.shape, 3, "expected a case of shape, got int 3"),
    (K.shape, types.SimpleNamespace(wit_case="square"), "shape has no case 'square'"),
    (K.shape, types.SimpleNamespace(wit_case="circle"), "expected a value in case circle"),
    (K.shape, types.SimpleNamespace(wit_case=3), "expected a case of shape"),
    (K.key, "middle", "key has no case 'middle'"),
    (K.key, 0, "expected a member of key or its WIT name, got int 0"),
    (K.perm, 8, "8 has bits that perm does not have"),
    (K.perm, -1, "-1 has bits"),
    (K.perm, ["fly"], "perm has no flag 'fly'"),
    (K.perm, "read", "expected perm flags or a set of their WIT names, got str 'read'"),
    (K.perm, True, "expected perm flags"),
    (K.nested, 3, "expected Some or None for option<option<u8>>, got int 3"),
    (K.result, 3, "expected Ok or Err for result<u8, string>, got int 3"),
    (K.result, Ok("x"), "arg.ok: expected u8"),
    (K.bare, Ok(1), "arg.ok: expected no payload for result, got int 1"),
    (K.pair, (1,), "expected 2 values for tuple<u8, string>, got 1"),
    (K.pair, "ab", "expected tuple<u8, string>, got str 'ab'"),
    (K.pair, {1: "x", 2: "y"}, "expected tuple<u8, string>, got dict"),
    (K.points, 5, "expected list<point>, got int 5"),
    (K.points, {}, "expected list<point>, got dict"),
    (K.lists["u8"], "abc", "expected list<u8>, got str 'abc'"),
    (K.lists["u8"], [1, 256], "arg[1]: 256 does not fit u8"),
    (K.lists["u8"], [1, True], "arg[1]: expected u8, got bool True"),
    (K.lists["u8"], 5, "expected list<u8>, got int 5"),
    (K.lists["u8"], np.uint8(5), "expected list<u8>, got uint8"),
    (K.lists["u8"], np.array(5, "u1"), "expected list<u8>, got ndarray"),
    (K.lists["u32"], [0, 1, -1], "arg[2]: -1 does not fit u32"),
    (K.lists["u32"], np.array([0, -1]), "arg[1]: -1 does not fit u32"),
    (K.lists["u32"], np.array([0.0]), "arg[0]: expected u32, got float64"),
    (K.lists["u32"], array.array("d", [0.0]), "arg[0]: expected u32, got float"),
    (K.lists["u32"], np.array([True]), "arg[0]: expected u32, got bool"),
    (K.lists["u32"], np.array(5), "expected list<u32>, got ndarray"),
    (K.lists["u32"], np.zeros((2, 2), "u4"), "arg[0]: expected u32, got ndarray"),
    (K.lists["u32"], np.array(["2020-01-01"], "M8[D]"), "arg[0]: expected u32, got datetime64"),
    (K.lists["f64"], np.zeros((2, 1)), "arg[0]: expected f64, got ndarray"),
    (K.lists["f64"], np.array([1j]), "arg[0]: expected f64, got complex128"),
    (K.lists["f64"], np.array([1j], "c8"), "arg[0]: expected f64, got complex64"),
    (K.lists["f64"], np.array([True]), "arg[0]: expected f64, got bool"),
    (K.lists["f64"], np.array(["x"]), "arg[0]: expected f64, got str_"),
    (K.lists["f32"], np.array([0.0, 1e300]), "arg[1]: "),
    (K.lists["f32"], [0.0, 1e39], "arg[1]: 1e+39 does not fit f32"),
    (K.lists["bool"], [True, 1], "arg[1]: expected bool, got int 1"),
    (K.lists["char"], ["a", "bc"], "arg[1]: expected one character"),
    (K.lists["char"], ["", "bc"], "arg[0]: expected one character"),
    (K.lists["char"], ["\ud800"], "arg[0]: '\\ud800' is a surrogate"),
    (K.lists["string"], ["a", 5], "arg[1]: expected string, got int 5"),
    (K.points, [K.Point(0, 1), {"x": 1, "from_": 256}], "arg[1].from_: 256 does not fit u8"),
    (
        K.deep,
        {"shapes": [K.Shape.Empty(), K.Shape.Named(5)], "at": (1, "")},
        "arg.shapes[1].named: expected string, got int 5",
    ),
    (K.deep, {"shapes": [], "at": (1, 2)}, "arg.at[1]: expected string, got int 2"),
]


@pytest.mark.parametrize(("ref", "value", "problem"), REFUSED)
def test_other_values_are_refused_with_their_path(ref: Any, value: Any, problem: str) -> None:
    context = EchoContext()
    function = K.description.exports[K.of[ref]]
    context.guest = lambda _: pytest.fail("the guest was called")
    with pytest.raises((WitTypeError, WitValueError)) as caught:
        bind_export(function, context)(value)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"ops.f{K.of[ref]}: parameter arg")
    assert caught.value.path.startswith(f"ops.f{K.of[ref]}: parameter arg")
    # No trace of the fast path that did not know the value.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert context.depth == 0


def test_messages_stay_short() -> None:
    for ref, value in [("u8", "x" * 10**6), ("u8", 10**5000), (K.points, "x" * 10**6)]:
        with pytest.raises((WitTypeError, WitValueError)) as caught:
            through(ref, value)
        assert len(str(caught.value)) < 200


def test_a_value_whose_repr_fails_is_named_by_its_type() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(WitValueError, match="has no flag <Rude"):
        through(K.perm, [Rude()])


def test_an_exception_of_the_value_itself_comes_through() -> None:
    class Point:
        x = 1.0

        @property
        def from_(self) -> int:
            raise ZeroDivisionError("own")

    with pytest.raises(ZeroDivisionError, match="own"):
        through(K.point, Point())


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ("string", "x" * 70000),
        ("string", "é" * 40000),
        ("string", "x" * 200_000),
        ("string", "é" * 200_000),
        (K.lists["u8"], bytes(70000)),
        (K.lists["u64"], [1] * 9000),
        (K.lists["u64"], array.array("Q", [1] * 9000)),
        (K.lists["string"], [""] * 9000),
        (K.lists["string"], ["x" * 100] * 900),
        (K.points, [K.Point(0.0, 1)] * 9000),
    ],
)
def test_what_does_not_fit_the_transfer_memory(ref: Any, value: Any) -> None:
    context = EchoContext()
    function = K.description.exports[K.of[ref]]
    context.guest = lambda _: pytest.fail("the guest was called")
    with pytest.raises(LimitExceeded, match="do not fit the transfer memory of 65536") as caught:
        bind_export(function, context)(value)
    assert (caught.value.limit, caught.value.value) == ("transfer_memory", 65536)


def test_the_last_byte_can_be_used() -> None:
    function = K.description.exports[K.of[K.lists["u8"]]]
    start = -(-function.end_offset // 16) * 16
    context = EchoContext()
    echo(function, context)
    call = bind_export(function, context)
    assert call(bytes(65536 - start)) == (bytes(65536 - start),)
    with pytest.raises(LimitExceeded):
        call(bytes(65536 - start + 1))


def test_long_strings_are_copied_whole() -> None:
    function = K.description.exports[K.of["string"]]
    context = EchoContext(4 << 20)
    echo(function, context)
    call = bind_export(function, context)
    for text in ("a" * (1 << 20), "é" * (1 << 19), "a" * (1 << 18) + "\U0001f600"):
        assert call(text) == (text,)
