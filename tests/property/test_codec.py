"""Generated codecs against the plain one: same bytes, same values, same refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from hlwasm.codec.functions import bind_export
from hlwasm.codec.generated import FunctionGenerator
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import ConversionError, Err, GuestDataError, TransferLimitExceeded
from hlwasm.wit.model import Function
from hlwasm.wit.values import Ok, Some
from tests.property.strategies import anything, types, values
from tests.unit.codec.worlds import EchoContext, World, echo

MANY = settings(max_examples=300, deadline=None)
FEWER = settings(max_examples=100, deadline=None)
# Of a memory that any value fits: some strings have four KiB.
SIZE = 1 << 20


@st.composite
def functions_and_values(draw: st.DrawFn) -> tuple[Function, Any]:
    """A function that takes and returns one random type, and a value of it."""
    world = World()
    ref = draw(types(world))
    world.function("echo", {"value": ref}, ref)
    description = world.description()
    return description.exports[0], draw(values(description, ref))


def without_fallback(call: Any) -> Any:
    """Makes a bound function fail where it would fall back to the plain codec."""

    def refuse(*_: object) -> None:
        raise AssertionError("the fast path did not take a usual value")

    if "_generate" in call.__globals__:
        call.__globals__["_generate"]()
    for name in ("_lower_plain", "_lift_plain", "_lift_params_plain", "_lower_result_plain"):
        call.__globals__[name] = refuse
    return call


def serve_of(function: Function, context: EchoContext, implementation: Any) -> Any:
    code = FunctionGenerator(PlainFunction(function)).import_()
    return code.bind({**code.namespace(context), "_implementation": implementation})


def outcome(lift: Any) -> Any:
    """The value, or the kind of refusal."""
    try:
        return lift()
    except Err as error:
        return error
    except GuestDataError:
        return GuestDataError


def if_it_fits(lower: Any) -> Any:
    """What ``lower`` returns. Small memories are for pointers that are likely to be valid; an
    example that is too large for them is none.
    """
    try:
        return lower()
    except TransferLimitExceeded:
        reject()


def outcome_of_junk(context: EchoContext, junk: bytes, call: Any) -> Any:
    """The outcome of a call whose guest writes ``junk`` all over the memory."""

    def guest(_: int) -> None:
        context.export_memory[64:] = (junk * 16)[: 2048 - 64]

    context.guest = guest
    result = outcome(lambda: if_it_fits(call))
    assert context.depth == 0
    assert (result is GuestDataError) == (context.poisoned_by is not None)
    return result


class Stop(Exception):
    """Ends a call before there is a result."""


def stop(*_: object) -> None:
    raise Stop


@MANY
@given(functions_and_values())
def test_parameters_have_the_bytes_of_the_plain_codec(case: tuple[Function, Any]) -> None:
    function, value = case
    fast, slow = EchoContext(SIZE), EchoContext(SIZE)
    PlainFunction(function).lower_params(slow, (value,))
    fast.guest = stop
    with pytest.raises(Stop):
        without_fallback(bind_export(function, fast))(value)
    assert bytes(fast.export_memory) == bytes(slow.export_memory)


@MANY
@given(functions_and_values())
def test_a_value_comes_back_as_it_went(case: tuple[Function, Any]) -> None:
    function, value = case
    context = EchoContext(SIZE)
    echo(function, context)
    call = without_fallback(bind_export(function, context))
    if PlainFunction(function).fallible:
        assert outcome(lambda: call(value)) == (value if isinstance(value, Err) else value.value)
    else:
        assert call(value) == value


@MANY
@given(functions_and_values())
def test_host_functions_echo(case: tuple[Function, Any]) -> None:
    function, value = case
    context, slow = EchoContext(SIZE), EchoContext(SIZE)
    plain = PlainFunction(function)
    # An export call's parameters, taken as those of a host call at the same place.
    plain.lower_params(context, (value,))
    context.import_memory[:] = context.export_memory
    slow.import_memory[:] = context.export_memory
    seen: list[Any] = []

    def implementation(argument: Any) -> Any:
        seen.append(argument)
        return argument

    serve = without_fallback(serve_of(function, context, implementation))
    pointer = serve(64)
    assert seen == [value]
    assert plain.lift_params(slow, 64) == [value]
    assert plain.lower_result(slow, value) == pointer
    assert bytes(context.import_memory) == bytes(slow.import_memory)


@MANY
@given(
    functions_and_values(),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_hostile_bytes_are_refused_or_are_values(
    case: tuple[Function, Any], changes: list[tuple[int, int]]
) -> None:
    function, value = case
    plain = PlainFunction(function)
    context = EchoContext(4096)
    if_it_fits(lambda: plain.lower_params(context, (value,)))
    for offset, byte in changes:
        context.export_memory[64 + offset % 400] = byte
    context.import_memory[:] = context.export_memory
    seen: list[Any] = []

    def implementation(argument: Any) -> None:
        seen.append(argument)
        raise Stop

    expected = outcome(lambda: plain.lift_params(context, 64))
    with pytest.raises((GuestDataError, Stop)):
        serve_of(function, context, implementation)(64)
    # By their text: a NaN is not equal to itself.
    assert repr(seen) == repr([] if expected is GuestDataError else expected)


@MANY
@given(functions_and_values(), st.binary(min_size=128, max_size=128))
def test_a_hostile_result_never_raises_anything_else(
    case: tuple[Function, Any], junk: bytes
) -> None:
    function, value = case
    context = EchoContext(2048)
    call = bind_export(function, context)
    result = outcome_of_junk(context, junk, lambda: call(value))
    context.begin()
    plain = PlainFunction(function)
    assert repr(result) == repr(outcome(lambda: plain.lift_result(context)))


@MANY
@given(functions_and_values(), anything(), st.data())
def test_both_codecs_accept_the_same_values(
    case: tuple[Function, Any], junk: Any, data: st.DataObject
) -> None:
    function, value = case
    # Something strange, alone or somewhere inside a good value.
    value = data.draw(st.sampled_from([junk, replaced(data.draw(st.integers(0, 9)), value, junk)]))
    fast, slow = EchoContext(SIZE), EchoContext(SIZE)
    expected: Any = None
    try:
        PlainFunction(function).lower_params(slow, (value,))
    except ConversionError as error:
        expected = error
    fast.guest = stop
    call = bind_export(function, fast)
    if expected is None:
        with pytest.raises(Stop):
            call(value)
        assert bytes(fast.export_memory) == bytes(slow.export_memory)
    else:
        with pytest.raises(type(expected)) as caught:
            call(value)
        assert str(caught.value) == str(expected)


def as_arguments(lowered: EchoContext, *receivers: EchoContext) -> None:
    """Takes an export call's parameters for those of a host call at the same place."""
    for receiver in receivers:
        receiver.import_memory[64:] = lowered.export_memory[64:]


