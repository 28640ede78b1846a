"""Guests of the tests of limits, and what the tests have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import hlwasm
from hlwasm import Limits, Status

MIB = 1 << 20


PAGE = 65536


GUEST = b"""(component
  (import "log" (func $log (param "number" u32) (result u32)))
  (import "tell" (func $tell (param "text" string)))
  (import "give" (func $give (param "count" u32) (result (list u8))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.const 4096))
      (global.get $next)))
  (core instance $memory (instantiate $memory))
  (core func $log (canon lower (func $log)))
  (core func $tell (canon lower (func $tell) (memory $memory "memory")))
  (core func $give (canon lower (func $give) (memory $memory "memory")
    (realloc (func $memory "realloc"))))
  (core module $m
    (import "m" "memory" (memory 1))
    (import "h" "log" (func $log (param i32) (result i32)))
    (import "h" "tell" (func $tell (param i32 i32)))
    (import "h" "give" (func $give (param i32 i32)))
    (func (export "spin") (param $count i32)
      (loop $again
        (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "ask") (param $count i32) (result i32) (local $sum i32)
      (if (local.get $count) (then
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $log (local.get $count))))
          (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
      (local.get $sum))
    (func (export "ask-forever") (loop $again (drop (call $log (i32.const 0))) (br $again)))
    (func (export "say") (param $length i32) (call $tell (i32.const 8) (local.get $length)))
    (func (export "take") (param $count i32) (call $give (local.get $count) (i32.const 0))))
  (core instance $m (instantiate $m
    (with "m" (instance $memory))
    (with "h" (instance
      (export "log" (func $log)) (export "tell" (func $tell)) (export "give" (func $give))))))
  (func (export "spin") (param "count" u32) (canon lift (core func $m "spin")))
  (func (export "ask") (param "count" u32) (result u32) (canon lift (core func $m "ask")))
  (func (export "ask-forever") (canon lift (core func $m "ask-forever")))
  (func (export "say") (param "length" u32) (canon lift (core func $m "say")))
  (func (export "take") (param "count" u32) (canon lift (core func $m "take"))))"""


GROW = b"""(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "touch") (param i32) (i32.store (local.get 0) (i32.const 7))))
  (core instance $a (instantiate $m))
  (core instance $b (instantiate $m))
  (func (export "grow-a") (param "pages" u32) (result s32) (canon lift (core func $a "grow")))
  (func (export "grow-b") (param "pages" u32) (result s32) (canon lift (core func $b "grow")))
  (func (export "touch-b") (param "at" u32) (canon lift (core func $b "touch"))))"""


class Host:
    """Host functions that remember what they were asked."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.lengths: list[int] = []
        self.given: list[int] = []

    def log(self, number: int) -> int:
        self.numbers.append(number)
        return number

    def tell(self, text: str) -> None:
        self.lengths.append(len(text))

    def give(self, count: int) -> bytes:
        self.given.append(count)
        return bytes(count)


@contextmanager
def made(
    component: hlwasm.Component, host: Host | None = None, **limits: Any
) -> Iterator[hlwasm.Sandbox]:
    with component.instantiate(host or Host(), limits=Limits(**limits)) as sandbox:
        yield sandbox


def exceeds(
    sandbox: hlwasm.Sandbox, kind: type[hlwasm.LimitExceeded], limit: str, value: float
) -> Any:
    """Expects that exception in the block, and a sandbox that is poisoned by it."""

    @contextmanager
    def block() -> Iterator[None]:
        with pytest.raises(hlwasm.LimitExceeded) as caught:
            yield
        error = caught.value
        assert type(error) is kind
        assert (error.limit, error.value) == (limit, value)
        assert f"Limits({limit}=" in str(error) and str(value) in str(error)
        assert sandbox.status is Status.POISONED
        with pytest.raises(hlwasm.SandboxPoisoned):
            sandbox.exports.spin(1)

    return block()


def fuel_of(sandbox: hlwasm.Sandbox, name: str, argument: int) -> int:
    sandbox.exports[name](argument)
    used = sandbox.fuel_used
    assert used is not None
    return used
