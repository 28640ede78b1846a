"""Fuel, as the guest runtime counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hlwasm.native import _abi
from tests.native.composed import component
from tests.native.guest import Ended, Guest, HostFunction, artifact, guest

pytestmark = pytest.mark.hypervisor

MANY = 10_000_000
COMPONENT = component(
    """
  (memory 1)
  (func (export "f0"))
  (func $spin (export "f1") (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                              (i32.const 1000)))))
  (func (export "f2") (local $i i32)
    (loop $again
      (drop (call $host_call (local.get $i) (i32.const 64)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                              (i32.const 10)))))
  (func (export "f3") (call $spin) unreachable)
  ;; Straight code: nothing looks at the fuel between its beginning and the host call.
  (func (export "f4")"""
    + " (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))" * 50
    + """
    (drop (call $host_call (i32.const 7) (i32.const 64))))""",
    5,
)
START = component(
    """
  (memory 1)
  (func $start (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                              (i32.const 1000)))))
  (start $start)
  (func (export "f0"))"""
)


@contextmanager
def counting(wat: str, fuel: int = MANY, calls: int = 5) -> Iterator[Guest]:
    with guest(artifact(wat, fuel=True)) as it:
        assert it.load(fuel=True).ok
        made = it.instantiate(calls, fuel=fuel)
        assert made.ok, made
        yield it


def call(it: Guest, index: int, fuel: int, host: HostFunction | None = None) -> Ended:
    """One call; the next one finds an instance that has not trapped."""
    ended = it.run(_abi.COMMAND_CALL_WITH_FUEL, index, fuel, host=host)
    if not ended.ok:
        assert it.instantiate(5, fuel=MANY).ok
    return ended


def used(it: Guest, index: int, host: HostFunction | None = None) -> int:
    ended = call(it, index, MANY, host)
    assert ended.ok, ended
    return MANY - ended.values[1]


def answer(function: int, pointer: int) -> int:
    return 0


def test_a_call_uses_the_same_fuel_in_any_instance_at_any_time() -> None:
    with counting(COMPONENT) as it:
        first = [used(it, index, answer) for index in (0, 1, 2, 4)]
        assert [used(it, index, answer) for index in (0, 1, 2, 4)] == first
        assert not call(it, 3, MANY).ok
        assert [used(it, index, answer) for index in (0, 1, 2, 4)] == first
    nothing, spin, _, straight = first
    assert 0 < nothing < 20
    assert 1000 * 3 < spin < 1000 * 10
    assert 50 * 3 < straight < 50 * 10


@pytest.mark.parametrize("index", [0, 1, 2, 4])
def test_fuel_is_exact(index: int) -> None:
    with counting(COMPONENT) as it:
        needed = used(it, index, answer)
        assert call(it, index, needed, answer).values == (0, 0)
        short = call(it, index, needed - 1, answer)
        assert (short.trap, short.values[1]) == (_abi.TRAP_OUT_OF_FUEL, 0)
        assert call(it, index, needed + 1, answer).values == (0, 1)
        assert call(it, index, 0, answer).trap == _abi.TRAP_OUT_OF_FUEL


def test_no_host_call_is_made_with_fuel_that_is_not_there() -> None:
    asked: list[int] = []

    def host(function: int, pointer: int) -> int:
        asked.append(function)
        return 0

    with counting(COMPONENT) as it:
        needed = used(it, 4, host)
        assert asked == [7]
        # Enough to begin with, too little for what stands before the host call.
        for fuel in (needed // 2, needed // 4):
            assert call(it, 4, fuel, host).trap == _abi.TRAP_OUT_OF_FUEL
        assert asked == [7]


def test_host_calls_are_made_as_far_as_the_fuel_goes() -> None:
    asked: list[int] = []

    def host(function: int, pointer: int) -> int:
        asked.append(function)
        return 0

    with counting(COMPONENT) as it:
        needed = used(it, 2, host)
        asked.clear()
        assert call(it, 2, needed // 2, host).trap == _abi.TRAP_OUT_OF_FUEL
        first = list(asked)
        assert first == list(range(len(first))) and 2 < len(first) < 8
        asked.clear()
        assert call(it, 2, needed // 2, host).trap == _abi.TRAP_OUT_OF_FUEL
        assert asked == first


def test_a_trap_says_what_is_left() -> None:
    with counting(COMPONENT) as it:
        trapped = call(it, 3, MANY)
        assert trapped.trap == _abi.TRAP_UNREACHABLE
        assert 1000 * 3 < MANY - trapped.values[1] < 1000 * 10
        assert call(it, 3, MANY).values == trapped.values


def test_an_instruction_that_works_on_many_bytes_uses_fuel_for_each() -> None:
    body = "(memory 16)" + "".join(
        f'(func (export "f{index}") (memory.fill (i32.const 0) (i32.const 1) (i32.const {size})))'
        for index, size in enumerate((0, 1 << 20, 1, 2, 3))
    )
    with counting(component(body, 5)) as it:
        nothing = used(it, 0)
        assert used(it, 1) == nothing + (1 << 20)
        assert call(it, 1, nothing + (1 << 20) - 1).trap == _abi.TRAP_OUT_OF_FUEL


def test_instantiating_takes_fuel_too() -> None:
    with guest(artifact(START, fuel=True)) as it:
        assert it.load(fuel=True).ok
        made = it.instantiate(1, fuel=MANY)
        assert made.ok
        needed = MANY - made.values[1]
        assert needed > 3000
        assert it.instantiate(1, fuel=needed).values == (0, 0)
        assert it.instantiate(1, fuel=needed - 1).trap == _abi.TRAP_OUT_OF_FUEL
        assert it.instantiate(1, fuel=_abi.FUEL_UNLIMITED).values[1] == (
            _abi.FUEL_UNLIMITED - needed
        )


@pytest.mark.parametrize("fuel", [_abi.FUEL_UNLIMITED, (1 << 64) - 1, 1 << 63, (1 << 63) - 1])
def test_much_fuel_is_as_good_as_endless(fuel: int) -> None:
    with counting(COMPONENT) as it:
        needed = used(it, 1)
        left = call(it, 1, fuel).values[1]
        assert left == min(fuel, _abi.FUEL_UNLIMITED) - needed


def test_artifact_and_engine_must_agree_about_fuel() -> None:
    for fuel in (False, True):
        with guest(artifact(COMPONENT, fuel=not fuel)) as it:
            refused = it.load(fuel=fuel)
            assert refused.status == _abi.STATUS_ERROR
            assert "fuel" in refused.message


def test_without_fuel_such_a_call_is_an_error() -> None:
    with guest(artifact(COMPONENT)) as it:
        assert it.load().ok
        assert it.instantiate(5).values == (0, 0)
        failed = call(it, 0, MANY)
        assert failed.status == _abi.STATUS_ERROR
        assert it.call(0).ok
