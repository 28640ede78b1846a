"""Pools of sandboxes in micro-VMs, for threads and as executors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hlwasm

pytestmark = pytest.mark.hypervisor

# State that a request could leave behind, and ways not to come to an end.
TEXT = """
(component
  (import "host" (func $host (param "value" u32) (result u32)))
  (core module $memory (memory (export "memory") 1 16)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $host (canon lower (func $host)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "host" (func $host (param i32) (result i32)))
    (global $counter (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
      (global.get $counter))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "exchange") (param i32 i32) (result i32)
      (i32.load (local.get 0))
      (i32.store (local.get 0) (local.get 1))
      (global.set $counter (i32.add (global.get $counter) (local.get 1))))
    (func (export "ask") (param i32) (result i32) (call $host (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "trap") unreachable)
    (func (export "spin") (loop (br 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "host" (func $host))))))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "store") (param "at" u32) (param "value" u32)
    (canon lift (core func $i "store")))
  (func (export "load") (param "at" u32) (result u32) (canon lift (core func $i "load")))
  (func (export "exchange") (param "at" u32) (param "value" u32) (result u32)
    (canon lift (core func $i "exchange")))
  (func (export "ask") (param "value" u32) (result u32) (canon lift (core func $i "ask")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "spin") (canon lift (core func $i "spin"))))
