"""Constants of code as values of WIT types."""

from __future__ import annotations

import os
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, settings

import hlwasm
import hlwasm.testing.constants as constants_module
from hlwasm.testing import strategies
from hlwasm.testing.constants import Constants, constants_of
from tests.unit.codec.worlds import World

CONSTANTS = Constants(
    compared=(0x12345678, -2, 200, 0x20AC, 0xD800),
    integers=(-7, 1 << 40),
    floats=(0.1, 0.5, 1e300),
    texts=("magic", "größe"),
)


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("u8", [[254, 200], [249], [253, 255, 199, 201, 2, 7]]),
        ("s8", [[-2], [-7], [-3, -1, 2, 7]]),
        ("f32", [[0.5]]),
        ("f64", [[0.1, 0.5, 1e300]]),
        ("char", [["È", "€"]]),
        ("string", [["magic", "größe"]]),
        ("bool", []),
    ],
)
def test_values_fit_their_type(name: str, groups: list[list[Any]]) -> None:
    assert CONSTANTS.of_type(name) == groups


def test_negative_numbers_of_code_are_large_ones_of_unsigned_types() -> None:
    assert Constants(compared=(-1, -2)).of_type("u32")[0] == [2**32 - 1, 2**32 - 2]
    assert Constants(compared=(-1,)).of_type("u64")[0] == [2**64 - 1]
    assert Constants(compared=(-1,)).of_type("s64")[0] == [-1]


def test_bytes_are_texts_and_words() -> None:
    texts, words = CONSTANTS.of_type("bytes")
    assert texts == [b"magic", "größe".encode()]
    assert b"\x78\x56\x34\x12" in words
    assert b"\xfe\xff" in words
    assert Constants().of_type("bytes") == []


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("u32", 0x12345678),
        ("u32", 0x12345679),
        ("s64", -7),
        ("string", "magic"),
        ("string", "magic!"),
        ("f64", 1e300),
        ("bytes", b"magic"),
        ("bytes", b"\x78\x56\x34\x12"),
    ],
)
def test_strategies_have_them(type_: str, value: Any) -> None:
    world = World()
    kind = world.list("u8") if type_ == "bytes" else type_
    values = strategies.values(world.description(), kind, constants=CONSTANTS)
    each_time = settings(derandomize=True, database=None, max_examples=3000, deadline=None)
    assert find(values, partial(eq, value), settings=each_time) == value


@pytest.mark.parametrize("wrong", ["abc", b"abc", 5, None, (1,), ("a", b"b")])
def test_texts_are_several(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Constants\.texts: "):
        Constants(texts=wrong)
    assert Constants(texts=("abc",)).of_type("string") == [["abc"]]


def test_values_are_of_their_type() -> None:
    wrong: Any = ("1",)
    for name in ("compared", "integers", "floats"):
        with pytest.raises(TypeError, match=rf"Constants\.{name}: '1' is of another type"):
            Constants(**{name: wrong})


@pytest.mark.parametrize("wrong", [{"texts": ["a"]}, {}, (), "", 0, Constants])
def test_what_is_no_constants_is_refused(wrong: Any) -> None:
    description = World().description()
    for strategy in (
        lambda: strategies.values(description, "string", constants=wrong),
        lambda: strategies.calls(description, constants=wrong),
    ):
        with pytest.raises(TypeError, match="constants: expected Constants or None, not "):
            strategy()


@pytest.mark.parametrize("wrong", [5, None, ["a.wasm"], World().description()])
def test_constants_are_of_a_component(wrong: Any) -> None:
    got = type(wrong).__name__
    with pytest.raises(TypeError, match=rf"expected a hlwasm\.Component.*, not {got}"):
        constants_of(wrong)


def test_constants_of_a_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        constants_of(tmp_path)
    os.mkfifo(tmp_path / "pipe.wasm")
    with pytest.raises(OSError, match="not a regular file"):
        constants_of(tmp_path / "pipe.wasm")
    path = tmp_path / "large.wat"
    path.write_text("(module (func (drop (i32.const 7))))")
    assert constants_of(path).integers == (7,)
    monkeypatch.setattr(constants_module, "_FILE_BYTES_MAX", 20)
    with pytest.raises(hlwasm.InvalidWasm, match=r"large\.wat: the file has more than 20 bytes"):
        constants_of(path)
