from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from hlwasm.codec.functions import bind_export
from hlwasm.codec.layout import Layout, Shape, discriminant_size, flags_shape
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import ArtifactError, LimitExceeded
from tests.switching import switching_often
from tests.unit.codec.worlds import EchoContext, World


def test_sizes_and_alignments_are_the_canonical_abi_s() -> None:
    world = World()
    shapes: dict[Any, tuple[int, int]] = {
        "bool": (1, 1),
        "char": (4, 4),
        "u64": (8, 8),
        "string": (8, 4),
        world.list("u64"): (8, 4),
        world.record("r", a="u8", b="u32", c="u8"): (12, 4),
        world.record("s", a="u8", b="u64", c="u16"): (24, 8),
        world.tuple("u8", "u8", "u16"): (4, 2),
        world.option("u8"): (2, 1),
        world.option("u64"): (16, 8),
        world.option("string"): (12, 4),
        world.result(): (1, 1),
        world.result("u8", "u32"): (8, 4),
        world.result(None, "u64"): (16, 8),
        world.variant("v", {"a": "u64", "b": "u8", "c": None}): (16, 8),
        world.enum("few", *[f"c{i}" for i in range(256)]): (1, 1),
        world.enum("more", *[f"c{i}" for i in range(257)]): (2, 2),
        world.flags("f8", *[f"f{i}" for i in range(8)]): (1, 1),
        world.flags("f9", *[f"f{i}" for i in range(9)]): (2, 2),
        world.flags("f17", *[f"f{i}" for i in range(17)]): (4, 4),
        world.own(world.resource("r")): (4, 4),
    }
    layout = Layout(world.description())
    for ref, shape in shapes.items():
        assert layout.shape(ref) == Shape(*shape), ref
    assert layout.record(["u8", "u32", "u8", "u16"]).offsets == (0, 4, 8, 10)
    assert layout.record([]).shape == Shape(0, 1)


def test_types_without_content_are_refused() -> None:
    """A list of them would be of any length in no bytes."""
    world = World()
    for empty in (world.tuple(), world.record("r"), world.tuple(world.tuple())):
        layout = Layout(world.description())
        for ref in (empty, world.list(empty), world.option(empty)):
            with pytest.raises(ArtifactError, match="without content"):
                Layout(world.description()).shape(ref)
        assert layout.shape("u8") == Shape(1, 1)


def test_big_discriminants() -> None:
    assert [discriminant_size(n) for n in (1, 256, 257, 65536, 65537)] == [1, 1, 2, 2, 4]
    assert [flags_shape(n) for n in (32, 33, 65)] == [Shape(4, 4), Shape(8, 4), Shape(12, 4)]


@pytest.mark.parametrize(
    "change", [{"params_size": 4}, {"params_align": 8}, {"result_offset": 73}, {"end_offset": 72}]
)
def test_numbers_of_the_generator_that_differ_are_refused(change: dict[str, int]) -> None:
    world = World()
    world.function("add", {"a": "u32", "b": "u32"}, "u32", **change)
    with pytest.raises(ArtifactError):
        PlainFunction(world.description().exports[0])


@pytest.mark.parametrize("kind", ["option", "list", "tuple"])
def test_types_nested_without_end_are_refused(kind: str) -> None:
    world = World()
    deep: Any = "u8"
    for _ in range(200):
        deep = getattr(world, kind)(deep)
    with pytest.raises(ArtifactError, match="too deeply"):
        Layout(world.description()).shape(deep)


def test_threads_do_not_add_up_their_depths() -> None:
    def measure(_: int) -> int:
        start.wait()
        return layout.shape(deep).size

    with switching_often(), ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            world = World()
            deep: Any = "u8"
            for _ in range(100):
                deep = world.tuple(deep)
            layout = Layout(world.description())
            start = Barrier(4)
            assert set(threads.map(measure, range(4))) == {1}


def test_what_has_no_values_has_no_layout() -> None:
    world = World()
    cyclic, resource = world.option(0), world.resource("r")
    layout = Layout(world.description())
    for ref in (cyclic, resource, "u9"):
        with pytest.raises(ArtifactError):
            layout.shape(ref)


def test_parameters_that_flatten_to_gigabytes() -> None:
    world = World()
    ref: Any = "u64"
    for _ in range(28):
        ref = world.tuple(ref, ref)
    # A forged end, inside of the parameters.
    world.function("f", {"a": ref}, end_offset=72)
    call = bind_export(world.description().exports[0], EchoContext())
    for _ in range(4):
        with pytest.raises(LimitExceeded):
            call((1, 2))
