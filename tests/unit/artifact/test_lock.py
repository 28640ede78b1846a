"""The lock of a key among real processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from hlwasm.artifact.lock import key_lock

# Not fork: the test process may have threads.
_processes = multiprocessing.get_context("spawn")


def _nothing() -> None:
    pass


def _count(lock: Path, counter: Path, times: int) -> None:
    for _ in range(times):
        with key_lock(lock, 60, _nothing) as held:
            assert held
            value = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(value + 1))


def _hold(lock: Path, holding: Event) -> None:
    with key_lock(lock, 10, _nothing):
        holding.set()
        time.sleep(600)


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    lock, counter = tmp_path / "lock", tmp_path / "counter"
    counter.write_text("0")
    workers = [_processes.Process(target=_count, args=(lock, counter, 10)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert counter.read_text() == "40"
    assert not lock.exists()


def test_a_killed_holder_does_not_block(tmp_path: Path) -> None:
    lock, holding = tmp_path / "lock", _processes.Event()
    holder = _processes.Process(target=_hold, args=(lock, holding))
    holder.start()
    assert holding.wait(60)
    waited = []

    def kill_holder() -> None:
        waited.append(1)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)

    with key_lock(lock, 60, kill_holder) as held:
        assert held
    assert waited
    holder.join()


def test_a_lock_that_is_never_freed_is_given_up(tmp_path: Path) -> None:
    lock, holding = tmp_path / "lock", _processes.Event()
    holder = _processes.Process(target=_hold, args=(lock, holding))
    holder.start()
    try:
        assert holding.wait(60)
        ticks: list[float] = []
        began = time.monotonic()
        with key_lock(lock, 0.3, lambda: ticks.append(time.monotonic())) as held:
            assert not held
        assert 0.3 <= time.monotonic() - began < 5
        assert len(ticks) >= 2
    finally:
        holder.kill()
        holder.join()


def test_without_a_place_for_locks_work_goes_on(tmp_path: Path) -> None:
    with key_lock(tmp_path / "missing" / "lock", 10, _nothing) as held:
        assert not held


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with key_lock(lock, 10, _nothing):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with key_lock(lock, 0, _nothing) as held:
            assert held
    finally:
        child.kill()
        child.wait()
