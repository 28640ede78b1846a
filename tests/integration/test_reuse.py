"""Instantiating a component again: from a state that was kept, and as if from nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox.starts import MOST_KEPT

pytestmark = pytest.mark.hypervisor

# Its start function writes to memory, so that starting anew shows.
COUNTER = b"""(component
  (core module $m
    (memory 1)
    (func $start (i32.store (i32.const 0) (i32.const 40)))
    (start $start)
    (func (export "next") (result i32)
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (i32.load (i32.const 0)))
    (func (export "trap") unreachable))
  (core instance $i (instantiate $m))
  (func (export "next") (result u32) (canon lift (core func $i "next")))
  (func (export "trap") (canon lift (core func $i "trap"))))
"""

# Its start function asks the host for a number, which `get` tells.
ASKING = b"""(component
  (import "ask" (func $ask (result u32)))
  (core func $asked (canon lower (func $ask)))
  (core module $m
    (import "" "ask" (func $ask (result i32)))
    (global $answer (mut i32) (i32.const 0))
    (func $start (global.set $answer (call $ask)))
    (start $start)
    (func (export "get") (result i32) (global.get $answer)))
  (core instance $i (instantiate $m (with "" (instance (export "ask" (func $asked))))))
  (func (export "get") (result u32) (canon lift (core func $i "get"))))
"""

# Its start function reads the environment; `size` tells the number of variables.
ENVIRONMENT = b"""(component
  (import "wasi:cli/environment@0.2.0" (instance $e
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $memory (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $free))
      (global.set $free (i32.add (global.get $free)
        (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $e "get-environment")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "get" (func $get (param i32)))
    (func $start (call $get (i32.const 0)))
    (start $start)
    (func (export "size") (result i32) (i32.load (i32.const 4))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "get" (func $get))))))
  (func (export "size") (result u32) (canon lift (core func $i "size"))))
"""

# Its start function writes all memory that it may have, and traps where it may not.
LARGE = b"""(component
  (core module $m
    (memory 1)
    (func $start (if (i32.eq (memory.grow (i32.const 32)) (i32.const -1)) (then unreachable)))
    (start $start)
    (func (export "size") (result i32) (memory.size)))
  (core instance $i (instantiate $m))
  (func (export "size") (result u32) (canon lift (core func $i "size"))))