"""
IMPORTS = {"host": lambda value: value + 1}

Make = Callable[..., hlwasm.Pool]


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture
def make(component: hlwasm.Component) -> Iterator[Make]:
    """Makes pools; closed when the test ends."""
    made: list[hlwasm.Pool] = []

    def make(**options: Any) -> hlwasm.Pool:
        if "imports_factory" not in options:
            options.setdefault("imports", IMPORTS)
        made.append(hlwasm.Pool(component, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close(cancel=True, timeout=30)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# Calls -------------------------------------------------------------------------------


def test_every_use_begins_in_the_same_state(make: Make) -> None:
    pool = make(size=2)
    for _ in range(20):
        assert pool.call("count") == 1
        assert pool.exports.count() == 1
        assert pool.submit("count").result() == 1
        with pool.sandbox() as sandbox:
            assert sandbox.exports.count() == 1
            assert sandbox.exports.count() == 2
            sandbox.exports.store(64, 9)
        assert pool.call("load", at=64) == 0
    statistics = pool.statistics()
    assert statistics.borrowed == statistics.restores == 100
    assert (statistics.errors, statistics.replaced, statistics.busy) == (0, 0, 0)
    assert statistics.created == statistics.idle <= 2


def test_names(make: Make, load: Callable[[str], hlwasm.Component]) -> None:
    pool = make(size=1)
    for name in ("nothing", "add.more", "nowhere.add", "", "."):
        with pytest.raises((AttributeError, KeyError)):
            pool.call(name)
        with pytest.raises((AttributeError, KeyError)):
            pool.submit(name)
    assert pool.statistics().created == 0
    calculator = load("calculator")
    names = [f"{f.interface}.{f.name}" for f in calculator.description.exports if f.interface]
    with hlwasm.Pool(calculator, size=1, imports={"log": lambda *_: None}) as other:
        for name in (names[0], "ops.add"):
            assert other.call(name, 2, 3) == 5
        assert other.exports.ops.add(2, 3) == 5
        assert "add" in other.exports.ops.add.__doc__


def test_a_failure_is_that_request_s_alone(make: Make) -> None:
    raising: list[BaseException] = []

    def host(value: int) -> int:
        if raising:
            raise raising.pop()
        return value

    pool = make(size=1, imports={"host": host}, limits=hlwasm.Limits(deadline=0.05))
    pool.call("count")
    for _ in range(5):
        with pytest.raises(hlwasm.Trap):
            pool.call("trap")
        with pytest.raises(hlwasm.DeadlineExceeded):
            pool.call("spin")
        with pytest.raises(hlwasm.WitValueError):
            pool.call("load", -1)
        raising.append(ZeroDivisionError("by the host"))
        with pytest.raises(ZeroDivisionError):
            pool.call("ask", 1)
        assert pool.call("ask", 7) == 7
        with pytest.raises(hlwasm.Trap):
            pool.submit("trap").result()
        with pytest.raises(LookupError), pool.sandbox() as sandbox:
            sandbox.exports.count()
            raise LookupError
        assert pool.call("count") == 1
    statistics = pool.statistics()
    assert (statistics.errors, statistics.created, statistics.replaced) == (30, 1, 0)


def test_what_cannot_be_restored_is_replaced(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        sandbox.close()
    assert pool.call("count") == 1
    statistics = pool.statistics()
    assert (statistics.replaced, statistics.created) == (1, 2)


def test_a_call_that_is_left_behind_is_stopped(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        ended: list[BaseException] = []

        def spin() -> None:
            try:
                sandbox.exports.spin()
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=spin)
        thread.start()
        until(lambda: sandbox.status is hlwasm.Status.RUNNING)
    thread.join(20)
    assert isinstance(ended[0], hlwasm.Cancelled)
    assert pool.call("count") == 1
    assert pool.statistics().replaced == 1


def test_state_may_be_kept(make: Make) -> None:
    pool = make(size=1, stateless=False)
    assert [pool.call("count") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(hlwasm.Trap):
        pool.call("trap")
    assert pool.call("count") == 1
    assert pool.statistics().restores == 1


def test_a_pool_of_a_snapshot(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=10)
    with component.instantiate(IMPORTS, limits=limits) as sandbox:
        sandbox.exports.count()
        sandbox.exports.store(0, 42)
        snapshot = sandbox.snapshot()
    with hlwasm.Pool(snapshot, size=2, imports=IMPORTS, min_size=2, limits=limits) as pool:
        assert pool.statistics().idle == pool.statistics().created == 2
        assert pool.call("count") == 2
        assert pool.call("exchange", 0, 1) == 42
        assert pool.call("load", 0) == 42
    with pytest.raises(ValueError, match="limits"):
        hlwasm.Pool(snapshot, limits=hlwasm.Limits(deadline=11))


def test_imports_may_be_made_for_each_sandbox(make: Make) -> None:
    made: list[int] = []

    def factory() -> dict[str, Any]:
        number = len(made)
        made.append(number)
        return {"host": lambda value: 100 * number + value}

    pool = make(size=2, min_size=2, imports_factory=factory)
    with pool.sandbox() as first, pool.sandbox() as second:
        assert {first.exports.ask(1), second.exports.ask(1)} == {1, 101}
    assert made == [0, 1]


def test_misuse(component: hlwasm.Component, make: Make) -> None:
    with pytest.raises(TypeError, match="Component or a Snapshot"):
        hlwasm.Pool(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not both"):
        hlwasm.Pool(component, imports=IMPORTS, imports_factory=dict)
    for name, value in (("size", 0), ("size", True), ("min_size", -1), ("max_pending", 0)):
        with pytest.raises(ValueError, match=name):
            hlwasm.Pool(component, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout"):
        hlwasm.Pool(component, timeout=-1)
    with pytest.raises(hlwasm.LinkError, match="host"):
        hlwasm.Pool(component, min_size=1)
    with hlwasm.Pool(component) as unlinked:
        for _ in range(2):
            with pytest.raises(hlwasm.LinkError, match="host"):
                unlinked.call("count")
            with pytest.raises(hlwasm.LinkError, match="host"):
                unlinked.submit("count").result()
    pool = make(size=1)
    borrowed = pool.sandbox()
    with borrowed:
        with pytest.raises(hlwasm.PoolError, match="again"), borrowed:
            pass
        with pytest.raises(hlwasm.PoolTimeout), pool.sandbox(timeout=0.01):
            pass


def test_host_functions_may_use_the_pool_that_calls_them(make: Make) -> None:
    pool: hlwasm.Pool = make(size=2, imports={"host": lambda value: pool.call("add", value, 1)})
    assert pool.call("ask", 4) == 5


def test_no_request_sees_another(make: Make) -> None:
    """Canaries: each request looks for what others left, and leaves something itself."""
    pool = make(size=3, limits=hlwasm.Limits(deadline=5), timeout=60)
    failures: list[object] = []
    done: list[int] = []

    def request(sandbox: hlwasm.Sandbox, chance: random.Random) -> None:
        exports = sandbox.exports
        at = 4 * chance.randrange(16000)
        seen = [exports.exchange(at, chance.randrange(1, 1 << 30)), exports.count() >> 31]
        if chance.random() < 0.1:
            seen.append(exports.grow(2) - 1)
            seen.append(exports.exchange(2 * 65536 + at, 5))
        if chance.random() < 0.1:
            exports.trap()
        if seen[0] or any(seen[2:]):
            failures.append(seen)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(250):
            way = chance.randrange(3)
            at, value = 4 * chance.randrange(16000), chance.randrange(1, 1 << 30)
            try:
                if way == 0 and pool.call("exchange", at, value):
                    failures.append("call")
                elif way == 1 and pool.submit("exchange", at, value).result(60):
                    failures.append("submit")
                elif way == 2:
                    with pool.sandbox() as sandbox:
                        request(sandbox, chance)
                if pool.call("count") != 1:
                    failures.append("count")
            except hlwasm.Trap:
                continue
            except BaseException as error:
                failures.append(error)
        done.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(done) == 5
    statistics = pool.statistics()
    assert (statistics.busy, statistics.waiting, statistics.replaced) == (0, 0, 0)
    assert statistics.created <= 3


# Executor -----------------------------------------------------------------------------


def test_an_executor(make: Make) -> None:
    pool = make(size=2)
    futures = [pool.submit("add", n, b=n) for n in range(50)]
    ended = {future.result() for future in concurrent.futures.as_completed(futures, timeout=60)}
    assert ended == {2 * n for n in range(50)}
    assert list(pool.map("add", range(10), range(10))) == [2 * n for n in range(10)]
    assert pool.submit(pool.exports.add, 3, 4).result() == 7
    assert pool.submit(lambda sandbox, n: sandbox.exports.add(n, n), 21).result() == 42
    assert pool.statistics().threads <= 2

    async def main() -> int:
        loop = asyncio.get_running_loop()
        double: Any = _double  # gets the sandbox first
        calls = [loop.run_in_executor(pool, double, n) for n in range(20)]
        return sum(await asyncio.gather(*calls))

    assert asyncio.run(main()) == 2 * sum(range(20))


def _double(sandbox: hlwasm.Sandbox, number: int) -> int:
    doubled: int = sandbox.exports.add(number, number)
    return doubled


class Gate:
    """A host function that waits until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def host(self, value: int) -> int:
        self.entered.release()
        assert self.open.wait(60)
        return value


