"""Guest resources whose Python objects are garbage: on any thread, at any time."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start
from tests.integration.resources_host import Blob, Store

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


class Asking(Store):
    """A host that does something of the test's when it is asked for a total."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Callable[[], object] = lambda: None

    def total(self, seen: Any) -> int:
        self.work()
        return 3


@pytest.fixture
def store() -> Asking:
    return Asking()


@pytest.fixture
def sandbox(start: Start, store: Asking) -> hlwasm.Sandbox:
    return start("resources", {"store": store})


@contextmanager
def collected_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_thread(work: Callable[[], object]) -> None:
    """Does it in another thread, to its end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def cycle(value: object) -> None:
    """Garbage that only the collector finds."""
    knot: list[Any] = [value]
    knot.append(knot)


def test_the_collector_may_run_in_any_thread(sandbox: hlwasm.Sandbox) -> None:
    counters = sandbox.exports.counters
    with collected_by_hand():
        for start in range(5):
            cycle(counters.Counter(start))
        assert counters.destroyed() == (0, 0)
        in_thread(gc.collect)
        assert counters.destroyed() == (5, 10)


def test_the_collector_may_run_during_a_call(sandbox: hlwasm.Sandbox, store: Asking) -> None:
    counters, client = sandbox.exports.counters, sandbox.exports.client
    with collected_by_hand():
        held = [counters.Counter(1)]
        cycle(counters.Counter(10))

        def work() -> None:
            held.clear()
            gc.collect()
            in_thread(gc.collect)

        store.work = work
        assert client.total(client.Seen.Nothing()) == 3
        assert counters.destroyed() == (2, 11)


def test_dropping_during_a_call_waits_for_its_end(sandbox: hlwasm.Sandbox, store: Asking) -> None:
    counters, client = sandbox.exports.counters, sandbox.exports.client
    one, two = counters.Counter(1), counters.Counter(2)

    def work() -> None:
        one.drop()
        in_thread(two.drop)
        with pytest.raises(hlwasm.ReentrantCall):
            counters.destroyed()

    store.work = work
    assert client.total(client.Seen.Nothing()) == 3
    assert counters.destroyed() == (2, 3)


def test_a_thousand_objects_dropped_by_threads_that_also_call(sandbox: hlwasm.Sandbox) -> None:
    counters = sandbox.exports.counters
    made = [counters.Counter(1) for _ in range(1000)]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not made:
                    return
                counter = made.pop()
            del counter
            with suppress(hlwasm.SandboxBusy):
                counters.destroyed()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.destroyed() == (1000, 1000)


def test_in_the_finaliser_of_another_object(sandbox: hlwasm.Sandbox) -> None:
    counters = sandbox.exports.counters
    seen: list[object] = []

    class Owner:
        def __init__(self) -> None:
            self.counter = counters.Counter(4)

        def __del__(self) -> None:
            # The collector decides which of the two goes first.
            try:
                seen.append(self.counter.value())
            except hlwasm.WitValueError as error:
                seen.append(str(error))
            self.counter.drop()

    with collected_by_hand():
        owner = Owner()
        del owner
        assert seen == [4]
        assert counters.destroyed() == (1, 4)
        cycle(Owner())
        gc.collect()
        assert seen[1] == 4 or "or was garbage" in str(seen[1])
        assert counters.destroyed() == (2, 8)


def test_after_close_and_after_restore(sandbox: hlwasm.Sandbox) -> None:
    counters = sandbox.exports.counters
    snapshot = sandbox.snapshot()
    with collected_by_hand():
        cycle(counters.Counter(1))
        sandbox.restore(snapshot)
        cycle(counters.Counter(2))
        gc.collect()
        assert counters.destroyed() == (1, 2)
        cycle(counters.Counter(3))
        sandbox.close()
        gc.collect()
        in_thread(gc.collect)


def test_in_a_forked_child_they_do_nothing(sandbox: hlwasm.Sandbox) -> None:
    counters = sandbox.exports.counters
    made = [counters.Counter(1), counters.Counter(2)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            counter = made.pop()
            made.clear()
            gc.collect()
            with pytest.raises(hlwasm.NativeError, match="the process that this one was forked"):
                counter.drop()
            del counter
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [counter.value() for counter in made] == [1, 2]
    made.clear()
    assert counters.destroyed() == (2, 3)


AT_EXIT = """
import hlwasm
from tests.integration.resources_host import Blob, Store

cache = hlwasm.Cache({cache!r})
sandbox = hlwasm.load({component!r}, cache=cache).instantiate({{"store": Store()}})
counters = sandbox.exports.counters
kept = [counters.Counter(1)]
knot = [counters.Counter(2)]
knot.append(knot)
sandbox.exports.client.keep(Blob("kept"))

class Late:
    counter = counters.Counter(3)

    def __del__(self, counter=counter, print=print):
        try:
            counter.drop()
        except Exception as error:
            print(error)
        print("late")

late = Late()
print("end")
"""


def test_at_the_end_of_the_interpreter(component_path: Callable[[str], Path]) -> None:
    component = component_path("resources")
    code = AT_EXIT.format(component=str(component), cache=str(component.parent / "artifacts"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["end", "late"]


def test_a_blob_that_is_garbage_in_python_lives_on_in_the_component(
    sandbox: hlwasm.Sandbox,
) -> None:
    client = sandbox.exports.client
    client.keep(Blob("only there", b"123"))
    gc.collect()
    assert client.release().data == b"123"