"""


def booted(sandbox: hlwasm.Sandbox | hlwasm.AsyncSandbox) -> bool:
    """Whether the sandbox was instantiated itself, which takes exits."""
    return sandbox._start is None


def test_the_third_sandbox_starts_from_what_the_second_kept() -> None:
    component = hlwasm.load(COUNTER)
    starts = []
    for _ in range(5):
        with component.instantiate() as sandbox:
            starts.append(booted(sandbox))
            exits = sandbox.counters().exits
            assert [sandbox.exports.next() for _ in range(3)] == [41, 42, 43]
            assert booted(sandbox) == (exits > 0)
            with pytest.raises(hlwasm.Trap):
                sandbox.exports.trap()
    assert starts == [True, True, False, False, False]


def test_reuse_can_be_switched_off() -> None:
    component = hlwasm.load(COUNTER, reuse=False)
    for _ in range(4):
        with component.instantiate() as sandbox:
            assert booted(sandbox)


def test_sandboxes_that_live_at_once_share_nothing() -> None:
    component = hlwasm.load(COUNTER)
    sandboxes = [component.instantiate() for _ in range(6)]
    try:
        for number, sandbox in enumerate(sandboxes):
            for _ in range(number):
                sandbox.exports.next()
        assert [each.exports.next() for each in sandboxes] == list(range(41, 47))
    finally:
        for sandbox in sandboxes:
            sandbox.close()


def test_snapshots_and_restores_do_not_care_how_a_sandbox_started() -> None:
    component = hlwasm.load(COUNTER)
    sandboxes = [component.instantiate() for _ in range(4)]
    first, last = sandboxes[0], sandboxes[-1]
    assert (booted(first), booted(last)) == (True, False)
    last.exports.next()
    snapshot = last.snapshot()
    for sandbox in sandboxes:
        sandbox.exports.next()
        sandbox.restore(snapshot)
        assert sandbox.exports.next() == 42
        with sandbox.fork() as fork:
            assert fork.exports.next() == 43
        sandbox.close()


def test_a_component_that_asks_the_host_is_asked_each_time() -> None:
    component = hlwasm.load(ASKING)
    for answer in range(5):
        with component.instantiate({"ask": lambda answer=answer: answer}) as sandbox:
            assert booted(sandbox)
            assert sandbox.exports.get() == answer


def test_a_component_that_reads_the_environment_gets_its_own() -> None:
    component = hlwasm.load(ENVIRONMENT)
    one, two = {"A": "1"}, {"A": "1", "B": "2"}
    found = []
    for env in (one, one, one, two, one, {"A": "2"}, one):
        with component.instantiate(wasi=hlwasm.Wasi(env=env)) as sandbox:
            assert sandbox.exports.size() == len(env)
            found.append(booted(sandbox))
    assert found == [True, True, False, True, False, True, False]
    # Who serves the interface by other means is asked, too.

    class Environment:
        @staticmethod
        def get_environment() -> list[tuple[str, str]]:
            return [("A", "1")] * 7

    wasi = hlwasm.Wasi(env=one)
    imports = {"wasi:cli/environment": Environment}
    with component.instantiate(imports, wasi=wasi) as sandbox:
        assert booted(sandbox)
        assert sandbox.exports.size() == 7


def test_limits_have_states_of_their_own() -> None:
    component = hlwasm.load(LARGE)
    for _ in range(4):
        with component.instantiate() as sandbox:
            assert sandbox.exports.size() == 33
        with pytest.raises(hlwasm.Trap):
            component.instantiate(limits=hlwasm.Limits(memory=1 << 20))
    assert not booted(component.instantiate())
    # Equal ones are as good as the same, and each set of limits has its own state.
    for memory in range(4, 6 + MOST_KEPT):
        for number in range(3):
            limits = hlwasm.Limits(memory=memory << 20)
            with component.instantiate(limits=limits) as sandbox:
                assert booted(sandbox) == (number < 2)
                assert sandbox.limits == limits
    assert component._starts is not None
    assert len(component._starts._kept) <= MOST_KEPT
    assert booted(component.instantiate())


def test_fuel_is_counted_each_time() -> None:
    component = hlwasm.load(COUNTER, fuel=True)
    used = set()
    for _ in range(4):
        with component.instantiate() as sandbox:
            used.add(sandbox.fuel_used)
    assert len(used) == 1
    assert used.pop()


def test_the_asynchronous_twin_shares_the_states() -> None:
    component = hlwasm.load(COUNTER)

    async def main() -> list[bool]:
        found = []
        for _ in range(4):
            async with component.instantiate_async() as sandbox:
                found.append(booted(sandbox))
                assert [await sandbox.exports.next() for _ in range(2)] == [41, 42]
        return found

    assert asyncio.run(main()) == [True, True, False, False]
    with component.instantiate() as sandbox:
        assert not booted(sandbox)
        assert sandbox.exports.next() == 41


def test_many_threads_instantiate_at_once() -> None:
    component = hlwasm.load(COUNTER)
    results: list[Any] = []

    def work() -> None:
        for _ in range(10):
            with component.instantiate() as sandbox:
                results.append(sandbox.exports.next())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [41] * 60
    with component.instantiate() as sandbox:
        assert not booted(sandbox)


def test_a_component_and_its_states_are_freed_without_the_collector() -> None:
    component = hlwasm.load(COUNTER)
    for _ in range(3):
        component.instantiate().close()
    assert component._starts is not None
    watched = weakref.ref(component._starts)
    gc.collect()
    gc.disable()
    try:
        del component
        assert watched() is None
    finally:
        gc.enable()


def test_a_forked_process_starts_from_the_states_of_its_parent() -> None:
    component = hlwasm.load(COUNTER)
    for _ in range(3):
        component.instantiate().close()
    child = os.fork()
    if not child:
        code = 1
        try:
            with component.instantiate() as sandbox:
                code = 0 if not booted(sandbox) and sandbox.exports.next() == 41 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with component.instantiate() as sandbox:
        assert sandbox.exports.next() == 41


def test_limits_of_calls_hold_however_a_sandbox_started() -> None:
    component = hlwasm.load(b'(module (func (export "spin") (loop $again (br $again))))')
    limits = hlwasm.Limits(deadline=0.05)
    for number in range(4):
        with component.instantiate(limits=limits) as sandbox:
            assert booted(sandbox) == (number < 2)
            with pytest.raises(hlwasm.DeadlineExceeded):
                sandbox.exports.spin()
            assert sandbox.status is hlwasm.Status.POISONED
