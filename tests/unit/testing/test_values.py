"""Values outside of a sandbox: what is fast says what the plain codec says."""

from __future__ import annotations

import math
import struct
from array import array
from base64 import b64encode
from typing import Any

import pytest

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.reference import Lowering, Reference
from hlwasm.errors import ConversionError, TransferLimitExceeded
from hlwasm.testing import number_lists
from hlwasm.testing.values import Numbers, Values
from hlwasm.wit.model import Description, TypeRef
from hlwasm.wit.wave import WaveError
from hlwasm.wit.wave.parser import parse_value
from hlwasm.wit.wave.writer import format_value
from tests.unit.codec.worlds import World

NUMBERS = sorted(NUMBER_FORMAT)
# A signalling NaN of f32 with a payload.
SIGNALLING = struct.pack("<I", 0x7FA00001)


def no_resource(_: int) -> Any:
    raise AssertionError("there are no resources")


def values_of(description: Description) -> Values:
    return Values(description, Numbers(no_resource))


def list_of(element: TypeRef) -> tuple[Values, TypeRef]:
    world = World()
    ref = world.list(element)
    return values_of(world.description()), ref


def samples(element: str) -> list[Any]:
    if element[0] == "f":
        largest = 3.4028234663852886e38 if element == "f32" else 1.7976931348623157e308
        return [0.0, -0.0, 1.5, -2, 0.1, 1e-40, 5e-324, largest, -largest, math.inf, -math.inf]
    bits = int(element[1:])
    low = -(1 << bits - 1) if element[0] == "s" else 0
    return [low, 0, 1, 100, low + (1 << bits) - 1]


@pytest.mark.parametrize("element", NUMBERS)
@pytest.mark.parametrize("count", [0, 1, 400])
def test_lists_of_numbers_are_lowered_as_by_the_plain_codec(element: str, count: int) -> None:
    values, ref = list_of(element)
    items = samples(element) * count
    state = Lowering(memoryview(bytearray(1 << 18)), 8, Numbers(no_resource))
    Reference(values.description).lower(state, ref, 0, items, "a value")
    wanted = bytes(state.memory[: state.cursor])
    for given in (items, tuple(items), iter(items)):
        assert values.encode(ref, given, "a value") == wanted
    decoded = values.decode(ref, wanted, "a value")
    assert type(decoded) is (bytes if element == "u8" else list)
    assert values.encode(ref, decoded, "a value") == wanted
    assert values.encode(ref, values.passed(ref, wanted, "a value"), "a value") == wanted


@pytest.mark.parametrize("element", NUMBERS)
def test_their_text_is_that_of_wave(element: str) -> None:
    values, ref = list_of(element)
    # As bytes, these would be text.
    items = [200, 100] if element == "u8" else samples(element)
    data = values.encode(ref, items, "a value")
    text = values.text(ref, data)
    assert text == values.compact(ref, data)
    description = values.description
    assert text == format_value(description, ref, values.decode(ref, data, "a value"))
    assert values.parse(ref, text) == data
    assert values.encode(ref, parse_value(description, ref, text), "a value") == data


@pytest.mark.parametrize("element", [each for each in NUMBERS if each != "u8"])
def test_long_ones_are_compact(element: str) -> None:
    values, ref = list_of(element)
    # 1001 of them: one more than are written as a list.
    items = (samples(element) * 1001)[:1001]
    data = values.encode(ref, items, "a value")
    flat = struct.pack(f"<1001{NUMBER_FORMAT[element]}", *items)
    assert values.compact(ref, data) == f'base64("{b64encode(flat).decode()}")'
    assert values.parse(ref, values.compact(ref, data)) == data
    assert values.parse(ref, values.text(ref, data)) == data
    assert values.text(ref, data).startswith("[")
    shorter = values.encode(ref, items[:1000], "a value")
    assert values.compact(ref, shorter) == values.text(ref, shorter)


def test_at_any_depth() -> None:
    world = World()
    doubles = world.list("f64")
    ref = world.list(world.tuple("string", doubles))
    values = values_of(world.description())
    value = [("base64", [0.5] * 2000), ("[1]", [1.5, math.inf]), ("", [])]
    data = values.encode(ref, value, "a value")
    text = values.compact(ref, data)
    assert text.startswith('[("base64", base64("')
    assert text.endswith('), ("[1]", [1.5, inf]), ("", [])]')
    assert values.parse(ref, text) == data
    assert values.decode(ref, data, "a value") == value


