"""Who may use a sandbox, and when."""

from __future__ import annotations

import sys
import threading

import pytest

from hlwasm.errors import ReentrantCall, SandboxBusy, SandboxClosed, SandboxPoisoned
from hlwasm.sandbox.state import Guard, Status
from tests.interrupts import interrupted_at_any_moment


def test_a_ready_sandbox_lets_one_call_in() -> None:
    guard = Guard()
    guard.begin()
    assert guard.current() is Status.RUNNING
    guard.end()
    assert guard.current() is Status.READY


def test_another_thread_gets_busy() -> None:
    guard = Guard()
    guard.begin()
    caught: list[BaseException] = []

    def other() -> None:
        try:
            guard.begin()
        except SandboxBusy as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(caught) == 1
    with pytest.raises(SandboxBusy):
        guard.close()
    guard.end()
    guard.begin()


def test_a_host_function_gets_reentrant() -> None:
    guard = Guard()
    guard.begin()
    guard.host_caller = threading.get_ident()
    with pytest.raises(ReentrantCall):
        guard.begin()
    with pytest.raises(ReentrantCall):
        guard.close()


def test_poison_says_why_and_stays() -> None:
    guard = Guard()
    guard.begin()
    guard.poison("trap: unreachable")
    guard.end()
    for _ in range(2):
        with pytest.raises(SandboxPoisoned, match="trap: unreachable"):
            guard.begin()
    assert guard.current() is Status.POISONED


def test_close_is_final_and_idempotent() -> None:
    guard = Guard()
    assert guard.close()
    assert not guard.close()
    guard.poison("too late")
    assert guard.current() is Status.CLOSED
    with pytest.raises(SandboxClosed):
        guard.begin()


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="3.10 runs signal handlers between a call and a try"
)
def test_an_interrupt_at_any_moment_leaves_nobody_inside() -> None:
    guard = Guard()

    def call() -> None:
        guard.begin()
        try:
            pass
        finally:
            guard.end()

    def check() -> None:
        assert guard.current() is Status.READY

    interrupted_at_any_moment(call, check)
    assert guard.close()
