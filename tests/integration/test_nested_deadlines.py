"""Calls with deadlines in host functions of calls with deadlines; Ctrl-C and forks meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox import expiry
from hlwasm.sandbox.calls import CallLoop
from tests.integration.test_deadlines import SOON, TEXT

pytestmark = pytest.mark.hypervisor


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


def sleep(value: int) -> int:
    time.sleep(30)
    return value


def short_sleeps(value: int) -> int:
    while True:
        time.sleep(0.01)


def nested(component: hlwasm.Component, outer: float, inner: float) -> list[str | None]:
    """Makes a call in a call, both of which last too long; the poison reasons of both."""
    limits = [hlwasm.Limits(deadline=seconds) for seconds in (outer, inner)]
    # What blocks outside of Python is ended in the main thread only.
    main = threading.current_thread() is threading.main_thread()
    work = sleep if main else short_sleeps
    with (
        component.instantiate({"work": work}, limits=limits[1]) as second,
        component.instantiate({"work": second.exports.call}, limits=limits[0]) as first,
    ):
        started = time.monotonic()
        with pytest.raises(hlwasm.DeadlineExceeded) as caught:
            first.exports.call(1)
        assert time.monotonic() - started < SOON
        assert caught.value.value == min(outer, inner)
        return [first.poison_reason, second.poison_reason]


def check(component: hlwasm.Component) -> None:
    first, second = nested(component, 0.2, 100)
    assert first is not None and "longer than 0.2 s" in first
    assert second == "DeadlinePassed: the deadline of the call that this one is part of has passed"
    for reason in nested(component, 100, 0.2):
        assert reason is not None and "longer than 0.2 s" in reason
    assert not expiry._present


def test_in_the_main_thread(component: hlwasm.Component) -> None:
    check(component)


def test_in_another_thread(component: hlwasm.Component) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            check(component)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive() and failures == []


def test_a_host_function_that_makes_another_exception_of_it(component: hlwasm.Component) -> None:
    def work(value: int) -> int:
        try:
            return sleep(value)
        except BaseException:
            raise ValueError("converted") from None

    limits = hlwasm.Limits(deadline=0.1)
    with component.instantiate({"work": work}, limits=limits) as sandbox:
        with pytest.raises(hlwasm.DeadlineExceeded) as caught:
            sandbox.exports.call(1)
        assert isinstance(caught.value.__cause__, ValueError)
        assert "deadline" in (sandbox.poison_reason or "")


def interrupt_at(number: int, codes: set[CodeType], call: Callable[[], object]) -> bool:
    """Makes a call that Ctrl-C ends at an instruction of these functions; whether there is one."""
    passed = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal passed
        if frame.f_code not in codes:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed += 1
            if passed == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.skipif(sys.version_info < (3, 11), reason="traces other instructions")
def test_ctrl_c_at_any_instruction_of_an_attendance(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=30)
    attendance = expiry.Attendance
    codes = {
        attendance.__init__.__code__,
        attendance.enter.__code__,
        expiry._enter.__code__,
        CallLoop._serve_in_time.__code__,
    }
    with component.instantiate({"work": lambda value: value}, limits=limits) as sandbox:
        snapshot = sandbox.snapshot()
        assert sandbox.exports.call(1) == 1
        number = 1
        while interrupt_at(number, codes, lambda: sandbox.exports.call(1)):
            sandbox.restore(snapshot)
            assert sandbox.exports.call(1) == 1
            assert not expiry._present, number
            number += 1
        assert number > 30


FORK = """
import os, signal, threading, time
import hlwasm
from hlwasm.sandbox import expiry
from tests.integration.test_deadlines import TEXT

component = hlwasm.load(TEXT.encode())
limits = hlwasm.Limits(deadline=5)
held = threading.Event()

def hold():
    with expiry._watch_lock:
        held.set()
        time.sleep(2)

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    call = component.instantiate({"work": lambda value: value}, limits=limits).exports.call
    late = component.instantiate(
        {"work": lambda value: time.sleep(20)}, limits=hlwasm.Limits(deadline=0.1)
    )
    try:
        late.exports.call(1)
    except hlwasm.DeadlineExceeded:
        os._exit(call(7))
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_a_fork_while_another_thread_holds_the_lock() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        cwd=Path(__file__).parents[2],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
