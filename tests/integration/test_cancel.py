"""``cancel()`` while no call runs: it waits for the next one, and a restore takes it back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = pytest.mark.hypervisor

COUNTER = b"""(component
  (import "now" (func $now (result u32)))
  (core func $now (canon lower (func $now)))
  (core module $M
    (import "" "now" (func $now (result i32)))
    (global $calls (mut i32) (i32.const 0))
    (func (export "count") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.get $calls))
    (func (export "ask") (result i32) (call $now)))
  (core instance $m (instantiate $M (with "" (instance (export "now" (func $now))))))
  (func (export "count") (result u32) (canon lift (core func $m "count")))
  (func (export "ask") (result u32) (canon lift (core func $m "ask"))))"""


@pytest.fixture
def asked() -> list[int]:
    return []


@pytest.fixture
def sandbox(start: Start, asked: list[int]) -> hlwasm.Sandbox:
    def now() -> int:
        asked.append(1)
        return 7

    return start(COUNTER, {"now": now})


def test_it_ends_the_next_call_before_the_guest_does_anything(
    sandbox: hlwasm.Sandbox, asked: list[int]
) -> None:
    sandbox.cancel()
    assert sandbox.status.value == "ready"
    with pytest.raises(hlwasm.Cancelled):
        sandbox.exports.ask()
    assert asked == []
    assert sandbox.status is hlwasm.Status.POISONED
    with pytest.raises(hlwasm.SandboxPoisoned, match="the call was cancelled"):
        sandbox.exports.count()


def test_several_are_one(sandbox: hlwasm.Sandbox) -> None:
    clean = sandbox.snapshot()
    for _ in range(5):
        sandbox.cancel()
    with pytest.raises(hlwasm.Cancelled):
        sandbox.exports.count()
    sandbox.restore(clean)
    assert [sandbox.exports.count() for _ in range(3)] == [1, 2, 3]


def test_a_restore_takes_it_back(sandbox: hlwasm.Sandbox, asked: list[int]) -> None:
    clean = sandbox.snapshot()
    sandbox.cancel()
    sandbox.restore(clean)
    assert sandbox.exports.ask() == 7
    assert sandbox.exports.count() == 1
    assert asked == [1]


def test_a_snapshot_has_none_of_it(sandbox: hlwasm.Sandbox) -> None:
    sandbox.cancel()
    saved = sandbox.snapshot()
    with sandbox.fork() as other:
        assert other.exports.count() == 1
    with pytest.raises(hlwasm.Cancelled):
        sandbox.exports.count()
    sandbox.restore(saved)
    assert sandbox.exports.count() == 1


def test_one_that_comes_before_a_call_begins_is_not_lost(sandbox: hlwasm.Sandbox) -> None:
    # Whoever ends a request does not know whether its thread has reached the call yet.
    clean = sandbox.snapshot()
    ended: list[Any] = []
    for _ in range(200):
        begin = threading.Barrier(2)

        def call(begin: threading.Barrier = begin) -> None:
            begin.wait()
            try:
                while True:
                    sandbox.exports.count()
            except hlwasm.Cancelled as error:
                ended.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        begin.wait()
        sandbox.cancel()
        thread.join(10)
        assert not thread.is_alive()
        sandbox.restore(clean)
    assert len(ended) == 200


def test_one_during_a_host_function_ends_the_call_that_made_it(start: Start) -> None:
    def now() -> int:
        made.cancel()
        return 7

    made = start(COUNTER, {"now": now})
    with pytest.raises(hlwasm.Cancelled):
        made.exports.ask()


def test_a_pool_takes_it_back_with_the_sandbox(asked: list[int]) -> None:
    component = hlwasm.load(COUNTER, cache=False)
    with hlwasm.Pool(component, imports={"now": lambda: 7}, size=1) as pool:
        with pool.sandbox() as borrowed:
            borrowed.cancel()
        assert pool.call("count") == 1