def test_the_queue_is_bounded(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, max_pending=2, timeout=0.05)
    running = pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    queued = [pool.submit("ask", n) for n in (2, 3)]
    assert pool.statistics().pending == 2
    started = time.monotonic()
    with pytest.raises(hlwasm.PoolTimeout, match="2 tasks wait already"):
        pool.submit("ask", 4)
    assert time.monotonic() - started >= 0.05

    async def submit() -> None:
        with pytest.raises(hlwasm.PoolTimeout, match="event loop"):
            pool.submit("ask", 5)

    asyncio.run(submit())
    assert queued[0].cancel()
    gate.open.set()
    assert running.result(20) == 1
    assert queued[1].result(20) == 3
    with pytest.raises(concurrent.futures.CancelledError):
        queued[0].result(20)
    assert pool.submit("ask", 6).result(20) == 6


def test_submit_waits_for_room(make: Make) -> None:
    pool = make(size=1, max_pending=1)
    assert [f.result(60) for f in [pool.submit("add", n, 0) for n in range(200)]] == [*range(200)]

    def nested(sandbox: hlwasm.Sandbox) -> None:
        for _ in range(3):
            pool.submit("count")

    with pytest.raises(hlwasm.PoolTimeout, match="a task cannot wait"):
        pool.submit(nested).result(60)


def test_a_deadline_ends_the_wait_for_a_host_function_that_blocks(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, limits=hlwasm.Limits(deadline=0.2))
    pool.call("count")
    started = time.monotonic()
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit("ask", 1).result(20)
    assert 0.19 < time.monotonic() - started < 5
    # Another thread and sandbox take the place.
    until(lambda: pool.statistics().abandoned == 1)
    assert pool.submit("count").result(20) == 1
    assert pool.call("count") == 1
    # But not without end.
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit("ask", 2).result(20)
    third = pool.submit("count")
    with pytest.raises(concurrent.futures.TimeoutError):
        third.result(0.3)
    statistics = pool.statistics()
    assert (statistics.threads, statistics.abandoned, statistics.busy) == (2, 1, 1)
    gate.open.set()
    assert third.result(20) == 1
    until(lambda: pool.statistics().abandoned == 0 and pool.statistics().threads == 1)


