"""Bytes of host calls, as the codecs count them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from hlwasm.codec.functions import bind_import
from hlwasm.errors import Err
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import EchoContext, World

# More than any function is served by the plain codec.
CALLS = 7


class Stop(Exception):
    """Too many bytes."""


def refuse(size: int) -> None:
    raise Stop


def counted(
    context: EchoContext, world: World, implementation: Callable[..., Any], pointer: int = 64
) -> list[list[int]]:
    """What is counted in each of several calls: the first by the plain codec, later ones not."""
    seen: list[list[int]] = []
    context.count_bytes = lambda size: seen[-1].append(size)
    serve = bind_import(world.description().imports[0], context, implementation)
    for _ in range(CALLS):
        seen.append([])
        serve(pointer)
    return seen


@pytest.mark.parametrize(
    ("params", "result", "value", "expected"),
    [
        ({}, None, None, []),
        ({"a": "u8"}, None, None, [1]),
        ({"a": "u8", "b": "u64"}, "u32", 7, [16, 4]),
        ({}, "string", "äbc", [8 + 4]),
        ({}, ("list", "u32"), [1, 2, 3], [8 + 12]),
        ({}, ("list", "string"), ["ab", "", "cde"], [8 + 24 + 5]),
        ({}, ("list", "u8"), b"x" * 1000, [1008]),
        ({}, ("option", "string"), None, [12]),
        ({}, ("option", "string"), "xyz", [15]),
    ],
)
def test_both_codecs_count_the_same(
    params: dict[str, str], result: Any, value: Any, expected: list[int]
) -> None:
    world = World()
    if isinstance(result, tuple):
        result = getattr(world, result[0])(result[1])
    world.function("f", params, result)
    assert counted(EchoContext(), world, lambda *_: value) == [expected] * CALLS


@pytest.mark.parametrize("value", [Ok("abc"), Err("abc")])
def test_both_arms_of_a_result_count(value: object) -> None:
    world = World()
    world.function("f", {}, world.result("string", "string"))
    assert counted(EchoContext(), world, lambda: value) == [[12 + 3]] * CALLS


@pytest.mark.parametrize("nested", [False, True])
def test_parameters_count_with_all_they_point_to(nested: bool) -> None:
    world = World()
    world.function("f", {"a": world.list("string" if nested else "u16"), "b": "u32"})
    context = EchoContext()
    # Two elements at 128, as strings each of five bytes at 256.
    struct.pack_into("<IIIIIII", context.import_memory, 64, 128, 2, 9, 0, 0, 0, 0)
    struct.pack_into("<IIII", context.import_memory, 128, 256, 5, 256, 5)
    expected = 12 + (2 * 8 + 2 * 5 if nested else 2 * 2)
    assert counted(context, world, lambda a, b: None) == [[expected]] * CALLS


def test_the_function_does_not_run_where_its_parameters_are_too_many_bytes() -> None:
    world = World()
    world.function("f", {"a": "string", "b": "u32"})
    context = EchoContext()
    struct.pack_into("<III", context.import_memory, 64, 128, 5, 9)
    ran: list[str] = []
    for bound in range(2):
        serve = bind_import(world.description().imports[0], context, lambda a, b: ran.append(a))
        for _ in range(CALLS):
            with pytest.raises(Stop) if bound else nullcontext():
                serve(64)
        # Read when a function is bound, as limits are those of a sandbox.
        context.count_bytes = refuse
    assert len(ran) == CALLS


@pytest.mark.parametrize("warm", [False, True])
def test_a_result_that_is_too_many_bytes_is_made_only_once(warm: bool) -> None:
    world = World()
    world.function("f", {}, "string")
    context, ran = EchoContext(), 0

    def text() -> str:
        nonlocal ran
        ran += 1
        return "x" * 50

    function = world.description().imports[0]
    serve = bind_import(function, context, text)
    for _ in range(CALLS * warm):
        serve(0)
    ran = 0
    context.count_bytes = refuse
    serve = bind_import(function, context, text)
    for count in range(1, CALLS):
        with pytest.raises(Stop):
            serve(0)
        assert ran == count
