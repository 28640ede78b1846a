"""Lists of strings for generated code: all of a list's text is converted at once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from operator import add
from typing import Any

from hlwasm.codec.fast_values import LONG_TEXT, Unusual, copy_text

# Texts that are longer than this on average are copied one by one, and once.
_LONG = 4096
# Bytes between texts that are read in one piece.
_GAPS = 4096


def lower_texts(memory: memoryview, at: int, texts: Any) -> int:
    """Writes a list of strings: at ``at`` a pointer and a length for each, and behind those all
    text. Returns where that ends.
    """
    if type(texts) is not list and type(texts) is not tuple:
        raise Unusual
    count = len(texts)
    first = at + 8 * count
    if first > len(memory):
        raise Unusual
    if sum(map(len, texts)) > _LONG * count:
        lengths = _copy_each(memory, first, texts)
    else:
        # Which refuses what is no string.
        joined = "".join(texts)
        data = joined.encode()
        if len(data) == len(joined):
            lengths = list(map(len, texts))
        else:
            lengths = [len(text.encode()) for text in texts]
        memory[first : first + len(data)] = data
    starts = list(accumulate(lengths, initial=first))
    end = starts.pop()
    _write_pairs(memory, at, starts, lengths)
    return end


def _copy_each(memory: memoryview, first: int, texts: Sequence[str]) -> list[int]:
    """Writes texts one behind the other; returns how many bytes each of them has."""
    lengths = []
    for text in texts:
        if type(text) is not str:
            raise Unusual
        if len(text) > LONG_TEXT:
            length = copy_text(memory, first, text)
        else:
            data = text.encode()
            length = len(data)
            memory[first : first + length] = data
        lengths.append(length)
        first += length
    return lengths


def _write_pairs(
    memory: memoryview, at: int, starts: Sequence[int], lengths: Sequence[int]
) -> None:
    words = [0] * (2 * len(starts))
    words[::2], words[1::2] = starts, lengths
    struct.pack_into(f"<{len(words)}I", memory, at, *words)


def lift_texts(memory: memoryview, start: int, end: int) -> tuple[list[str], int]:
    """The strings whose pointers and lengths lie between ``start`` and ``end``, and how many
    bytes they have together.
    """
    # Only here are the guest's words read.
    words = memory[start:end].cast("I").tolist()
    if not words:
        return [], 0
    starts, lengths = words[::2], words[1::2]
    ends = list(map(add, starts, lengths))
    first, last, total = min(starts), max(ends), sum(lengths)
    if last > len(memory) or total > len(memory):
        raise Unusual
    if total > _LONG * len(starts) or last - first > total + _GAPS:
        return [str(memory[a:b], "utf-8") for a, b in zip(starts, ends, strict=True)], total
    data = memory[first:last].tobytes()
    if data.isascii():
        text = data.decode()
        return [text[a - first : b - first] for a, b in zip(starts, ends, strict=True)], total
    return [data[a - first : b - first].decode() for a, b in zip(starts, ends, strict=True)], total
