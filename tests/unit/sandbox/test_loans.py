"""Loans of memory: who ends them, and who is told that they cannot be ended."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from hlwasm.errors import SandboxBusy, SandboxClosed, SandboxPoisoned, SandboxStateError, ViewInUse
from hlwasm.sandbox.loans import Loan
from hlwasm.sandbox.state import Guard, Status


class Memory(bytearray):
    """A buffer that can be referred to weakly."""


@pytest.fixture
def guard() -> Guard:
    return Guard()


def lent(guard: Guard) -> tuple[Loan, memoryview]:
    """A call that lends its result."""
    guard.begin()
    loan = Loan(Memory(range(200)), guard)
    guard.lend(loan)
    view = loan.view(loan.memory[8:24], "d")
    guard.end()
    return loan, view


def released(view: memoryview) -> bool:
    try:
        len(view)
    except ValueError:
        return True
    return False


def test_the_next_to_enter_ends_it(guard: Guard) -> None:
    loan, view = lent(guard)
    assert (view.format, len(view), view.readonly) == ("d", 2, True)
    assert guard.current() is Status.READY
    guard.begin()
    assert released(view)
    assert released(loan.memory)
    assert guard.current() is Status.RUNNING
    guard.end()
    # What was ended once is not ended again, though another one began.
    _, second = lent(guard)
    loan.end()
    assert not released(second)


def test_its_owner_ends_it(guard: Guard) -> None:
    loan, view = lent(guard)
    loan.end()
    assert released(view)
    assert guard.ready
    loan.end()


def test_looking_does_not_end_it_unless_asked_to(guard: Guard) -> None:
    _, view = lent(guard)
    guard.begin_look()
    guard.end()
    assert not released(view)
    guard.begin_look(end_loan=True)
    guard.end()
    assert released(view)
    assert guard.ready


@pytest.mark.parametrize(
    "enter", [Guard.begin, lambda guard: guard.begin_look(end_loan=True)], ids=["call", "restore"]
)
@pytest.mark.parametrize(
    "use", [np.asarray, lambda view: view[:1], memoryview], ids=["array", "slice", "view"]
)
def test_what_uses_it_is_in_the_way(guard: Guard, enter: Any, use: Any) -> None:
    loan, view = lent(guard)
    user = use(view)
    for _ in range(2):
        with pytest.raises(ViewInUse) as caught:
            enter(guard)
        assert isinstance(caught.value, (BufferError, SandboxStateError))
        # Nobody is inside, and the sandbox is as it was.
        assert guard.current() is Status.READY
    with pytest.raises(ViewInUse):
        loan.end()
    assert len(user) >= 1
    del user, caught
    enter(guard)
    guard.end()
    assert guard.ready


def test_an_owner_that_comes_while_another_is_inside(guard: Guard) -> None:
    loan, view = lent(guard)
    guard.begin_look()
    # Whoever is inside would end it, if it had to be.
    loan.end()
    assert not released(view)
    guard.end()
    loan.end()
    assert released(view)


def test_a_poisoned_guard_stays_poisoned(guard: Guard) -> None:
    loan, view = lent(guard)
    guard.begin_look()
    guard.poison("a trap")
    guard.end()
    array = np.asarray(view)
    with pytest.raises(SandboxPoisoned):
        guard.begin()
    # To restore it, the memory has to be free.
    with pytest.raises(ViewInUse):
        guard.begin_look(end_loan=True)
    del array
    guard.begin_look(end_loan=True)
    guard.end()
    loan.end()
    assert guard.status is Status.POISONED
    assert not guard.ready


def test_closing_ends_nothing_by_itself(guard: Guard) -> None:
    loan, view = lent(guard)
    array = np.asarray(view)
    assert guard.close()
    with pytest.raises(SandboxClosed):
        guard.begin()
    assert not loan.release()
    assert released(view)
    del array
    assert loan.release()


def test_a_busy_guard_is_busy(guard: Guard) -> None:
    guard.begin()
    guard.lend(Loan(Memory(8), guard))
    with pytest.raises(SandboxBusy):
        guard.begin()


def test_the_buffer_lives_as_long_as_its_views(guard: Guard) -> None:
    memory = Memory(100)
    there = weakref.ref(memory)
    loan = Loan(memory, guard)
    del memory
    view = loan.view(loan.memory[:8], "B")
    part = view[2:4]
    loan.release()
    gc.collect()
    assert there() is not None
    part.release()
    assert there() is None
