"""Arrays and views in the place of lists: generated codecs against the plain one."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hlwasm.codec.functions import bind_export
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import Err
from hlwasm.wit.model import Function, NumberLists
from hlwasm.wit.values import Ok
from tests.plain_values import plainly
from tests.property.strategies import types, values
from tests.property.test_codec import MANY, SIZE, outcome, outcome_of_junk, without_fallback
from tests.unit.codec.worlds import EchoContext, EchoLoan, World, echo


@st.composite
def functions_and_values(
    draw: st.DrawFn, number_lists: NumberLists = "list"
) -> tuple[Function, Any]:
    """A function that takes and returns one random type, and a value of it with lists."""
    world = World()
    ref = draw(types(world))
    world.function("echo", {"value": ref}, ref)
    description = world.description(number_lists)
    return description.exports[0], draw(values(description, ref))


def expected(function: Function, value: Any) -> Any:
    """What a call returns, or what it raises."""
    fallible = PlainFunction(function).fallible
    return value.value if fallible and isinstance(value, Ok) else value


def lending(function: Function, context: EchoContext) -> Any:
    return bind_export(function, context).__hlwasm_export__.lend  # type: ignore[attr-defined]


@MANY
@given(functions_and_values("array") | functions_and_values("numpy"))
def test_arrays_hold_what_lists_do(case: tuple[Function, Any]) -> None:
    function, value = case
    context = EchoContext(SIZE)
    echo(function, context)
    call = without_fallback(bind_export(function, context))
    generated = outcome(lambda: call(value))
    plain = outcome(lambda: PlainFunction(function).call(context, (value,)))
    assert plainly(generated) == plainly(plain) == plainly(expected(function, value))
    # The same kinds of lists, also of bytes.
    assert repr(generated) == repr(plain)


def _fallible_lists() -> tuple[Function, Any]:
    """What is raised holds an array, which is not equal to a list."""
    world = World()
    ref = world.result(None, world.list("f32"))
    world.function("echo", {"value": ref}, ref)
    return world.description("array").exports[0], Err([])


@MANY
@given(functions_and_values() | functions_and_values("array"))
@example(_fallible_lists())
def test_views_show_what_copies_hold(case: tuple[Function, Any]) -> None:
    function, value = case
    context = EchoContext(SIZE)
    echo(function, context)
    call = without_fallback(lending(function, context))
    result = outcome(lambda: call(value))
    if isinstance(result, Err):
        assert plainly(result) == plainly(value)
        return
    loan, result = result
    assert plainly(result) == plainly(expected(function, value))
    assert all(view.readonly for view in loan.lent)


@MANY
@given(functions_and_values(), st.binary(min_size=128, max_size=128))
def test_views_of_hostile_results(case: tuple[Function, Any], junk: bytes) -> None:
    function, value = case
    context = EchoContext(2048)
    call = lending(function, context)
    result = outcome_of_junk(context, junk, lambda: call(value))
    context.begin()
    loan = context.lend()
    plain = outcome(lambda: PlainFunction(function).lift_result(context, loan))
    if isinstance(result, tuple) and isinstance(result[0], EchoLoan):
        result = result[1]
    # By their text: a NaN is not equal to itself.
    assert repr(plainly(result)) == repr(plainly(plain))
