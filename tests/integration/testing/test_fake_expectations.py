"""What is expected of fakes: which calls, how many, in which order."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    ANY,
    Fakes,
    MissingCall,
    UnexpectedCall,
)
from tests.integration.conftest import Start

needs_hypervisor = pytest.mark.hypervisor


def test_wrong_values_are_refused_when_they_are_given(inventory: hlwasm.Component) -> None:
    price = Fakes(inventory).supplier.price
    now = Fakes(inventory).now

    def check(wrong: Callable[[], object], message: str) -> None:
        with pytest.raises(hlwasm.ConversionError) as raised:
            wrong()
        assert str(raised.value).startswith(message)

    check(lambda: price.returns("x"), "supplier.price: result.ok: expected u32, got str 'x'")
    check(lambda: price.returns(-1), "supplier.price: result.ok: -1 does not fit u32")
    check(lambda: price.fails(1), "supplier.price: result.err: expected string, got int 1")
    check(lambda: price.returns_each([1, None]), "supplier.price: result.ok: expected u32")
    check(lambda: now.fails("x"), "now: result: now returns no result<…>, so it has no error arm")
    check(lambda: now.returns(None), "now: result: expected u64, got None")
    check(lambda: price.expect(1, "tool"), "supplier.price: parameter name: expected string")
    check(lambda: price.expect("x", "toool"), "supplier.price: parameter category: ")
    check(lambda: price.expect("x"), "supplier.price: takes (name, category), but got 1 by")
    check(lambda: price.expect("x", ANY, 3), "supplier.price: takes (name, category), but got 3")
    check(
        lambda: price.call("x", kategory="tool"),
        "supplier.price: takes (name, category), but got 1 by position, kategory=…",
    )


def test_misspelt_names_are_attribute_errors_with_the_known_ones(
    inventory: hlwasm.Component,
) -> None:
    fakes = Fakes(inventory)
    for wrong, message in {
        "suplier": "imports no 'suplier': did you mean 'supplier'?; it has journal, now, ",
        "x": "imports no 'x'; it has journal, now, supplier, types",
    }.items():
        with pytest.raises(AttributeError) as raised:
            getattr(fakes, wrong)
        assert message in str(raised.value)
    with pytest.raises(
        AttributeError, match=r"supplier@1.0.0 has no 'prise': did you mean 'price'"
    ):
        fakes.supplier.prise.returns(1)
    with pytest.raises(AttributeError, match="resource page has no 'wright'; it has constructor"):
        fakes.journal.Page.wright.returns(1)
    assert not hasattr(fakes, "__deepcopy__")
    with pytest.raises(KeyError, match="there is no fake of 'demo:x/y'"):
        fakes["demo:x/y"]


@needs_hypervisor
def test_order(calculator: hlwasm.Component, start: Start) -> None:
    def total(state: Callable[[Any], None], numbers: list[int]) -> Fakes:
        fakes = Fakes(calculator)
        with fakes.in_order():
            state(fakes.log)
        start("calculator", fakes).exports.ops.total(numbers)
        return fakes

    def ascending(log: Any) -> None:
        log.expect("0 + 1 = 1")
        log.expect("1 + 1 = 2").times(1)
        log.expect().at_least(1)

    total(ascending, [1, 1, 1, 1]).verify()
    with pytest.raises(MissingCall, match=r"log\(…\): expected at least once, never called"):
        total(ascending, [1, 1]).verify()

    def descending(log: Any) -> None:
        log.expect("1 + 1 = 2")
        log.expect("0 + 1 = 1")

    with pytest.raises(UnexpectedCall) as raised:
        total(descending, [1, 1])
    assert str(raised.value) == (
        'unexpected call: log("0 + 1 = 1")\n'
        'before it there must be log("1 + 1 = 2"): expected once, never called'
    )

    def optional(log: Any) -> None:
        log.expect("never").at_most(2)
        log.expect("0 + 1 = 1")

    total(optional, [1]).verify()


@needs_hypervisor
def test_counts(calculator: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(calculator)
    fakes.log.expect("0 + 0 = 0").times(2)
    fakes.log.expect("0 + 1 = 1").at_most(1)
    sandbox = start("calculator", fakes)
    sandbox.exports.ops.total([0, 0, 1])
    fakes.verify()
    with pytest.raises(UnexpectedCall) as raised:
        sandbox.exports.ops.total([0])
    assert str(raised.value) == (
        'unexpected call: log("0 + 0 = 0")\nexpected of this function:\n'
        '  log("0 + 0 = 0"): expected twice, called twice\n'
        '  log("0 + 1 = 1"): expected at most once, called once'
    )
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="is not a number of calls"):
            fakes.log.expect("x").times(wrong)


@needs_hypervisor
def test_assert_calls_shows_the_difference(calculator: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(calculator)
    start("calculator", fakes).exports.ops.total([5, 7])
    log = fakes.log
    fakes.assert_calls(log.call("0 + 5 = 5"), log.call(ANY))
    with pytest.raises(UnexpectedCall) as raised:
        fakes.assert_calls(log.call(ANY), log.call(message="5 + 7 = 13"))
    assert str(raised.value) == (
        "the calls are not those expected (- expected, + made):\n"
        '    log("0 + 5 = 5")\n  - log("5 + 7 = 13")\n  + log("5 + 7 = 12")'
    )
    with pytest.raises(MissingCall):
        fakes.assert_calls(log.call(ANY), log.call(ANY), log.call(ANY))
    with pytest.raises(UnexpectedCall, match="unexpected call: log"):
        log.assert_not_called()
    with pytest.raises(MissingCall, match=r'no call log\("x"\); calls that were made:\n  log\('):
        log.assert_called_with("x")


@needs_hypervisor
def test_strict(calculator: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(calculator, strict=True)
    with pytest.raises(UnexpectedCall, match="nothing is expected of this function"):
        start("calculator", fakes).exports.ops.total([1])
    prepared = Fakes(calculator, strict=True)
    prepared.log.returns(None)
    start("calculator", prepared).exports.ops.total([1])
    prepared.verify()


def test_nan_equals_itself_by_its_bits(kitchen_sink: hlwasm.Component) -> None:
    echo = Fakes(kitchen_sink)["demo:kitchen-sink/values"].echo_f64
    payload = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    assert echo.call(math.nan) == echo.call(float("nan"))
    assert echo.call(payload) != echo.call(math.nan)
    assert echo.call(-0.0) != echo.call(0.0)
    assert echo.call(ANY) == echo.call(payload)
    assert echo.call(1) == echo.call(1.0)
