"""Waiting: real descriptors, real time, real signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hlwasm.errors import Cancelled, Trap
from hlwasm.wasi import WasiHost
from hlwasm.wasi.polling import Pollable, Timer, Waiter
from tests.interrupts import interrupted

if TYPE_CHECKING:
    from tests.unit.wasi.conftest import Pipe

MakeHost = Callable[..., WasiHost]
MS = 1_000_000


class Stopwatch:
    """Elapsed time, and processor time, which a wait that spins would use up."""

    def __enter__(self) -> Stopwatch:
        self._start = time.monotonic(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.elapsed = time.monotonic() - self._start[0]
        self.busy = time.thread_time() - self._start[1]


def poll(host: WasiHost, *pollables: Pollable) -> list[int]:
    interface = host.interface("wasi:io/poll@0.2.9")
    assert interface is not None
    indices: list[int] = interface.poll(pollables)  # type: ignore[attr-defined]
    return indices


def test_empty_list_traps(make_host: MakeHost) -> None:
    with pytest.raises(Trap, match=r"wasi:io/poll@0\.2\.9#poll: the list of pollables is empty"):
        poll(make_host())


def test_all_that_are_ready_are_answered(make_host: MakeHost, waiter: Waiter) -> None:
    host = make_host()
    later = Timer(waiter, waiter.clock() + 3_600_000 * MS)
    assert poll(host, Pollable(), later, Pollable()) == [0, 2]


@pytest.mark.parametrize("milliseconds", [0.05, 0.7, 1.5, 30])
def test_timer_waits_as_long_as_asked_and_does_not_spin(
    waiter: Waiter, milliseconds: float
) -> None:
    timer = Timer(waiter, waiter.clock() + int(milliseconds * MS))
    with Stopwatch() as watch:
        timer.block()
    assert timer.ready()
    assert milliseconds / 1e3 <= watch.elapsed < milliseconds / 1e3 + 5
    assert watch.busy < 0.02


def test_instant_that_has_passed_is_ready(waiter: Waiter) -> None:
    assert Timer(waiter, 0).ready()
    assert not Timer(waiter, (1 << 64) - 1).ready()


def test_nearest_timer_ends_the_wait(make_host: MakeHost) -> None:
    host = make_host()
    clock = host.waiter.clock()
    timers = [Timer(host.waiter, clock + n * MS) for n in (3_600_000, 10, 7_200_000)]
    assert poll(host, *timers) == [1]


def test_descriptor_ends_a_wait_with_a_timer(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=pipe.reader)
    forever = Timer(host.waiter, (1 << 64) - 1)
    writer = threading.Timer(0.05, pipe.writer.write, [b"x"])
    writer.start()
    with Stopwatch() as watch:
        assert poll(host, forever, host.stdin.subscribe()) == [1]
    writer.join()
    assert 0.04 < watch.elapsed < 10
    assert watch.busy < 0.02


def test_timer_ends_a_wait_for_a_descriptor(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=pipe.reader)
    timer = Timer(host.waiter, host.waiter.clock() + 20 * MS)
    assert poll(host, host.stdin.subscribe(), timer) == [1]


def test_the_same_pollable_twice(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=pipe.reader)
    pipe.writer.write(b"x")
    same = host.stdin.subscribe()
    assert poll(host, same, same) == [0, 1]


def test_control_c_ends_a_wait(waiter: Waiter) -> None:
    timer = Timer(waiter, (1 << 64) - 1)
    with Stopwatch() as watch:
        interrupted(timer.block)
    assert watch.elapsed < 10


def test_interrupt_from_another_thread_ends_a_wait(waiter: Waiter) -> None:
    timer = Timer(waiter, (1 << 64) - 1)
    error = Cancelled("enough")
    sender = threading.Timer(0.05, waiter.interrupt, [error])
    sender.start()
    with Stopwatch() as watch, pytest.raises(Cancelled) as caught:
        timer.block()
    sender.join()
    assert caught.value is error
    assert watch.elapsed < 10


@pytest.mark.parametrize("waited_before", [False, True])
def test_interrupt_before_the_wait_ends_the_next_one_only(
    waiter: Waiter, waited_before: bool
) -> None:
    if waited_before:
        Timer(waiter, waiter.clock() + 2 * MS).block()
    waiter.interrupt(Cancelled("first"))
    waiter.interrupt(Cancelled("second"))
    with pytest.raises(Cancelled, match="second"):
        Timer(waiter, (1 << 64) - 1).block()
    with Stopwatch() as watch:
        Timer(waiter, waiter.clock() + 20 * MS).block()
    assert watch.elapsed >= 0.02
    assert watch.busy < 0.02


def test_interrupt_can_be_taken_back(waiter: Waiter) -> None:
    Timer(waiter, waiter.clock() + 2 * MS).block()
    waiter.interrupt(Cancelled("no"))
    waiter.clear_interrupt()
    with Stopwatch() as watch:
        Timer(waiter, waiter.clock() + 20 * MS).block()
    assert watch.elapsed >= 0.02
    assert watch.busy < 0.02


def test_interrupting_from_many_threads_loses_nothing(waiter: Waiter) -> None:
    caught = 0
    for _ in range(200):
        sender = threading.Thread(target=waiter.interrupt, args=[Cancelled("now")])
        sender.start()
        try:
            Timer(waiter, waiter.clock() + 10_000 * MS).block()
        except Cancelled:
            caught += 1
        sender.join()
    assert caught == 200


def test_interrupt_after_close_is_harmless() -> None:
    waiter = Waiter()
    Timer(waiter, waiter.clock() + 2 * MS).block()
    waiter.close()
    waiter.close()
    waiter.interrupt(Cancelled("late"))


def test_virtual_time_needs_no_real_time(make_host: MakeHost, pipe: Pipe) -> None:
    now = 1_000
    slept: list[int] = []

    def sleep(nanoseconds: int) -> None:
        nonlocal now
        slept.append(nanoseconds)
        now += nanoseconds

    host = make_host(stdin=pipe.reader, monotonic_clock=lambda: now, sleep=sleep)
    hour = Timer(host.waiter, now + 3_600_000 * MS)
    with Stopwatch() as watch:
        assert poll(host, host.stdin.subscribe(), hour) == [1]
    assert slept == [3_600_000 * MS]
    assert watch.elapsed < 1


def test_a_clock_that_stands_still_keeps_the_guest_waiting_until_interrupted() -> None:
    waiter = Waiter(clock=lambda: 5)
    sender = threading.Timer(0.05, waiter.interrupt, [Cancelled("stop")])
    sender.start()
    with Stopwatch() as watch, pytest.raises(Cancelled):
        Timer(waiter, 5 + 2 * MS).block()
    sender.join()
    waiter.close()
    assert watch.busy < 0.04


class Flag(Pollable):
    """A pollable as a user may write one: it knows whether, not when."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def ready(self) -> bool:
        return self.event.is_set()


