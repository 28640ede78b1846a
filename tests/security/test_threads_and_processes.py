"""Sandboxes that are watched, cancelled, forgotten and forked at bad moments."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import hlwasm
from tests.machines import machines

pytestmark = pytest.mark.hypervisor

ADD = b"""(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "spin") (loop $again (br $again))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add")))
  (func (export "spin") (canon lift (core func $i "spin"))))"""


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(ADD, cache=False)


@contextmanager
def _meanwhile(work: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Does something again and again in another thread; collects what it raises."""
    stop, failures = threading.Event(), list[BaseException]()

    def repeat() -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join()


def test_looking_at_counters_disturbs_no_call(component: hlwasm.Component) -> None:
    with component.instantiate() as sandbox:
        before = sandbox.counters().exits
        with _meanwhile(sandbox.counters) as failures:
            for number in range(3000):
                assert sandbox.exports.add(number, 1) == number + 1
        assert sandbox.counters().exits >= before + 3000
    assert failures == []


def test_counters_of_a_sandbox_that_is_running(component: hlwasm.Component) -> None:
    with component.instantiate() as sandbox:
        booted = sandbox.counters().exits

        def spin() -> None:
            with pytest.raises(hlwasm.Cancelled):
                sandbox.exports.spin()

        with _meanwhile_once(spin):
            time.sleep(0.05)
            assert sandbox.status is hlwasm.Status.RUNNING
            assert sandbox.counters().exits >= booted
            sandbox.cancel()


@contextmanager
def _meanwhile_once(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_cancelling_while_it_is_closed(component: hlwasm.Component) -> None:
    for _ in range(30):
        sandbox = component.instantiate()
        with _meanwhile(sandbox.cancel) as failures:
            sandbox.close()
        assert failures == []


@pytest.mark.parametrize("where", ["here", "in another thread"])
def test_a_forgotten_sandbox_is_freed(component: hlwasm.Component, where: str) -> None:
    before = machines()

    def use() -> None:
        sandbox = component.instantiate()
        assert sandbox.exports.add(1, 2) == 3

    if where == "here":
        use()
    else:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    gc.collect()
    assert machines() == before


def test_a_fork_has_no_part_in_the_parent_s_sandbox(component: hlwasm.Component) -> None:
    with component.instantiate() as sandbox:
        assert sandbox.exports.add(1, 2) == 3
        child = os.fork()
        if child == 0:
            # No pytest in the child, whatever happens.
            try:
                with component.instantiate() as own:
                    fine = own.exports.add(2, 2) == 4
                try:
                    sandbox.exports.add(3, 4)
                except hlwasm.HlwasmError:
                    sandbox.close()
                    os._exit(0 if fine else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sandbox.exports.add(20, 22) == 42
