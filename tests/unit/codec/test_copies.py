"""How often large values are copied on the host's side: counted in memory that is allocated.

A copy of a value is an allocation of its size, wherever it is made; what goes straight into the
transfer memory, or comes straight from it, allocates nothing but the result.
"""

from __future__ import annotations

import sys
import tracemalloc
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.codec.plain import PlainFunction
from hlwasm.wit.model import NumberLists
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import EchoContext, World

LENGTH = 1 << 20
# Of what is no copy of a value: pieces that are encoded, frames, and the like.
SLACK = 0.1
TEXTS = {
    "ascii": "a" * LENGTH,
    "latin": "grüße " * (LENGTH // 6),
    "ucs2": "☃" * LENGTH,
    "ucs4": "😀" * LENGTH,
    "ucs4 at the end": "a" * (LENGTH - 1) + "😀",
}
BUFFERS = {
    "bytes": ("u8", bytes(LENGTH)),
    "bytearray": ("u8", bytearray(LENGTH)),
    "memoryview": ("u8", memoryview(bytes(LENGTH))),
    "array": ("f64", array("d", bytes(LENGTH))),
    "numpy": ("s32", np.zeros(LENGTH // 4, "i4")),
}


def peak(call: Callable[[], Any]) -> int:
    """The most bytes that were allocated at one time while ``call`` ran: the least of several runs.

    What is traced is the whole process: the collector, and threads that earlier tests left behind
    (of pools, of Hypothesis), allocate beside one run or another. A copy is made in each.
    """
    call()
    peaks = []
    for _ in range(5):
        tracemalloc.start()
        try:
            kept = call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        del kept
    return min(peaks)


def take(ref: Any, world: World) -> Callable[[Any], None]:
    """A function that lowers its argument, and has no result; its code is generated."""
    world.function("take", {"value": ref})
    call = bind_export(world.description().exports[0], EchoContext(8 << 20))
    if "_generate" in call.__globals__:
        call.__globals__["_generate"]()
    return call


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_strings_are_encoded_into_the_memory(text: str) -> None:
    call = take("string", World())
    assert peak(lambda: call(text)) < SLACK * sys.getsizeof(text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_so_are_those_of_the_first_call(text: str) -> None:
    """Which the plain codec serves."""
    world = World()
    world.function("take", {"value": "string"})
    function = PlainFunction(world.description().exports[0])
    context = EchoContext(8 << 20)
    assert peak(lambda: function.lower_params(context, (text,))) < SLACK * sys.getsizeof(text)


@pytest.mark.parametrize(("element", "value"), BUFFERS.values(), ids=BUFFERS)
def test_buffers_are_copied_into_the_memory(element: str, value: Any) -> None:
    world = World()
    call = take(world.list(element), world)
    assert peak(lambda: call(value)) < SLACK * LENGTH


def test_also_within_other_values() -> None:
    world = World()
    record = world.record("page", text="string", data=world.list("u8"))
    ref = world.option(world.tuple(world.result(record), world.list(world.list("u8"))))
    call = take(ref, world)
    page = {"text": TEXTS["latin"], "data": bytes(LENGTH)}
    value = (Ok(page), [bytes(LENGTH), bytearray(LENGTH)])
    assert peak(lambda: call(value)) < SLACK * LENGTH


def test_lists_of_long_strings() -> None:
    world = World()
    ref = world.list("string")
    texts = [TEXTS["ascii"], TEXTS["latin"]]
    call = take(ref, world)
    assert peak(lambda: call(texts)) < SLACK * LENGTH
    world = World()
    get = echoing(world.list("string"), world, [TEXTS["ascii"]] * 2, "list")
    assert peak(get) < (2 + SLACK) * LENGTH


def echoing(ref: Any, world: World, value: Any, number_lists: NumberLists) -> Callable[[], Any]:
    """A call without argument whose result is ``value``; its code is generated."""
    world.function("take", {"value": ref})
    world.function("get", {}, ref)
    taking, getting = world.description(number_lists).exports
    context = EchoContext(8 << 20)
    bind_export(taking, context)(value)
    size, offset = taking.params_size, getting.result_offset
    context.export_memory[offset : offset + size] = bytes(context.export_memory[64 : 64 + size])
    call = bind_export(getting, context)
    if "_generate" in call.__globals__:
        call.__globals__["_generate"]()
    return call


@pytest.mark.parametrize("number_lists", ["list", "array", "numpy"])
def test_bytes_come_out_by_one_copy(number_lists: NumberLists) -> None:
    world = World()
    call = echoing(world.list("u8"), world, bytes(LENGTH), number_lists)
    assert LENGTH <= peak(call) < (1 + SLACK) * LENGTH


@pytest.mark.parametrize("number_lists", ["array", "numpy"])
def test_arrays_come_out_by_one_copy(number_lists: NumberLists) -> None:
    world = World()
    call = echoing(world.list("f64"), world, array("d", bytes(LENGTH)), number_lists)
    assert LENGTH <= peak(call) < (1 + SLACK) * LENGTH


def test_ascii_comes_out_by_one_copy() -> None:
    call = echoing("string", World(), TEXTS["ascii"], "list")
    assert LENGTH <= peak(call) < (1 + SLACK) * LENGTH


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_strings_are_decoded_from_the_memory(text: str) -> None:
    """Nothing is allocated but what CPython's decoder does, which makes room as it goes."""
    call = echoing("string", World(), text, "list")
    encoded = memoryview(text.encode())
    assert call() == text
    assert peak(call) < peak(lambda: str(encoded, "utf-8")) + SLACK * sys.getsizeof(text)


@pytest.mark.parametrize("value", [TEXTS["latin"], bytes(LENGTH)], ids=["string", "bytes"])
def test_views_copy_nothing(value: Any) -> None:
    world = World()
    ref = "string" if isinstance(value, str) else world.list("u8")
    call = echoing(ref, world, value, "list")
    lend = call.__hlwasm_export__.lend  # type: ignore[attr-defined]
    assert peak(lend) < SLACK * LENGTH


def test_host_functions() -> None:
    world = World()
    data = world.list("u8")
    world.function("swap", {"value": data}, data)
    description = world.description()
    context = EchoContext(8 << 20)
    context.import_memory = memoryview(bytearray(8 << 20))
    context.import_memory[64:72] = (1024).to_bytes(4, "little") + LENGTH.to_bytes(4, "little")
    context.import_memory[60:64] = (2 << 20).to_bytes(4, "little")
    result = bytearray(LENGTH)
    serve = bind_import(description.imports[0], context, lambda value: result)
    for _ in range(3):
        serve(64)
    # The argument; the result is written where the guest reads it.
    assert LENGTH <= peak(lambda: serve(64)) < (1 + SLACK) * LENGTH