def test_a_pollable_that_cannot_say_what_it_waits_for(make_host: MakeHost) -> None:
    flag = Flag()
    setter = threading.Timer(0.05, flag.event.set)
    setter.start()
    with Stopwatch() as watch:
        assert poll(make_host(), flag) == [0]
    setter.join()
    assert watch.busy < 0.03

    flag = Flag()
    setter = threading.Timer(0.05, flag.event.set)
    setter.start()
    flag.block()
    setter.join()
    assert flag.ready()

    host = make_host()
    assert poll(host, Flag(), Timer(host.waiter, host.waiter.clock() + 2 * MS)) == [1]


def test_a_foreign_pollable_is_refused(make_host: MakeHost) -> None:
    with pytest.raises(TypeError, match=r"poll: object is not a subclass of hlwasm\.wasi"):
        poll(make_host(), object())  # type: ignore[arg-type]


def test_interrupt_through_the_host(make_host: MakeHost) -> None:
    host = make_host()
    host.interrupt(Cancelled("no"))
    host.clear_interrupt()
    Timer(host.waiter, host.waiter.clock() + 2 * MS).block()
    host.interrupt(Cancelled("yes"))
    with pytest.raises(Cancelled, match="yes"):
        Timer(host.waiter, (1 << 64) - 1).block()
