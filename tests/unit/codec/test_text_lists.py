"""Lists of strings, whose text is converted in one piece where that is possible."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from hlwasm.codec.fast_values import Unusual
from hlwasm.codec.functions import bind_export
from hlwasm.codec.plain import PlainFunction
from hlwasm.codec.text_lists import lift_texts, lower_texts
from hlwasm.errors import GuestDataError
from tests.unit.codec.worlds import EchoContext, World

SIZE = 1 << 20
TEXTS = {
    "none": [],
    "empty": ["", "", ""],
    "ascii": ["a", "", "bc"],
    "others": ["ä", "日本", "a", "😀", ""],
    "long": ["x" * 9000, "ä" * 9000],
    "one is very long": ["x" * 200_000, "", "ä" * 140_000],
    "many": ["text"] * 5000,
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("at", [64, 68])
def test_there_and_back(texts: list[str], at: int) -> None:
    memory = memoryview(bytearray(SIZE))
    end = lower_texts(memory, at, texts)
    total = sum(len(text.encode()) for text in texts)
    assert end == at + 8 * len(texts) + total
    assert lift_texts(memory, at, at + 8 * len(texts)) == (texts, total)
    # And nothing behind the end.
    assert bytes(memory[end : end + 64]) == bytes(64)


@pytest.mark.parametrize("texts", [["a", 5], [b"a"], ["a", None], [["a"]], "ab", [b"x" * 9000]])
def test_what_is_no_list_of_strings_is_left_to_the_plain_codec(texts: Any) -> None:
    with pytest.raises((Unusual, TypeError, AttributeError)):
        lower_texts(memoryview(bytearray(SIZE)), 64, texts)


@pytest.mark.parametrize("texts", [["a"] * 10, ["a" * 100], ["a" * 9000] * 2, ["\ud800"]])
def test_what_does_not_fit_raises(texts: list[str]) -> None:
    with pytest.raises((Unusual, ValueError, struct.error)):
        lower_texts(memoryview(bytearray(100)), 64, texts)


def lifted(pairs: list[tuple[int, int]], memory: bytes) -> Any:
    """What a guest's list of these pointers and lengths is, by the generated codec; the plain
    one says the same.
    """
    world = World()
    world.function("get", {}, world.list("string"))
    function = world.description().exports[0]
    words = [word for pair in pairs for word in pair]
    record = 2048

    def guest(_: int) -> None:
        struct.pack_into("<II", context.export_memory, function.result_offset, record, len(pairs))
        struct.pack_into(f"<{len(words)}I", context.export_memory, record, *words)
        context.export_memory[4096 : 4096 + len(memory)] = memory

    results = []
    for call in (bind_export(function, context := EchoContext()), None):
        context.guest = guest
        try:
            value = call() if call else PlainFunction(function).call(context, ())
        except GuestDataError as error:
            value = str(error)
        results.append(value)
    assert results[0] == results[1]
    return results[0]


def test_texts_may_lie_anywhere() -> None:
    memory = b"zwei eins drei" + bytes(20_000) + "übrig".encode()
    end = 4096 + len(memory)
    assert lifted([(4101, 4), (4096, 4), (4106, 4)], memory) == ["eins", "zwei", "drei"]
    # Empty ones at any address, and others far away.
    assert lifted([(0, 0), (65536, 0), (end - 6, 6), (4096, 4)], memory) == [
        "",
        "",
        "übrig",
        "zwei",
    ]
    # What lies between two texts need not be one.
    assert lifted([(4096, 2), (4099, 2)], b"ab\xffcd") == ["ab", "cd"]
    # The same text twice.
    assert lifted([(4096, 4)] * 3, b"same") == ["same"] * 3


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([(4096, 4), (65535, 2)], "reach beyond the transfer memory"),
        ([(4096, 4), (0xFFFFFFFF, 0)], "reach beyond"),
        ([(0, 0xFFFFFFFF)], "reach beyond"),
        ([(0, 65536), (0, 65536)], "the lists overlap"),
        ([(4096, 4), (4100, 1)], "not UTF-8"),
        ([(4096, 3)], "not UTF-8"),
    ],
)
def test_hostile_pointers(pairs: list[tuple[int, int]], problem: str) -> None:
    assert problem in lifted(pairs, b"ab\xc3\xa9\xff")
