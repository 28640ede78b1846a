"""Many threads at everything at once: each gets its own result or an exception that says why.

With the interpreter's global lock these races are rare, and without it (a free-threaded build)
they are what happens.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event
from typing import Any

import pytest

import hlwasm
from tests.machines import machines
from tests.switching import switching_often

pytestmark = pytest.mark.hypervisor

THREADS = 8
SECONDS = 1.0

TEXT = b"""(component
  (import "work" (func $work (param "value" u32) (result u32)))
  (core func $work (canon lower (func $work)))
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core module $m
    (import "" "work" (func $work (param i32) (result i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (global $sum (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (param i32) (result i32)
      (global.set $sum (i32.add (global.get $sum) (local.get 0))) (global.get $sum))
    (func (export "ask") (param i32) (result i32) (call $work (local.get 0)))
    (func (export "trap") (unreachable))
    (func (export "spin") (loop (br 0)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "look") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m
    (with "" (instance (export "work" (func $work)) (export "new" (func $new))))))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "count") (param "n" u32) (result u32) (canon lift (core func $i "count")))
  (func (export "ask") (param "n" u32) (result u32) (canon lift (core func $i "ask")))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func $make (param "n" u32) (result (own $thing)) (canon lift (core func $i "make")))
  (func $look (param "it" (borrow $thing)) (result u32) (canon lift (core func $i "look")))
  (component $Things
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (param "n" u32) (result (own $thing))))
    (import "look" (func $look (param "it" (borrow $thing)) (result u32)))
    (export $out "thing" (type $thing))
    (export "make" (func $make) (func (param "n" u32) (result (own $out))))
    (export "look" (func $look) (func (param "it" (borrow $out)) (result u32))))
  (instance $things (instantiate $Things (with "thing" (type $thing))
    (with "make" (func $make)) (with "look" (func $look))))
  (export "demo:many/things" (instance $things)))"""


def load(**options: Any) -> hlwasm.Component:
    return hlwasm.load(TEXT, cache=False, **options)


def double(value: int) -> int:
    return value * 2


IMPORTS = {"work": double}


def at_once(*works: Callable[[random.Random], object], seconds: float = SECONDS) -> Counter[str]:
    """Each work again and again in threads of its own, all begun together.

    Returns:
        How often each work was done, by its name.

    Raises:
        BaseException: what one of them raised first.
    """
    count = max(1, THREADS // len(works))
    start, failed = Barrier(count * len(works)), Event()
    done: Counter[str] = Counter()

    def repeat(work: Callable[[random.Random], object], seed: int) -> int:
        chance = random.Random(seed)
        start.wait()
        end, times = time.monotonic() + seconds, 0
        try:
            while time.monotonic() < end and not failed.is_set():
                work(chance)
                times += 1
        except BaseException:
            failed.set()
            raise
        return times

    with switching_often(), ThreadPoolExecutor(count * len(works)) as threads:
        futures = [
            (work.__name__, threads.submit(repeat, work, number))
            for work in works
            for number in range(count)
        ]
    for name, future in futures:
        done[name] += future.result()
    return done


def test_a_sandbox_for_each_thread() -> None:
    component = load()

    def live(chance: random.Random) -> None:
        # Nothing is bound nor generated yet at the first round: all threads do it at once.
        with component.instantiate(IMPORTS) as sandbox:
            saved = sandbox.snapshot()
            for _ in range(20):
                a = chance.randrange(1 << 30)
                assert sandbox.exports.add(a, 5) == a + 5
                assert sandbox.exports.count(a) == a
                assert sandbox.exports.ask(a) == 2 * a
                if chance.random() < 0.3:
                    with pytest.raises(hlwasm.Trap):
                        sandbox.exports.trap()
                sandbox.restore(saved)
            with sandbox.fork() as other:
                assert other.exports.count(7) == 7

    before = machines()
    assert at_once(live)["live"] >= THREADS
    gc.collect()
    assert machines() == before


def test_a_sandbox_that_all_threads_want() -> None:
    component = load()
    counted = 0

    def call(chance: random.Random) -> None:
        nonlocal counted
        a = chance.randrange(1 << 30)
        with suppress(hlwasm.SandboxBusy):
            assert sandbox.exports.add(a, 3) == a + 3
        with suppress(hlwasm.SandboxBusy):
            assert sandbox.exports.ask(a) == 2 * a

    def look(_: random.Random) -> None:
        assert sandbox.status in (hlwasm.Status.READY, hlwasm.Status.RUNNING)
        assert sandbox.counters().exits > 0
        repr(sandbox)
        with suppress(hlwasm.SandboxBusy):
            sandbox.usage()

    def save(_: random.Random) -> None:
        with suppress(hlwasm.SandboxBusy), sandbox.fork() as other:
            assert other.exports.add(1, 2) == 3

    def count(_: random.Random) -> None:
        # Restored to 0 by whoever gets in last: the sum of one who is alone is its own.
        with suppress(hlwasm.SandboxBusy):
            sandbox.restore(clean)

    with component.instantiate(IMPORTS) as sandbox:
        clean = sandbox.snapshot()
        done = at_once(call, call, look, save, count)
        assert min(done.values()) > 0
        assert sandbox.status is hlwasm.Status.READY
        sandbox.restore(clean)
        assert sandbox.exports.count(9) == 9


def test_closing_while_others_are_at_it() -> None:
    component = load(fuel=True)
    limits = hlwasm.Limits(fuel=100_000)
    expected = (hlwasm.SandboxBusy, hlwasm.SandboxClosed)
    for _ in range(15):
        sandbox = component.instantiate(IMPORTS, limits=limits)
        saved = sandbox.snapshot()
        things = [sandbox.exports.things.make(number) for number in range(20)]
        start = Barrier(6)

        def until_closed(work: Callable[[], object], start: Barrier = start) -> None:
            start.wait()
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    work()
                except hlwasm.SandboxBusy:
                    time.sleep(0.0001)
                except hlwasm.SandboxClosed:
                    return
            pytest.fail("it was not closed")

        def ask(sandbox: hlwasm.Sandbox = sandbox) -> None:
            assert sandbox.exports.ask(4) == 8

        def look(sandbox: hlwasm.Sandbox = sandbox) -> None:
            used = sandbox.fuel_used
            assert used is None or 0 <= used <= 100_000
            sandbox.cancel() if sandbox.status is hlwasm.Status.CLOSED else None
            sandbox.counters()

        def drop(things: list[Any] = things, sandbox: hlwasm.Sandbox = sandbox) -> None:
            if things:
                with suppress(*expected):
                    things.pop().drop()
            sandbox.usage()

        def close(start: Barrier = start, sandbox: hlwasm.Sandbox = sandbox) -> None:
            start.wait()
            time.sleep(0.002)
            while sandbox.status is not hlwasm.Status.CLOSED:
                with suppress(hlwasm.SandboxBusy):
                    sandbox.close()

        def restore(sandbox: hlwasm.Sandbox = sandbox, saved: hlwasm.Snapshot = saved) -> None:
            sandbox.restore(saved)

        def fork(sandbox: hlwasm.Sandbox = sandbox) -> None:
            sandbox.fork().close()

        with switching_often(), ThreadPoolExecutor(6) as threads:
            works = (ask, look, drop, restore, fork)
            futures = [threads.submit(until_closed, work) for work in works]
            futures.append(threads.submit(close))
        for future in futures:
            future.result()


def test_resources_that_other_threads_forget() -> None:
    component = load()

    with component.instantiate(IMPORTS) as sandbox, ThreadPoolExecutor(4) as threads:

        def forget(things: list[Any]) -> None:
            while things:
                thing = things.pop()
                if len(things) % 3 == 0:
                    thing.drop()
                del thing
            gc.collect()

        with switching_often():
            forgetting = []
            for number in range(60):
                things = [sandbox_call(sandbox.exports.things.make, n) for n in range(30)]
                kept = things.pop()
                forgetting.append(threads.submit(forget, things))
                assert sandbox_call(sandbox.exports.things.look, kept) == 29, number
            for each in forgetting:
                each.result()
        assert sandbox.exports.add(1, 1) == 2
        del kept
        assert sandbox.exports.add(1, 1) == 2
        # All but what the last call left is dropped: nothing of it is held any more.
        assert not sandbox._loop.resources._held


def sandbox_call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls it as soon as nobody else is inside."""
    while True:
        try:
            return function(*arguments)
        except hlwasm.SandboxBusy:
            time.sleep(0)


