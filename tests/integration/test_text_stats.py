"""text_stats_c: a component in C with a canonical ABI by hand."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("ziglang", "cargo")]

TEXT = "the cat saw\nthe größte Käfer the\n\tend"


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def stats(start: Start, asked: list[str]) -> Any:
    def skip_word(word: str) -> bool:
        asked.append(word)
        return word == "the"

    return start("text_stats_c", {"skip-word": skip_word}).exports.stats


def test_describe(stats: Any) -> None:
    report = stats.describe(TEXT)
    assert (report.lines, report.words, report.characters) == (3, 8, len(TEXT))
    assert report.longest_word == "größte"
    assert report.words_per_line == 8 / 3
    empty = stats.describe("")
    assert (empty.lines, empty.words, empty.longest_word, empty.words_per_line) == (0, 0, None, 0)


def test_frequencies(stats: Any, asked: list[str]) -> None:
    counted = stats.frequencies(TEXT, stats.Order.BY_COUNT, None)
    assert {each.word: each.count for each in counted} == dict.fromkeys(
        ["Käfer", "cat", "end", "größte", "saw"], 1
    )
    assert asked == sorted(set(TEXT.split()), key=str.encode)
    assert [each.word for each in stats.frequencies(TEXT, "by-word", 2)] == ["Käfer", "cat"]
    with pytest.raises(hlwasm.Err) as caught:
        stats.frequencies(" \n", "by-word", None)
    assert caught.value.value == "the text has no words"


def test_frequencies_of_a_long_text(stats: Any) -> None:
    words = random.Random(1).choices([f"wört{i}" for i in range(500)], k=50_000)
    counted = stats.frequencies(" ".join(words), "by-count", None)
    expected = sorted(Counter(words).items(), key=lambda each: (-each[1], each[0].encode()))
    assert [(each.word, each.count) for each in counted] == expected


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, list])
def test_bytes_of_any_kind(stats: Any, make: Any) -> None:
    data = random.Random(2).randbytes(10_000) + bytes(5_000)
    assert stats.histogram(make(data)) == [data.count(byte) for byte in range(256)]
    shares = [count / len(data) for count in Counter(data).values()]
    assert math.isclose(stats.entropy(make(data)), -sum(p * math.log2(p) for p in shares))


def test_no_bytes(stats: Any) -> None:
    assert stats.entropy(b"") == 0
    assert stats.histogram(b"") == [0] * 256


def test_megabytes(stats: Any) -> None:
    data = bytes(range(256)) * (1 << 14)
    assert stats.histogram(data) == [1 << 14] * 256
    assert stats.describe("x" * (8 << 20)).characters == 8 << 20
