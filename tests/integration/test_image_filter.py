"""image_filter_rs: a component in Rust, by way of wit-bindgen."""

from __future__ import annotations

import random
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("ziglang", "cargo", "rust-wasm")]

PIXELS = bytes([10, 20, 30, 255, 0, 0, 0, 255, 255, 255, 255, 255, 100, 0, 0, 128])


@pytest.fixture
def steps() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def filters(start: Start, steps: list[tuple[int, int]]) -> Any:
    def progress(done: int, total: int) -> bool:
        steps.append((done, total))
        return done < 4

    return start("image_filter_rs", {"progress": progress}).exports.filters


def picture(filters: Any, width: int = 2, height: int = 2, pixels: bytes = PIXELS) -> Any:
    return filters.Picture(width=width, height=height, pixels=pixels)


def test_filters(filters: Any, steps: list[tuple[int, int]]) -> None:
    each = filters.Filter
    done = filters.apply(picture(filters), [each.Invert(), each.Crop((0, 0, 1, 1))])
    assert done == picture(filters, 1, 1, bytes([245, 235, 225, 255]))
    assert steps == [(1, 2), (2, 2)]
    bright = filters.apply(picture(filters), [each.Brightness(1.5)])
    assert bright.pixels[:4] == bytes([15, 30, 45, 255])
    assert filters.apply(picture(filters), []) == picture(filters)
    assert filters.apply(picture(filters), [each.Blur(0)]) == picture(filters)


def test_problems(filters: Any) -> None:
    each, problem = filters.Filter, filters.Problem
    for source, wanted, expected in [
        (picture(filters, 3, 1), [], problem.WrongSize(12)),
        (picture(filters, 2**32 - 1, 2**32 - 1), [], problem.WrongSize(2**64 - 1)),
        (picture(filters), [each.Crop((1, 1, 2, 1))], problem.Outside((1, 1, 2, 1))),
        (picture(filters), [each.Invert()] * 5, problem.Stopped()),
    ]:
        with pytest.raises(hlwasm.Err) as caught:
            filters.apply(source, wanted)
        assert caught.value.value == expected


def test_histogram(filters: Any) -> None:
    red, green, blue = filters.histogram(picture(filters))
    assert [i for i, count in enumerate(red) if count] == [0, 10, 100, 255]
    assert green[0] == 2
    assert sum(blue) == 4


def test_large_picture(filters: Any) -> None:
    pixels = random.Random(3).randbytes(1024 * 1024 * 4)
    big = picture(filters, 1024, 1024, pixels)
    twice = filters.apply(big, [filters.Filter.Invert(), filters.Filter.Invert()])
    assert twice == big


def test_canvas(filters: Any) -> None:
    with filters.Canvas(2, 1) as canvas, filters.Canvas(1, 1) as dot:
        dot.fill(1, 2, 3)
        canvas.draw(dot, 1, 0)
        # A canvas may be borrowed twice in one call.
        canvas.draw(canvas, -1, 0)
        assert canvas.picture().pixels == bytes([1, 2, 3, 255]) * 2
        assert canvas.size() == (2, 1)


def test_canvases_that_are_consumed(filters: Any) -> None:
    left, right = filters.Canvas(2, 1), filters.Canvas(1, 3)
    with filters.Canvas.join(left, right) as joined:
        assert joined.size() == (3, 3)
    for canvas in (left, right):
        with pytest.raises(hlwasm.HlwasmError):
            canvas.size()
    # Handing a canvas over twice in one call is not possible either.
    twice = filters.Canvas(1, 1)
    with pytest.raises(hlwasm.HlwasmError):
        filters.Canvas.join(twice, twice)


def test_a_picture_too_large_is_a_trap(filters: Any) -> None:
    with pytest.raises(hlwasm.Trap) as caught:
        filters.Canvas(2**31, 2**31)
    assert caught.value.code is hlwasm.TrapCode.UNREACHABLE
