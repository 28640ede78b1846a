"""Asynchronous sandboxes in micro-VMs: waiting without threads, deadlines, turns, the end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

import hlwasm
from hlwasm.sandbox import workers
from hlwasm.sandbox.resources import AsyncGuestResource
from tests.integration.conftest import Load
from tests.machines import machines

pytestmark = pytest.mark.hypervisor

T = TypeVar("T")

HOST_CALLS = b"""(component
  (import "fetch" (func $fetch (param "key" u32) (result u32)))
  (core func $lowered (canon lower (func $fetch)))
  (core module $m
    (import "" "fetch" (func $fetch (param i32) (result i32)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "next") (param i32) (result i32)
      (i32.add (call $fetch (local.get 0)) (i32.const 1)))
    (func (export "spin") (loop $again (br $again)))
    (func (export "trap") unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "fetch" (func $lowered))))))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add")))
  (func (export "next") (param "key" u32) (result u32) (canon lift (core func $i "next")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "trap") (canon lift (core func $i "trap"))))"""

# Writes a line to standard output and exits.
PROGRAM = b"""(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const CODE))))"""

# A start function that calls the host.
STARTING = b"""(component
  (import "ready" (func $ready))
  (core func $lowered (canon lower (func $ready)))
  (core module $m (import "" "ready" (func $ready)) (start $ready))
  (core instance (instantiate $m (with "" (instance (export "ready" (func $lowered)))))))"""

# Sleeps for so many nanoseconds, and reads up to so many bytes of standard input.
WASI = b"""(component
  (import "wasi:io/poll@0.2.6" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable' (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "sleep") (param i64) (local $pollable i32)
      (local.set $pollable (call $subscribe (local.get 0)))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))))
  (core instance $i (instantiate $m (with "" (instance
    (export "subscribe" (func $subscribe))
    (export "block" (func $block))
    (export "drop" (func $drop))))))
  (func (export "sleep") (param "nanoseconds" u64) (canon lift (core func $i "sleep"))))"""

# A guest resource whose destructor calls the host, and a host resource that is opened and dropped.
RESOURCES = b"""(component
  (import "files" (instance $files
    (export "file" (type $file (sub resource)))
    (export "open" (func (result (own $file))))))
  (import "dropped" (func $dropped (param "value" u32)))
  (alias export $files "file" (type $file))
  (core func $open (canon lower (func $files "open")))
  (core func $close (canon resource.drop $file))
  (core func $tell (canon lower (func $dropped)))
  (core module $m
    (import "" "open" (func $open (result i32)))
    (import "" "close" (func $close (param i32)))
    (import "" "tell" (func $tell (param i32)))
    (func (export "touch") (call $close (call $open)))
    (func (export "keep") (drop (call $open)))
    (func (export "destroy") (param i32) (call $tell (local.get 0)))
    (func (export "value") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "open" (func $open)) (export "close" (func $close)) (export "tell" (func $tell))))))
  (type $counter (resource (rep i32) (dtor (func $i "destroy"))))
  (core func $new (canon resource.new $counter))
  (func $make (param "value" u32) (result (own $counter)) (canon lift (core func $new)))
  (func $value (param "self" (borrow $counter)) (result u32)
    (canon lift (core func $i "value")))
  (component $Counters
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "value" u32) (result (own $counter))))
    (import "value" (func $value (param "self" (borrow $counter)) (result u32)))
    (export $counter' "counter" (type $counter))
    (export "[constructor]counter" (func $make)
      (func (param "value" u32) (result (own $counter'))))
    (export "[method]counter.value" (func $value)
      (func (param "self" (borrow $counter')) (result u32))))
  (instance $counters (instantiate $Counters
    (with "counter" (type $counter)) (with "make" (func $make)) (with "value" (func $value))))
  (export "demo:test/counters" (instance $counters))
  (func (export "touch") (canon lift (core func $i "touch")))
  (func (export "keep") (canon lift (core func $i "keep"))))"""

SMALL = hlwasm.Limits(memory=1 << 20)
# Threads that may come in a test: the pool's, which are two, or more while the machine is too
# busy to tell one that is blocked; and its referee.
THREADS = workers.THREADS_MAX + 1
# Seconds until a guest that is called has surely been entered.
ENTERED = 0.3


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(HOST_CALLS, cache=False)


@pytest.fixture(scope="module")
def sleeper() -> hlwasm.Component:
    return hlwasm.load(WASI, cache=False)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No thread of the pool is in a sandbox when a test has ended."""
    yield
    pool = workers.shared()
    end = time.monotonic() + 10
    while len(pool._idle) < len(pool._workers) and time.monotonic() < end:
        time.sleep(0.001)
    assert all(worker.job is None for worker in pool._workers)
    # Forgotten coroutines and tasks complain when they are collected.
    gc.collect()


def forty_two(key: int) -> int:
    return 42


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """A deadline, as ``asyncio.timeout`` sets it where there is one."""
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            return await awaitable
    return await asyncio.wait_for(awaitable, seconds)


def test_calls_are_awaited(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            exports = sandbox.exports
            assert asyncio.iscoroutinefunction(exports.add)
            assert await exports.add(2, 3) == 5
            assert await exports.add(b=5, a=-7) == -2
            assert await exports["next"](1) == 43
            with pytest.raises(hlwasm.WitValueError, match="parameter b"):
                await exports.add(0, 2**31)
            assert sandbox.counters().host_calls == 1
            assert sandbox.status.value == "ready"
        assert sandbox.status.value == "closed"
        with pytest.raises(hlwasm.SandboxClosed):
            await exports.add(1, 1)

    asyncio.run(main())


def test_the_ways_to_make_and_close_one(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with await component.instantiate_async({"fetch": forty_two}) as sandbox:
            assert await sandbox.exports.add(1, 1) == 2
        sandbox = await component.instantiate_async({"fetch": forty_two})
        await sandbox.aclose()
        await sandbox.aclose()
        assert sandbox.status is hlwasm.Status.CLOSED
        # One that is never awaited makes nothing, and complains about nothing.
        component.instantiate_async({"fetch": forty_two})
        with pytest.raises(hlwasm.LinkError, match="fetch: missing"):
            await component.instantiate_async()

    asyncio.run(main())


def test_a_trap_of_the_guest(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            with pytest.raises(hlwasm.Trap) as caught:
                await sandbox.exports.trap()
            assert caught.value.code is hlwasm.TrapCode.UNREACHABLE
            with pytest.raises(hlwasm.SandboxPoisoned):
                await sandbox.exports.add(1, 1)

    asyncio.run(main())


def test_host_functions_run_in_the_caller_s_task(component: hlwasm.Component) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    seen: list[tuple[str, int, asyncio.Task[Any] | None]] = []

    def plain(key: int) -> int:
        seen.append((user.get(), threading.get_ident(), asyncio.current_task()))
        return key

    async def coroutine(key: int) -> int:
        plain(key)
        await asyncio.sleep(0)
        user.set(f"{user.get()}, served")
        return key

    async def call(name: str, fetch: Callable[[int], Any]) -> str:
        user.set(name)
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            assert await sandbox.exports.next(6) == 7
        assert seen[-1] == (name, threading.get_ident(), asyncio.current_task())
        return user.get()

    assert asyncio.run(call("ann", plain)) == "ann"
    assert asyncio.run(call("bob", coroutine)) == "bob, served"


def test_an_exception_of_a_host_coroutine_comes_back(component: hlwasm.Component) -> None:
    async def fail(key: int) -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError("on purpose")

    async def main() -> None:
        async with component.instantiate_async({"fetch": fail}) as sandbox:
            with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
                await sandbox.exports.next(0)
            assert caught.traceback[-1].name == "fail"
            with pytest.raises(hlwasm.SandboxPoisoned, match="on purpose"):
                await sandbox.exports.add(1, 1)

    asyncio.run(main())


def test_one_task_at_a_time(component: hlwasm.Component) -> None:
    async def main() -> None:
        entered, gate = asyncio.Event(), asyncio.Event()
        inside: list[BaseException] = []

        async def fetch(key: int) -> int:
            for attempt in (sandbox.exports.add(1, 1), sandbox.aclose()):
                with pytest.raises(hlwasm.ReentrantCall) as caught:
                    await attempt
                inside.append(caught.value)
            entered.set()
            await gate.wait()
            return key

        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            call = asyncio.create_task(sandbox.exports.next(1))
            await entered.wait()
            assert sandbox.status is hlwasm.Status.RUNNING
            with pytest.raises(hlwasm.SandboxBusy, match="another task"):
                await sandbox.exports.add(1, 1)
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.aclose()
            gate.set()
            assert await call == 2
            assert len(inside) == 2
            assert await sandbox.exports.add(1, 1) == 2

    asyncio.run(main())


def test_thousands_wait_without_a_thread_each(component: hlwasm.Component) -> None:
    sandboxes, calls_each = 500, 4

    async def main() -> None:
        waiting, gate = 0, asyncio.Event()

        async def fetch(key: int) -> int:
            nonlocal waiting
            waiting += 1
            await gate.wait()
            return key

        async def use(number: int) -> list[int]:
            async with component.instantiate_async({"fetch": fetch}, limits=SMALL) as sandbox:
                turn = asyncio.Lock()

                async def call(key: int) -> int:
                    async with turn:
                        result: int = await sandbox.exports.next(key)
                        return result

                return await asyncio.gather(*(call(10 * number + n) for n in range(calls_each)))

        tasks = [asyncio.create_task(use(number)) for number in range(sandboxes)]
        while waiting < sandboxes:
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) > sandboxes * calls_each
        assert threading.active_count() <= before + THREADS
        gate.set()
        results = await asyncio.gather(*tasks)
        assert results == [
            [10 * number + n + 1 for n in range(calls_each)] for number in range(sandboxes)
        ]

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before + THREADS


# Cancellation ----------------------------------------------------------------------


def test_a_deadline_ends_a_guest_that_spins(load: Load) -> None:
    host = {"ping": lambda: None, "ask-text": lambda: ""} | {
        f"take-{what}": lambda value: None for what in ("text", "numbers", "letter", "shade")
    }

    async def main() -> None:
        async with load("traps").instantiate_async({"host": host}) as sandbox:
            start = time.monotonic()
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.hunger.loop_forever())
            assert ENTERED <= time.monotonic() - start < 5
            assert sandbox.status is hlwasm.Status.POISONED
            with pytest.raises(hlwasm.SandboxPoisoned, match="cancelled"):
                await sandbox.exports.faults.load(0)
        async with load("traps").instantiate_async({"host": host}) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.hunger.ping_forever())
            assert sandbox.counters().host_calls > 10

    asyncio.run(main())


def test_a_deadline_ends_a_host_coroutine(component: hlwasm.Component) -> None:
    ended: list[str] = []

    async def fetch(key: int) -> int:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")
        return key

    async def main() -> None:
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.next(1))
            assert ended == ["cleaned up"]
            assert sandbox.status is hlwasm.Status.POISONED

    asyncio.run(main())


def test_cancelling_again_and_again_loses_nothing(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            call = asyncio.create_task(sandbox.exports.spin())
            await asyncio.sleep(ENTERED)
            while not call.done():
                call.cancel()
                await asyncio.sleep(0)
            assert call.cancelled()
            assert sandbox.status is hlwasm.Status.POISONED

    asyncio.run(main())


def test_cancelling_at_any_moment(component: hlwasm.Component) -> None:
    """Whatever it hits, the sandbox can be closed, and its state says what it is good for."""

    async def fetch(key: int) -> int:
        await asyncio.sleep(0)
        return key

    async def use(delay: float) -> None:
        async with component.instantiate_async({"fetch": fetch}, limits=SMALL) as sandbox:
            while True:
                assert await sandbox.exports.next(1) == 2
                await asyncio.sleep(0)

    async def main() -> None:
        for attempt in range(60):
            tasks = [asyncio.create_task(use(0)) for _ in range(4)]
            await asyncio.sleep(attempt * 0.0007)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in results), results

    asyncio.run(main())


def test_a_call_that_was_never_entered_leaves_the_sandbox_ready(
    component: hlwasm.Component,
) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            async with component.instantiate_async({"fetch": forty_two}) as other:
                spinning = [asyncio.create_task(other.exports.spin())]
                pool = workers.shared()
                hold, release = threading.Event(), threading.Event()

                def occupy() -> bool:
                    hold.set()
                    release.wait()
                    return True

                occupied = [asyncio.create_task(pool.run(occupy)) for _ in range(pool.count)]
                await asyncio.sleep(0)
                call = asyncio.create_task(sandbox.exports.add(1, 1))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
                release.set()
                await asyncio.gather(*occupied)
                spinning[0].cancel()
                await asyncio.wait(spinning)
            assert call.cancelled()
            assert sandbox.status is hlwasm.Status.READY
            assert await sandbox.exports.add(20, 22) == 42

    asyncio.run(main())


def test_cancel_from_another_thread(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            timer = threading.Timer(0.05, sandbox.cancel)
            timer.start()
            with pytest.raises(hlwasm.Cancelled):
                await sandbox.exports.spin()
            timer.join()

    asyncio.run(main())


@pytest.mark.parametrize("moment", [0, 0.002, 0.01])
def test_cancelling_while_it_is_made(component: hlwasm.Component, moment: float) -> None:
    async def main() -> None:
        making = asyncio.ensure_future(component.instantiate_async({"fetch": forty_two}))
        await asyncio.sleep(moment)
        making.cancel()
        try:
            sandbox = await making
        except asyncio.CancelledError:
            return
        await sandbox.aclose()

    before = machines()
    asyncio.run(main())
    assert none_more_than(before)


def none_more_than(before: int) -> bool:
    """Whether there are so many micro-VMs again, as soon as the last ones have been destroyed."""
    end = time.monotonic() + 10
    while machines() > before and time.monotonic() < end:
        gc.collect()
    return machines() <= before


def test_a_forgotten_sandbox_is_freed(component: hlwasm.Component) -> None:
    async def main() -> None:
        sandbox = await component.instantiate_async({"fetch": forty_two})
        assert await sandbox.exports.next(1) == 43

    before = machines()
    asyncio.run(main())
    assert none_more_than(before)


def test_an_event_loop_that_is_abandoned(component: hlwasm.Component) -> None:
    """A coroutine that is thrown away takes its guest with it."""

    async def call(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.spin()

    before = machines()
    loop = asyncio.new_event_loop()
    sandbox = loop.run_until_complete(
        asyncio.ensure_future(component.instantiate_async({"fetch": forty_two}), loop=loop)
    )
    coroutine = call(sandbox)

    async def start() -> None:
        # Without a task, which would complain on its own account.
        iterator = coroutine.__await__()
        next(iterator)
        await asyncio.sleep(ENTERED)
        iterator.close()

    loop.run_until_complete(start())
    assert sandbox.status is hlwasm.Status.POISONED
    loop.run_until_complete(sandbox.aclose())
    loop.close()
    assert none_more_than(before)


def test_the_deadline_of_the_limits(component: hlwasm.Component, sleeper: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=ENTERED)
    ended: list[str] = []

    async def fetch(key: int) -> int:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")
        return key

    async def check(component: hlwasm.Component, call: Callable[[Any], Awaitable[Any]]) -> None:
        imports = {"fetch": fetch} if component is not sleeper else None
        async with component.instantiate_async(imports, limits=limits) as sandbox:
            start = time.monotonic()
            with pytest.raises(hlwasm.DeadlineExceeded) as caught:
                await call(sandbox.exports)
            assert ENTERED <= time.monotonic() - start < 5
            assert caught.value.limit == "deadline"
            with pytest.raises(hlwasm.SandboxPoisoned, match="deadline"):
                await call(sandbox.exports)
        # The task is none that was cancelled.
        await asyncio.sleep(0)

    async def main() -> None:
        await check(component, lambda exports: exports.spin())
        await check(component, lambda exports: exports.next(1))
        await check(sleeper, lambda exports: exports.sleep(3600 * 10**9))
        assert ended == ["cleaned up"]
        async with sleeper.instantiate_async(limits=limits) as sandbox:
            for _ in range(3):
                await sandbox.exports.sleep(int(ENTERED * 0.5e9))

    asyncio.run(main())


def test_other_deadlines_are_told_apart(component: hlwasm.Component) -> None:
    async def fetch(key: int) -> int:
        if key == 0:
            raise asyncio.CancelledError
        await asyncio.sleep(3600)
        return key

    async def main() -> None:
        limits = hlwasm.Limits(deadline=30)
        async with component.instantiate_async({"fetch": fetch}, limits=limits) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.next(1))
        async with component.instantiate_async({"fetch": fetch}, limits=limits) as sandbox:
            with pytest.raises(asyncio.CancelledError):
                await sandbox.exports.next(0)

    asyncio.run(main())


# Snapshots -------------------------------------------------------------------------


def test_a_sandbox_is_restored_whatever_it_was_cancelled_in(component: hlwasm.Component) -> None:
    async def fetch(key: int) -> int:
        await gate.wait()
        return key

    async def main() -> None:
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            snapshot = await sandbox.snapshot()
            calls = sandbox.exports.spin, lambda: sandbox.exports.next(1)
            for number in range(100):
                with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                    await within(number % 4 * 0.002, calls[number % 2]())
                await sandbox.restore(snapshot)
                assert await sandbox.exports.add(number, 1) == number + 1
            gate.set()
            assert await sandbox.exports.next(1) == 2

    gate = asyncio.Event()
    asyncio.run(main())


def test_a_program_is_restored_in_its_sleep(sleeper: hlwasm.Component) -> None:
    async def main() -> None:
        async with sleeper.instantiate_async() as sandbox:
            snapshot = await sandbox.snapshot()
            for _ in range(5):
                with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                    await within(0.02, sandbox.exports.sleep(3600 * 10**9))
                await sandbox.restore(snapshot)
                await sandbox.exports.sleep(5_000_000)

    asyncio.run(main())


def test_forks_go_on_side_by_side(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            async with sandbox.fork() as one, await sandbox.fork({"fetch": lambda key: 0}) as two:
                nexts = (each.exports.next(1) for each in (sandbox, one, two))
                assert await asyncio.gather(*nexts) == [43, 43, 1]
            call = asyncio.create_task(sandbox.exports.spin())
            await asyncio.sleep(0)
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.snapshot()
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.fork()
            call.cancel()
            await asyncio.wait([call])

    asyncio.run(main())


def test_saving_and_restoring_wait_for_host_coroutines() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            counter = await sandbox.exports.counters.Counter(5)
            del counter
            gc.collect()
            # Drops the garbage, whose destructor calls a host coroutine.
            snapshot = await sandbox.snapshot()
            assert host.log == [5]
            await sandbox.exports.keep()
            # Closes what was opened since.
            await sandbox.restore(snapshot)
            assert host.log == [5, "open", "close"]

    asyncio.run(main())


# Turns -----------------------------------------------------------------------------


def test_guests_that_spin_leave_room_for_others(component: hlwasm.Component) -> None:
    async def main() -> None:
        made = (component.instantiate_async({"fetch": forty_two}, limits=SMALL) for _ in range(11))
        *spinners, other = await asyncio.gather(*made)
        spinning = [asyncio.create_task(each.exports.spin()) for each in spinners]
        await asyncio.sleep(0.05)
        for number in range(20):
            assert await within(5, other.exports.next(number)) == 43
        assert not any(each.done() for each in spinning)
        # All of them get their turns.
        for sandbox in spinners:
            before, end = sandbox.counters().interrupts, time.monotonic() + 30
            while sandbox.counters().interrupts == before:
                assert time.monotonic() < end
                await asyncio.sleep(0.005)
        for each in spinning:
            each.cancel()
        await asyncio.wait(spinning)
        for sandbox in (*spinners, other):
            await sandbox.aclose()

    asyncio.run(main())


# What else a component does ----------------------------------------------------------


def test_a_start_function_may_call_a_coroutine() -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def ready() -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main() -> None:
        async with hlwasm.load(STARTING, cache=False).instantiate_async({"ready": ready}):
            assert seen == [asyncio.current_task()]

    asyncio.run(main())


class Files:
    """Host resources that are closed asynchronously, and what happened to resources."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.files = self

    def open(self) -> Files:
        self.log.append("open")
        return self

    async def close(self) -> None:
        await asyncio.sleep(0)
        assert asyncio.current_task() is not None
        self.log.append("close")

    async def dropped(self, value: int) -> None:
        await asyncio.sleep(0)
        self.log.append(value)


def test_resources_of_the_host_are_closed_in_the_event_loop() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            await sandbox.exports.touch()
            assert host.log == ["open", "close"]
            await sandbox.exports.keep()
            assert host.log == ["open", "close", "open"]
        assert host.log == ["open", "close", "open", "close"]

    asyncio.run(main())


def test_resources_of_the_guest() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            new = sandbox.exports.counters.Counter
            counter = await new(7)
            assert AsyncGuestResource in type(counter).__mro__
            assert await counter.value() == 7
            await counter.drop()
            await counter.drop()
            assert host.log == [7]
            async with await new(value=8) as counter:
                assert await counter.value() == 8
            assert host.log == [7, 8]
            # Garbage goes before the next call.
            counter = await new(9)
            del counter
            gc.collect()
            assert host.log == [7, 8]
            assert await (await new(10)).value() == 10
            assert host.log[:3] == [7, 8, 9]
            late = await new(11)
        await late.drop()  # it went with the sandbox
        assert 11 not in host.log

    asyncio.run(main())


@pytest.mark.parametrize("code", [0, 7])
def test_a_program(component: hlwasm.Component, code: int) -> None:
    async def main() -> None:
        written: list[bytes] = []
        wasi = hlwasm.Wasi(stdout=written.append)
        program = hlwasm.load(PROGRAM.replace(b"CODE", b"%d" % code), cache=False)
        async with program.instantiate_async(wasi=wasi) as sandbox:
            assert await sandbox.run() == code
        assert b"".join(written) == b"hello\n"
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            with pytest.raises(hlwasm.HlwasmError, match="is not a program"):
                await sandbox.run()

    asyncio.run(main())


def test_programs_that_sleep_take_no_thread(sleeper: hlwasm.Component) -> None:
    count, seconds = 40, 0.5
    ready = 0

    async def use() -> None:
        nonlocal ready
        async with sleeper.instantiate_async(limits=SMALL) as sandbox:
            ready += 1
            await started.wait()
            await sandbox.exports.sleep(int(seconds * 1e9))

    async def main() -> float:
        tasks = [asyncio.create_task(use()) for _ in range(count)]
        while ready < count:
            await asyncio.sleep(0.01)
        started.set()
        start = time.monotonic()
        await asyncio.sleep(seconds / 2)
        assert threading.active_count() <= before + THREADS
        await asyncio.gather(*tasks)
        return time.monotonic() - start

    before = threading.active_count()
    started = asyncio.Event()
    # One after the other, or two by two, they would take ten seconds and more.
    assert seconds <= asyncio.run(main()) < 5


def test_a_program_that_sleeps_is_cancelled(sleeper: hlwasm.Component) -> None:
    async def main() -> None:
        async with sleeper.instantiate_async() as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.sleep(3600 * 10**9))
            assert sandbox.status is hlwasm.Status.POISONED
        async with sleeper.instantiate_async() as sandbox:
            timer = threading.Timer(0.05, sandbox.cancel)
            timer.start()
            with pytest.raises(hlwasm.Cancelled):
                await sandbox.exports.sleep(3600 * 10**9)
            timer.join()

    asyncio.run(main())


# The process -------------------------------------------------------------------------

PREAMBLE = f"""
import asyncio, hlwasm, os, threading, time
component = hlwasm.load({HOST_CALLS!r}, cache=False)
def start():
    return component.instantiate_async({{"fetch": lambda key: key}})
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_process_ends_while_guests_run() -> None:
    done = python("""
async def main():
    for number in range(3):
        sandbox = await start()
        run = lambda spin: asyncio.run(spin())
        threading.Thread(target=run, args=(sandbox.exports.spin,), daemon=True).start()
    await asyncio.sleep(0.1)
asyncio.run(main())
print("done")
""")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_interrupting_the_program_ends_its_guests() -> None:
    done = python("""
import signal
async def main():
    async with start() as sandbox:
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)
        try:
            await sandbox.exports.spin()
        finally:
            print(sandbox.status)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "interrupted"
    assert "Traceback" not in done.stderr


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    done = python("""
async def use():
    async with start() as sandbox:
        return await sandbox.exports.add(2, 3)
assert asyncio.run(use()) == 5
child = os.fork()
if child == 0:
    os._exit(asyncio.run(use()))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
assert asyncio.run(use()) == 5
""")
    assert done.returncode == 0, done.stderr