@pytest.mark.parametrize(
    ("element", "text", "items"),
    [
        ("f64", "[-0, 1, 1e2, -0.0, 1E-2]", [-0.0, 1.0, 100.0, -0.0, 0.01]),
        ("f64", "[nan, -inf, inf, 1]", [math.nan, -math.inf, math.inf, 1.0]),
        ("s8", "[-0, 1 , 2\n]", [0, 1, 2]),
        ("s8", "[1, 2,]", [1, 2]),
        ("s8", "[1, // one\n 2]", [1, 2]),
        ("f32", "[0.1, 1e-50]", [0.10000000149011612, 0.0]),
    ],
)
def test_what_json_does_not_know_is_read_too(element: str, text: str, items: list[Any]) -> None:
    values, ref = list_of(element)
    assert values.parse(ref, text) == values.encode(ref, items, "a value")


@pytest.mark.parametrize(
    ("element", "text", "message"),
    [
        ("s8", "[1, 128]", "128 does not fit s8"),
        ("s8", "[1, 2.0]", "expected s8, got '2.0'"),
        ("s8", "[1, true]", "expected s8, got 'true'"),
        ("s8", '["1"]', "expected s8, got a string"),
        ("s8", "[[1]]", "expected s8"),
        ("s8", "[1] 2", "unexpected '2'"),
        ("s8", f"[{'9' * 5000}]", "does not fit s8"),
        ("f64", "[NaN]", "unexpected 'N'"),
        ("f64", "[-Infinity]", "this is no number"),
        ("f64", "[true]", "expected f64, got 'true'"),
        ("f32", "[1e39]", "1e39 does not fit f32"),
        ("s32", '"text"', "expected list<s32>, got a string"),
        ("s32", 'base64("AAA*")', "this is not base64"),
        ("s32", 'base64("AAAAAAA=")', "this is no list<s32>: 1 byte of 5 left over"),
        ("bool", 'base64("AA==")', r"expected '\[' for list<bool>"),
    ],
)
def test_what_is_none_is_refused_with_the_place(element: str, text: str, message: str) -> None:
    values, ref = list_of(element)
    with pytest.raises(WaveError, match=message):
        values.parse(ref, text)


@pytest.mark.parametrize(
    ("element", "items", "message"),
    [
        ("s8", [1, 128], r"x\[1\]: 128 does not fit s8"),
        ("u16", [1, True], r"x\[1\]: expected u16, got bool True"),
        ("f32", [1, 1e39], r"x\[1\]: 1e\+39 does not fit f32"),
        ("f64", [1, "2"], r"x\[1\]: expected f64, got str '2'"),
        ("u8", [256], r"x\[0\]: 256 does not fit u8"),
    ],
)
def test_a_wrong_number_is_named(element: str, items: list[Any], message: str) -> None:
    values, ref = list_of(element)
    with pytest.raises(ConversionError, match=message):
        values.encode(ref, items, "x")


@pytest.mark.parametrize("kind", ["array", "numpy"])
def test_a_signalling_nan_in_an_array_keeps_its_bits(kind: Any) -> None:
    world = World()
    floats = world.list("f32")
    ref = world.list(world.record("samples", left=floats))
    values = values_of(world.description(kind))
    left = array("f", SIGNALLING * 3)
    data = values.encode(ref, [{"left": left}], "a value")
    assert data.count(SIGNALLING) == 3
    (decoded,) = values.decode(ref, data, "a value")
    assert memoryview(decoded.left).tobytes() == SIGNALLING * 3
    for value in (values.decode(ref, data, "x"), values.passed(ref, data, "x")):
        assert values.encode(ref, value, "a value") == data


def test_every_nan_of_f64_keeps_its_bits() -> None:
    world = World()
    ref = world.tuple("f64", world.list("f64"))
    values = values_of(world.description())
    for bits in (0x7FF0000000000001, 0x7FF8000000000001, 0xFFF4000000000000):
        nan = struct.unpack("<d", struct.pack("<Q", bits))[0]
        data = values.encode(ref, (nan, [nan] * 2), "a value")
        assert data.count(struct.pack("<Q", bits)) == 3
        assert values.encode(ref, values.decode(ref, data, "x"), "a value") == data
        assert values.encode(ref, values.passed(ref, data, "x"), "a value") == data


def test_bytes_that_are_mostly_control_characters_are_no_text() -> None:
    values, ref = list_of("u8")
    for data, start in (
        (bytes(1000), 'base64("AAAA'),
        (b"line\r\n" * 100, '"line\\r\\n'),
        ("ü".encode() * 100, '"üü'),
        (b"\0text", '"\\u{0}text"'),
        (bytes(range(32, 127)) + b"\x1b", '" !'),
    ):
        encoded = values.encode(ref, data, "a value")
        text = values.text(ref, encoded)
        assert text.startswith(start)
        assert values.parse(ref, text) == encoded


def test_values_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_lists, "LARGEST_SIZE", 10_000)
    values, ref = list_of("string")
    assert len(values.encode(ref, ["x" * 900] * 11, "x")) < 10_000
    with pytest.raises(TransferLimitExceeded, match=r"x\[0\]"):
        values.encode(ref, ["x" * 10_000], "x")