@FEWER
@given(functions_and_values(), anything(), st.data())
def test_both_codecs_accept_the_same_results_of_host_functions(
    case: tuple[Function, Any], junk: Any, data: st.DataObject
) -> None:
    function, value = case
    answer = data.draw(st.sampled_from([junk, replaced(data.draw(st.integers(0, 9)), value, junk)]))
    fast, slow = EchoContext(SIZE), EchoContext(SIZE)
    plain = PlainFunction(function)
    plain.lower_params(fast, (value,))
    as_arguments(fast, fast, slow)
    serve = serve_of(function, fast, lambda _: answer)
    try:
        pointer = plain.lower_result(slow, answer)
    except ConversionError as error:
        with pytest.raises(type(error)) as caught:
            serve(64)
        assert str(caught.value) == str(error)
    else:
        assert serve(64) == pointer
        assert bytes(fast.import_memory) == bytes(slow.import_memory)


@st.composite
def several_parameters(draw: st.DrawFn) -> tuple[Function, list[Any], Any]:
    """A function of several random types, its arguments and its result."""
    world = World()
    refs = [draw(types(world, 2)) for _ in range(draw(st.integers(2, 6)))]
    world.function("several", {f"p{i}": ref for i, ref in enumerate(refs)}, draw(types(world, 2)))
    description = world.description()
    arguments = [draw(values(description, ref)) for ref in refs]
    function = description.exports[0]
    assert function.result is not None
    return function, arguments, draw(values(description, function.result))


@FEWER
@given(several_parameters())
def test_several_parameters_of_both_sides(case: tuple[Function, list[Any], Any]) -> None:
    function, arguments, result = case
    fast, slow = EchoContext(SIZE), EchoContext(SIZE)
    plain = PlainFunction(function)
    plain.lower_params(slow, arguments)
    fast.guest = stop
    with pytest.raises(Stop):
        without_fallback(bind_export(function, fast))(*arguments)
    assert bytes(fast.export_memory) == bytes(slow.export_memory)

    as_arguments(slow, fast, slow)
    seen: list[Any] = []

    def implementation(*given: Any) -> Any:
        seen.extend(given)
        return result

    pointer = without_fallback(serve_of(function, fast, implementation))(64)
    assert seen == arguments == plain.lift_params(slow, 64)
    assert plain.lower_result(slow, result) == pointer
    assert bytes(fast.import_memory) == bytes(slow.import_memory)


def replaced(where: int, value: Any, junk: Any) -> Any:
    """The value with one part, some levels down, replaced."""
    if where == 0:
        return junk
    if isinstance(value, (list, tuple)) and value:
        at = where % len(value)
        parts = [*value[:at], replaced(where - 1, value[at], junk), *value[at + 1 :]]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, (Ok, Err, Some)):
        return type(value)(replaced(where - 1, value.value, junk))
    fields = [each.name for each in dataclasses.fields(value)] if is_data(value) else []
    if fields:
        name = fields[where % len(fields)]
        return dataclasses.replace(value, **{name: replaced(where - 1, getattr(value, name), junk)})
    return junk


def is_data(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
