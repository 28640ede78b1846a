"""Processes that fork: what a child finds of its parent's sandboxes, and what it may not harm."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import hlwasm
from tests.scale import scaled
from tests.stateful import IMPORTS, TEXT

# Newer Pythons warn of forks where there are threads, which is what is tested here.
pytestmark = [
    pytest.mark.hypervisor,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

FORKS = scaled(40, 400)
# A child that hangs is ended.
PATIENCE = 30


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture(scope="module")
def snapshot(component: hlwasm.Component) -> hlwasm.Snapshot:
    with component.instantiate(IMPORTS, limits=hlwasm.Limits(deadline=20)) as sandbox:
        sandbox.exports.store(0, 42)
        return sandbox.snapshot()


def in_child(work: Callable[[], object]) -> int:
    """Forks a child that does the work and ends; its id."""
    child = os.fork()
    if child:
        return child
    # No pytest in the child, whatever happens.
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def succeeded(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def use_new(snapshot: hlwasm.Snapshot, times: int = 2) -> None:
    """A sandbox of its own, made from the parent's snapshot."""
    for _ in range(times):
        with snapshot.instantiate(IMPORTS) as sandbox:
            assert sandbox.exports.load(0) == 42
            sandbox.exports.store(0, 43)
            sandbox.restore(snapshot)
            assert sandbox.exports.load(0) == 42
            assert sandbox.exports.count() == 1


def test_children_of_children_make_sandboxes(snapshot: hlwasm.Snapshot) -> None:
    def work() -> None:
        use_new(snapshot)
        assert succeeded(in_child(lambda: use_new(snapshot)))
        use_new(snapshot)

    assert succeeded(in_child(work))
    use_new(snapshot)


def test_deadlines_in_a_child(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=0.1)

    def expire(snapshot: hlwasm.Snapshot) -> None:
        with snapshot.instantiate(IMPORTS) as sandbox:
            with pytest.raises(hlwasm.DeadlineExceeded):
                sandbox.exports.spin()
            sandbox.restore(snapshot)
            assert sandbox.exports.count() == 1

    with component.instantiate(IMPORTS, limits=limits) as sandbox:
        snapshot = sandbox.snapshot()
        expire(snapshot)
        assert succeeded(in_child(lambda: expire(snapshot)))
        expire(snapshot)


MISUSES: dict[str, Callable[[hlwasm.Sandbox, hlwasm.Snapshot], object]] = {
    "call": lambda sandbox, _: sandbox.exports.load(0),
    "restore": lambda sandbox, snapshot: sandbox.restore(snapshot),
    "snapshot": lambda sandbox, _: sandbox.snapshot(),
    "fork": lambda sandbox, _: sandbox.fork(),
}


@pytest.mark.parametrize("name", MISUSES)
def test_the_parent_s_sandbox_is_of_no_use_and_not_harmed(
    snapshot: hlwasm.Snapshot, name: str
) -> None:
    """The child does it while the parent's guest waits in the middle of a call: its registers
    are in memory that both processes share."""
    reading, writing = os.pipe()
    children: list[int] = []

    def misuse() -> None:
        os.read(reading, 1)
        sandbox.cancel()
        with pytest.raises(hlwasm.HlwasmError, match="forked"):
            MISUSES[name](sandbox, snapshot)
        sandbox.counters()
        sandbox.close()

    def observe(_: int) -> None:
        os.write(writing, b"x")
        assert succeeded(children.pop())

    with snapshot.instantiate({"observe": observe}) as sandbox:
        sandbox.restore(snapshot)
        before = sandbox.counters().interrupts
        for number in range(3):
            children.append(in_child(misuse))
            assert sandbox.exports.count() == number + 1
            assert sandbox.exports.load(0) == 42
        # Not even an interrupt reaches it.
        assert sandbox.counters().interrupts == before
    os.close(reading)
    os.close(writing)


def test_a_child_that_is_made_in_the_middle_of_a_call(snapshot: hlwasm.Snapshot) -> None:
    results: list[bool] = []

    def observe(_: int) -> None:
        def misuse() -> None:
            for each in MISUSES.values():
                with pytest.raises(hlwasm.HlwasmError):
                    each(sandbox, snapshot)
            use_new(snapshot)

        results.append(succeeded(in_child(misuse)))

    with snapshot.instantiate({"observe": observe}) as sandbox:
        for number in range(3):
            assert sandbox.exports.count() == number + 1
        assert sandbox.exports.load(0) == 42
    assert results == [True] * 3


@contextmanager
def busy(works: list[Callable[[], object]]) -> Iterator[list[BaseException]]:
    """Threads that do these again and again."""
    stop, failures = threading.Event(), list[BaseException]()

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_forks_while_other_threads_use_everything(
    component: hlwasm.Component, snapshot: hlwasm.Snapshot
) -> None:
    used = snapshot.instantiate(IMPORTS)
    numbers = iter(range(1 << 30))

    def restore() -> None:
        assert used.exports.load(0) == 42
        # Other pages each time: what they held is looked up under a lock.
        used.exports.store(4 * (next(numbers) * 1024 % 16000 + 1), 7)
        with pytest.raises(hlwasm.Trap):
            used.exports.trap()
        used.restore(snapshot)

    short = hlwasm.Limits(deadline=0.03)
    with component.instantiate(IMPORTS, limits=short) as first:
        spinning = first.snapshot()

    def spin() -> None:
        with spinning.instantiate(IMPORTS) as sandbox, pytest.raises(hlwasm.DeadlineExceeded):
            sandbox.exports.spin()

    def use_and_spin() -> None:
        use_new(snapshot, 1)
        spin()

    def learn() -> None:
        with component.instantiate(IMPORTS) as sandbox:
            own = sandbox.snapshot()
        use(own)

    def use(own: hlwasm.Snapshot) -> None:
        with own.instantiate(IMPORTS) as sandbox:
            assert sandbox.exports.count() == 1
            sandbox.restore(own)

    with used, busy([restore, spin, learn, lambda: use_new(snapshot)]) as failures:
        for number in range(FORKS):
            child = in_child(use_and_spin)
            assert succeeded(child), f"fork {number}"
            time.sleep(0.001)
    assert failures == []


_shared: Any = None


def _in_worker(number: int) -> int:
    with _shared.instantiate(IMPORTS) as sandbox:
        sandbox.exports.store(4, number)
        result: int = sandbox.exports.load(4) + sandbox.exports.load(0)
        return result


def test_a_pool_of_processes(snapshot: hlwasm.Snapshot) -> None:
    global _shared
    _shared = snapshot
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(_in_worker, range(20)).get(timeout=60)
    assert results == [42 + number for number in range(20)]


def test_asyncio_in_parent_and_child(snapshot: hlwasm.Snapshot) -> None:
    async def several() -> None:
        async def one(number: int) -> None:
            async with snapshot.instantiate_async(IMPORTS) as sandbox:
                await sandbox.exports.store(4, number)
                assert await sandbox.exports.load(4) == number

        await asyncio.gather(*map(one, range(8)))

    asyncio.run(several())
    assert succeeded(in_child(lambda: asyncio.run(several())))
    asyncio.run(several())
