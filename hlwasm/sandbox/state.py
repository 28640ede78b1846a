"""The states of a sandbox, and who may use it now.

::

    READY ── call ──► RUNNING ── done ──► READY
      │                  │ trap, fault, deadline, host failure, interrupt
      │                  ▼
      │              POISONED ── restore ──► READY
      └─────── close ──► CLOSED
"""

from __future__ import annotations

# Not by way of threading, which is slower to import than this is to use.
from _thread import get_ident
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from hlwasm.errors import ReentrantCall, SandboxBusy, SandboxClosed, SandboxPoisoned

if TYPE_CHECKING:
    from hlwasm.sandbox.loans import Loan


class Status(Enum):
    """What a sandbox can do now."""

    READY = "ready"
    RUNNING = "running"
    POISONED = "poisoned"
    CLOSED = "closed"


# Looking up a member of an enumeration would be a third of `begin_look`.
_CLOSED = Status.CLOSED


class Guard:
    """Lets one call at a time into a sandbox that is ready.

    ``begin`` and ``end`` are on the path of every call, so they are one operation on a
    dictionary and one comparison; everything else is worked out only when a call is
    refused. The dictionary is a lock that tells who holds it: a signal handler may raise
    right behind the operation, before its result is seen (KeyboardInterrupt does), and
    the sandbox must not stay occupied then.

    Views of a result make a guard not ready, so that the next to enter ends them first; they cost
    calls nothing.

    Args:
        caller: identifies who calls now, by default its thread.
        callers: what callers are, in the singular, for messages.
    """

    __slots__ = (
        "_caller", "_callers", "_enter", "_holder",
        "end", "host_caller", "loan", "ready", "reason", "status",
    )  # fmt: skip

    def __init__(self, caller: Callable[[], object] = get_ident, callers: str = "thread") -> None:
        self._caller = caller
        self._callers = callers
        self._holder: dict[None, object] = {}
        self._enter = self._holder.setdefault
        self.end = self._holder.clear
        self.ready = True
        self.status = Status.READY
        self.reason: str | None = None
        # Who runs a host function of this sandbox, while it does.
        self.host_caller: object = None
        # Views of the last result, which end before the sandbox is used again.
        self.loan: Loan | None = None

    def begin(self) -> None:
        """Enters; every ``begin`` that returns is followed by one ``end``.

        Raises:
            SandboxBusy, ReentrantCall, SandboxPoisoned, SandboxClosed, ViewInUse: see there.
        """
        caller = object()
        try:
            if self._enter(None, caller) is caller:
                if self.ready:
                    return
                if self.loan is not None and self.status is Status.READY:
                    self._collect_loan(self.loan)
                    return
                self.end()
        except BaseException:
            self._leave(caller)
            raise
        self.refuse()

    def begin_look(self, end_loan: bool = False) -> None:
        """Enters also where the sandbox is poisoned: to look at it, or to restore it.

        Args:
            end_loan: end views of a result, because the memory will change.

        Raises:
            SandboxBusy, ReentrantCall, SandboxClosed, ViewInUse: see there.
        """
        caller = object()
        try:
            if self._enter(None, caller) is caller:
                if self.status is not _CLOSED:
                    if end_loan and self.loan is not None:
                        self._collect_loan(self.loan)
                    return
                self.end()
        except BaseException:
            self._leave(caller)
            raise
        self.refuse()

    def _leave(self, caller: object) -> None:
        if self._holder.get(None) is caller:
            self.end()

    def refuse(self) -> NoReturn:
        """Raises why a call cannot be made now."""
        if self.status is Status.CLOSED:
            raise SandboxClosed("the sandbox is closed; instantiate a new one")
        if self.status is Status.POISONED:
            raise SandboxPoisoned(
                f"the sandbox is poisoned: {self.reason}; restore it to a snapshot, or close it"
            )
        if self.host_caller is not None and self.host_caller == self._caller():
            raise ReentrantCall(
                "a host function cannot call the sandbox that is calling it; "
                "return first, or use a second sandbox"
            )
        raise SandboxBusy(
            f"the sandbox is running in another {self._callers}; "
            f"use one sandbox per {self._callers}, or a lock"
        )

    def lend(self, loan: Loan) -> None:
        """There are views of a result from now on. Called by the holder."""
        self.loan = loan
        self.ready = False

    def end_loan(self, loan: Loan) -> None:
        """Ends views of a result, unless a later use of the sandbox has done so or is about to.

        Raises:
            ViewInUse: something made of them is alive.
        """
        caller = object()
        try:
            if self._enter(None, caller) is caller and self.loan is loan:
                self._collect_loan(loan)
        finally:
            self._leave(caller)

    def _collect_loan(self, loan: Loan) -> None:
        loan.collect()
        self.loan = None
        self.ready = self.status is Status.READY

    def heal(self) -> None:
        """The sandbox was restored. Called by the holder."""
        self.ready = True
        self.status = Status.READY
        self.reason = None

    def poison(self, reason: str) -> None:
        """The guest did not run to its end. Called by the holder; the first reason counts."""
        if self.status is Status.READY:
            self.ready = False
            self.status = Status.POISONED
            self.reason = reason

    def close(self, free: Callable[[], object] | None = None) -> bool:
        """Closes unless a call is running; False where it was closed before.

        Args:
            free: called with the sandbox held, also where it was closed before, but by one
                caller at a time; others do not wait for it.

        Raises:
            SandboxBusy, ReentrantCall: a call is running.
        """
        caller = object()
        try:
            if self._enter(None, caller) is not caller:
                if self.status is Status.CLOSED:
                    return False
                self.refuse()
            first = self.status is not Status.CLOSED
            self.ready = False
            self.status = Status.CLOSED
            if free is not None:
                free()
            return first
        finally:
            self._leave(caller)

    def current(self) -> Status:
        """The status as seen from outside."""
        if self.ready and self._holder:
            return Status.RUNNING
        return self.status