def test_many_deadlines_in_tasks_of_many_calls(make: Make) -> None:
    pool = make(size=2, limits=hlwasm.Limits(deadline=0.1))

    def work(sandbox: hlwasm.Sandbox, end: bool) -> int:
        started = time.monotonic()
        while time.monotonic() - started < 0.25:
            sandbox.exports.add(1, 2)
        if end:
            sandbox.exports.spin()
        return 1

    # Each call has a deadline of its own; the task has none.
    assert pool.submit(work, False).result(20) == 1
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit(work, True).result(20)
    spinning = [pool.submit("spin") for _ in range(6)]
    for future in spinning:
        assert isinstance(future.exception(20), hlwasm.DeadlineExceeded)
    assert pool.submit("count").result(20) == 1


# The end ------------------------------------------------------------------------------


def test_closing_waits_for_what_was_submitted(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    futures = [pool.submit("ask", n) for n in range(3)]
    assert gate.entered.acquire(timeout=20)
    with pytest.raises(hlwasm.PoolTimeout, match="still run"):
        pool.close(timeout=0.05)
    with pytest.raises(hlwasm.PoolClosed):
        pool.call("count")
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit("count")
    gate.open.set()
    assert futures[0].result(20) == 0
    pool.close()
    pool.close()
    assert pool.statistics().idle == 0


def test_shutdown_as_of_any_executor(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    futures = [pool.submit("ask", n) for n in range(3)]
    assert gate.entered.acquire(timeout=20)
    pool.shutdown(wait=False)
    gate.open.set()
    assert [future.result(20) for future in futures] == [0, 1, 2]
    until(lambda: pool.statistics().threads == 0 and pool.statistics().idle == 0)
    gate.open.clear()
    other = make(size=1, imports=gate)
    futures = [other.submit("ask", n) for n in range(3)]
    for _ in range(3):
        assert gate.entered.acquire(timeout=20)
    other.shutdown(wait=False, cancel_futures=True)
    gate.open.set()
    other.shutdown()
    assert [future.cancelled() for future in futures] == [False, True, True]


def test_closing_may_cancel(make: Make) -> None:
    pool = make(size=2)
    futures = [pool.submit("spin") for _ in range(4)]
    until(lambda: sum(future.running() for future in futures) == 2)
    pool.close(cancel=True)
    ended = [future.cancelled() for future in futures]
    assert ended == [False, False, True, True]
    for future in futures[:2]:
        assert isinstance(future.exception(), hlwasm.Cancelled)


def test_leaving_by_an_exception_cancels(make: Make) -> None:
    with pytest.raises(LookupError), make(size=1) as pool:
        futures = [pool.submit("spin") for _ in range(3)]
        raise LookupError
    assert all(future.done() for future in futures)


def test_a_sandbox_that_the_closing_thread_has_itself(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        pool.close()
        assert sandbox.exports.count() == 1
    assert sandbox.status is hlwasm.Status.CLOSED
    # A task that closes its pool.
    other = make(size=1)
    other.submit(lambda sandbox: other.close()).result(20)
    other.close()


def test_ctrl_c_while_waiting_for_a_sandbox(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            pool.call("count")
        timer.join()
        assert sandbox.exports.count() == 1
    assert pool.call("count") == 1


def test_ctrl_c_in_a_call(make: Make) -> None:
    pool = make(size=1)
    for _ in range(5):
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            pool.call("spin")
        timer.join()
        assert pool.call("count") == 1
    assert pool.statistics().replaced == 0


def test_a_forgotten_pool_ends(component: hlwasm.Component) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("hlwasm-pool") for thread in threading.enumerate())

    before = threads()
    future = hlwasm.Pool(component, size=2, imports=IMPORTS).submit("add", 2, 3)
    assert future.result(20) == 5
    del future

    def ended() -> bool:
        gc.collect()
        return threads() == before

    until(ended)


def test_a_fork_has_no_part_in_the_parent_s_pool(component: hlwasm.Component) -> None:
    gate = Gate()
    with hlwasm.Pool(component, size=2, imports=gate) as pool:
        pool.call("count")
        running = pool.submit("ask", 1)
        assert gate.entered.acquire(timeout=20)
        child = os.fork()
        if child == 0:
            # No pytest in the child, whatever happens, and no child that stays.
            signal.alarm(60)
            refused = 0
            try:
                for use in (
                    lambda: pool.call("count"),
                    lambda: pool.submit("count"),
                    lambda: pool.sandbox().__enter__(),
                    running.result,
                    running.exception,
                ):
                    try:
                        use()
                    except hlwasm.PoolClosed as error:
                        refused += "parent process" in str(error)
                pool.close()
                with hlwasm.Pool(component, imports=IMPORTS) as own:
                    fine = own.call("add", 1, 2) == 3 and own.submit("count").result(20) == 1
                os._exit(0 if fine and refused == 5 else refused + 1)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        gate.open.set()
        assert running.result(20) == 1
        assert pool.call("count") == 1


AT_EXIT = """
import os, sys, threading, time
import hlwasm
from tests.integration.test_pool import TEXT
def host(value):
    time.sleep(100 if value else 0)
    return value
component = hlwasm.load(TEXT.encode())
pool = hlwasm.Pool(component, size=3, imports={"host": host}, limits=hlwasm.Limits(deadline=50))
idle = hlwasm.Pool(component, imports={"host": host}, min_size=2)
assert pool.call("count") == 1
"""
ENDS = {
    "busy guests": 'futures = [pool.submit("spin") for _ in range(20)]; time.sleep(0.2)',
    "just begun": 'futures = [pool.submit("spin") for _ in range(20)]',
    "a blocked host function": 'pool.submit("ask", 1); time.sleep(0.2)',
    "borrowed": "borrowed = pool.sandbox(); borrowed.__enter__()",
    # The borrower that waits is told so, while the process ends: nothing else may reach it.
    "a thread that waits": """
def hook(told, closed=hlwasm.PoolClosed, end=os._exit):
    if told.exc_type is not closed: end(3)
threading.excepthook = hook
borrowed = [pool.sandbox() for _ in range(3)]
for each in borrowed: each.__enter__()
threading.Thread(target=pool.call, args=("count",), daemon=True).start(); time.sleep(0.1)""",
    "an exception": 'pool.submit("spin"); time.sleep(0.1); sys.exit(0)',
    "a forked child": """
future = pool.submit("spin"); time.sleep(0.1)
child = os.fork()
if child: assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0""",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_process_ends(end: str) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT + ENDS[end]], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 30


def test_the_native_pool_is_shown_and_bounded(component: hlwasm.Component) -> None:
    before = hlwasm.vm_pool()
    try:
        assert hlwasm.vm_pool(limit=2).limit == 2
        assert hlwasm.vm_pool().limit == 2
        with hlwasm.Pool(component, size=6, min_size=6, imports=IMPORTS):
            pass
        until(lambda: hlwasm.vm_pool().waiting == 0)
        assert hlwasm.vm_pool().kept <= 2
        with hlwasm.Pool(component, size=2, min_size=2, imports=IMPORTS):
            assert hlwasm.vm_pool().made + hlwasm.vm_pool().reused > before.made + before.reused
        assert hlwasm.vm_pool(limit=0).kept == 0
        for wrong in (-1, 1.5, True):
            with pytest.raises(ValueError, match="limit"):
                hlwasm.vm_pool(wrong)  # type: ignore[arg-type]
    finally:
        hlwasm.vm_pool(before.limit)


def test_a_pool_is_warmed_up_once(component: hlwasm.Component) -> None:
    warmed: list[int] = []

    def warm_up(sandbox: hlwasm.Sandbox) -> None:
        warmed.append(sandbox.exports.count())

    with hlwasm.Pool(component, size=2, imports=IMPORTS, warm_up=warm_up) as pool:
        assert [pool.call("count") for _ in range(3)] == [2, 2, 2]
        with pool.sandbox() as first, pool.sandbox() as second:
            assert first.exports.count() == second.exports.count() == 2
            snapshot = first.snapshot()
    assert warmed == [1]
    with pytest.raises(TypeError, match="warm_up"):
        hlwasm.Pool(snapshot, imports=IMPORTS, warm_up=warm_up)

    async def main() -> None:
        async def warm(sandbox: hlwasm.AsyncSandbox) -> None:
            await sandbox.exports.count()

        async with hlwasm.AsyncPool(component, size=2, imports=IMPORTS, warm_up=warm) as pool:
            assert [await pool.call("count") for _ in range(3)] == [2, 2, 2]

    asyncio.run(main())