def test_deadlines_in_host_functions_of_many_threads() -> None:
    component = load()
    limits = hlwasm.Limits(deadline=0.02)

    def late(chance: random.Random) -> None:
        naps = chance.randrange(3) * 0.02

        def work(value: int) -> int:
            end = time.monotonic() + naps
            while time.monotonic() < end:
                time.sleep(0.001)
            return value * 2

        with component.instantiate({"work": work}, limits=limits) as sandbox:
            saved = sandbox.snapshot()
            for _ in range(5):
                try:
                    assert sandbox.exports.ask(21) == 42
                except hlwasm.DeadlineExceeded:
                    assert sandbox.status is hlwasm.Status.POISONED
                    sandbox.restore(saved)
                # What was meant for the call that is over does not come later.
                time.sleep(0.001)

    assert at_once(late)["late"] >= THREADS


def test_a_pool_that_all_threads_use() -> None:
    component = load()
    with hlwasm.Pool(component, size=3, imports=IMPORTS) as pool:

        def call(chance: random.Random) -> None:
            a = chance.randrange(1 << 30)
            assert pool.exports.count(a) == a
            assert pool.call("ask", a) == 2 * a

        def submit(chance: random.Random) -> None:
            a = chance.randrange(1 << 30)
            futures = [pool.submit("count", a + n) for n in range(4)]
            assert [each.result() for each in futures] == [a + n for n in range(4)]

        def borrow(chance: random.Random) -> None:
            with suppress(hlwasm.Trap), pool.sandbox() as sandbox:
                assert sandbox.exports.count(1) == 1
                assert sandbox.exports.count(1) == 2
                if chance.random() < 0.5:
                    sandbox.exports.trap()

        done = at_once(call, call, submit, borrow)
        assert min(done.values()) > 0
        statistics = pool.statistics()
        assert (statistics.busy, statistics.waiting, statistics.pending) == (0, 0, 0)


def test_tasks_beside_threads() -> None:
    component = load()

    async def task(number: int) -> None:
        async def work(value: int) -> int:
            await asyncio.sleep(0)
            return value * 2

        sandbox = await component.instantiate_async({"work": work})
        async with sandbox:
            for n in range(5):
                assert await sandbox.exports.ask(number + n) == 2 * (number + n)
                assert await sandbox.exports.add(number, n) == number + n
            if number % 5 == 0:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(sandbox.exports.spin(), 0.02)

    async def many(first: int) -> None:
        await asyncio.gather(*[task(first + n) for n in range(50)])

    def loop(chance: random.Random) -> None:
        asyncio.run(many(chance.randrange(1000)))

    assert at_once(loop, *[loop] * 3)["loop"] >= 4
