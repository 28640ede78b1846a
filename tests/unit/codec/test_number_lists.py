"""Lists of numbers that come back as arrays, wherever they stand."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import pytest

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.codec.generated import FunctionGenerator
from hlwasm.codec.number_lists import check_number_lists
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import GuestDataError
from hlwasm.wit.model import NumberLists
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import EchoContext, World, echo

NUMBERS = sorted(NUMBER_FORMAT)


def echoed(world: World, ref: Any, value: Any, number_lists: NumberLists) -> tuple[Any, Any]:
    """What the generated and what the plain codec make of a value that comes back."""
    world.function("echo", {"value": ref}, ref)
    function = world.description(number_lists).exports[0]
    context = EchoContext()
    echo(function, context)
    call = bind_export(function, context)
    if "_generate" in call.__globals__:
        call.__globals__["_generate"]()
    generated = call(value)
    return generated, PlainFunction(function).call(context, (value,))


@pytest.mark.parametrize("element", NUMBERS)
@pytest.mark.parametrize("items", [[], [0, 1, 100]])
def test_arrays(element: str, items: list[int]) -> None:
    world = World()
    for result in echoed(world, world.list(element), items, "array"):
        if element == "u8":
            assert result == bytes(items)
            continue
        assert type(result) is array.array
        assert (result.typecode, result.tolist()) == (NUMBER_FORMAT[element], items)


@pytest.mark.parametrize("element", NUMBERS)
@pytest.mark.parametrize("items", [[], [0, 1, 100]])
def test_numpy_arrays(element: str, items: list[int]) -> None:
    world = World()
    for result in echoed(world, world.list(element), items, "numpy"):
        assert type(result) is np.ndarray
        kind = {"u": "uint", "s": "int", "f": "float"}[element[0]]
        assert result.dtype == np.dtype(f"{kind}{element[1:]}")
        assert result.tolist() == items
        # It is the caller's own: writing to it changes nothing else.
        assert result.flags.writeable
        assert result.flags.owndata


@pytest.mark.parametrize("number_lists", ["array", "numpy"])
def test_lists_of_other_things_stay_lists(number_lists: NumberLists) -> None:
    world = World()
    ref = world.tuple(world.list("bool"), world.list("char"), world.list("string"))
    value = ([True], ["x"], ["text"])
    assert echoed(world, ref, value, number_lists) == (value, value)


def test_at_any_depth() -> None:
    world = World()
    doubles = world.list("f64")
    record = world.record("samples", left=doubles, right=world.option(doubles))
    variant = world.variant("wave", {"stereo": record, "raw": world.list("s16"), "silent": None})
    ref = world.list(world.tuple(variant, world.result(doubles)))
    description = world.description()
    cls = description.python_type(variant)
    samples = description.python_type(record)
    value = [
        (cls.Stereo(samples([1.0], [2.0, 3.0])), Ok([4.0])),
        (cls.Raw([-1]), Ok([])),
        (cls.Silent(), Ok([5.0])),
    ]
    for result in echoed(world, ref, value, "array"):
        (stereo, first), (raw, _), _ = result
        assert stereo.value.left == array.array("d", [1.0])
        assert stereo.value.right == array.array("d", [2.0, 3.0])
        assert raw.value == array.array("h", [-1])
        assert first.value == array.array("d", [4.0])


def test_arguments_of_host_functions() -> None:
    world = World()
    doubles = world.list("f64")
    world.function("echo", {"value": doubles}, doubles)
    function = world.description("array").imports[0]
    context = EchoContext()
    plain = PlainFunction(function)
    plain.lower_params(context, ([1.0, 2.0],))
    context.import_memory[:] = context.export_memory
    seen: list[Any] = []

    def double(value: Any) -> Any:
        seen.append(value)
        return np.asarray(value) * 2

    pointer = bind_import(function, context, double)(64)
    assert seen == [array.array("d", [1.0, 2.0])]
    start = int.from_bytes(context.import_memory[pointer : pointer + 4], "little")
    assert context.import_memory[start : start + 16].cast("d").tolist() == [2.0, 4.0]


@pytest.mark.parametrize("number_lists", ["list", "array", "numpy"])
def test_pointers_are_checked(number_lists: NumberLists) -> None:
    world = World()
    world.function("get", {}, world.list("f64"))
    function = world.description(number_lists).exports[0]
    offset = function.result_offset
    for pointer, count in [(65536 - 8, 2), (4, 1), (0, 0x2000_0001), (0xFFFFFFF8, 1)]:
        context = EchoContext()
        record = pointer.to_bytes(4, "little") + count.to_bytes(4, "little")
        context.export_memory[offset : offset + 8] = record
        with pytest.raises(GuestDataError):
            bind_export(function, context)()
        assert context.poisoned_by is not None


def test_generated_code_makes_them_without_a_loop() -> None:
    world = World()
    doubles = world.list("f64")
    world.function("echo", {"value": doubles}, doubles)
    function = world.description("numpy").exports[0]
    text = FunctionGenerator(PlainFunction(function)).export("echo").text
    assert "for " not in text
    assert "tolist" not in text


@pytest.mark.parametrize(
    ("number_lists", "annotation"),
    [("list", "list[float]"), ("array", "array[float]"), ("numpy", "ndarray")],
)
def test_annotations_say_it(number_lists: NumberLists, annotation: str) -> None:
    world = World()
    world.function("get", {}, world.list("f64"))
    world.function("get-bytes", {}, world.list("u8"))
    world.function("get-texts", {}, world.list("string"))
    exports = world.description(number_lists).exports
    found = [bind_export(each, EchoContext()).__annotations__["return"] for each in exports]
    bytes_ = "ndarray" if number_lists == "numpy" else "bytes"
    assert found == [annotation, bytes_, "list[str]"]


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(
        ValueError, match="number_lists='tuple' is none of 'list', 'array', 'numpy'"
    ):
        check_number_lists("tuple")


def test_numpy_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match="needs NumPy"):
        check_number_lists("numpy")
