"""Lists of numbers outside a sandbox: as a whole, without a step for each number.

A list of some hundred thousand takes milliseconds so, and one by one it takes seconds. Lifted
as a view of its bytes, it keeps them all: a number that became a Python float would not, for
that quiets a signalling NaN of ``f32``.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from functools import lru_cache
from typing import Any

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.checks import Path, memory_full
from hlwasm.codec.fast_values import Unusual, number_data
from hlwasm.codec.layout import align_up
from hlwasm.codec.reference import Lifting, Lowering, Reference
from hlwasm.text import count_text
from hlwasm.wit.model import List

# Bytes that a value is lowered into at most.
LARGEST_SIZE = 1 << 28

_packer = lru_cache(number_data)


class GrowingLowering(Lowering):
    """Lowers into memory that grows with what it has to hold."""

    __slots__ = ()

    def allocate(self, size: int, align: int, path: Path) -> int:
        """See :meth:`hlwasm.codec.reference.Lowering.allocate`."""
        end = align_up(self.cursor, align) + size
        if end > len(self.memory):
            if end > LARGEST_SIZE:
                raise memory_full(path, LARGEST_SIZE)
            grown = memoryview(bytearray(max(end, 2 * len(self.memory))))
            grown[: self.cursor] = self.memory[: self.cursor]
            self.memory = grown
        return super().allocate(size, align, path)


class FlatLifting(Lifting):
    """Has lists of numbers lifted as views of the memory, which codecs take as they take lists."""

    __slots__ = ()


class FlatReference(Reference):
    """The reference codec, but that it takes usual lists of numbers as a whole."""

    def _lower_list(
        self, state: Lowering, type_: List, offset: int, value: Any, path: Path
    ) -> None:
        if type_.element in NUMBER_FORMAT and (type(value) is list or type(value) is tuple):
            # What is unusual is lowered one by one, which says where a wrong one is.
            with suppress(Unusual, struct.error, OverflowError):
                value = _numbers(str(type_.element), value)
        super()._lower_list(state, type_, offset, value, path)

    def _lift_list(self, state: Lifting, type_: List, offset: int, path: Path) -> Any:
        element = type_.element
        flat = isinstance(state, FlatLifting)
        usual = self.description.number_lists == "list" and element != "u8"
        if element not in NUMBER_FORMAT or not (flat or usual):
            return super()._lift_list(state, type_, offset, path)
        pointer, count = struct.unpack_from("<II", state.memory, offset)
        size = self.layout.shape(element).size
        end = state.payload(pointer, count, size, size, path)
        view = state.memory[pointer:end].cast(_code(str(element)))
        return view if flat else view.tolist()


def parse_numbers(element: str, text: str) -> memoryview | None:
    """The numbers of a list in WAVE, None where it takes the parser to read or to refuse it.

    JSON writes most lists in the same way, and Python reads it fast.
    """
    # WAVE knows the sign of -0, which an int has not.
    kind = float if element[0] == "f" else int
    try:
        items = json.loads(text, parse_int=kind, parse_constant=_no_json)
        return _numbers(element, items) if type(items) is list else None
    except (ValueError, RecursionError, Unusual, struct.error, OverflowError):
        return None


def unpack_numbers(element: str, data: bytes) -> memoryview:
    """The numbers that lie side by side in some bytes.

    Raises:
        ValueError: there is a rest.
    """
    rest = len(data) % struct.calcsize(_code(element))
    if rest:
        raise ValueError(
            f"this is no list<{element}>: {count_text(rest, 'byte')} of {len(data)} left over"
        )
    return memoryview(data).cast(_code(element))


def _numbers(element: str, items: Any) -> memoryview:
    return memoryview(_packer(element)(items)).cast(_code(element))


def _code(element: str) -> Any:
    # One of those that memoryview.cast knows.
    return NUMBER_FORMAT[element]


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is none of WAVE's numbers")
