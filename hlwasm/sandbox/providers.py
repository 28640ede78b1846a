"""Sources of interfaces that serve imports which the user did not give; WASI is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hlwasm.sandbox.captured import Captured
    from hlwasm.sandbox.meter import CallMeter


class Suspended(BaseException):
    """Raised by a provider's host function instead of waiting: it did nothing yet, and is to
    be called again, with the same arguments, when ``until()`` has been awaited.

    No Exception: it is for the call loop alone.
    """

    def __init__(self, until: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.until = until


class Provider(Protocol):
    """A source of interfaces, such as WASI.

    Attributes:
        suspends: set while a host function runs that may raise :class:`Suspended`.
    """

    suspends: bool

    def restartable(self, interface: str, function: str) -> bool:
        """Whether the host function of these WIT names does nothing before it waits."""

    def provides(self, name: str) -> bool:
        """Whether it has the interface of this WIT name, with all functions."""

    def interface(self, name: str) -> Any:
        """The implementation of an interface that it provides."""

    def count_output(self, meter: CallMeter) -> None:
        """Has the meter allow each byte that the guest writes; called once, before it runs."""

    def interrupt(self, error: BaseException) -> None:
        """Raises ``error`` in a host function that waits; called from any thread."""

    def clear_interrupt(self) -> None:
        """Forgets an interrupt that found no host function waiting."""

    def repeatable(self, interface: str, function: str) -> bool:
        """Whether a call is the same in any process in which :meth:`repeatable_answers` are."""

    def repeatable_answers(self) -> object:
        """All that repeatable functions can answer, as plain data to compare or hash."""

    def capture(self) -> Any:
        """Its state for a snapshot, immutable and picklable. Nothing runs meanwhile.

        Raises:
            SnapshotError: it cannot be captured now.
        """

    def restore(self, state: Any) -> None:
        """Goes back to a state that this provider, or one of the same kind, captured.

        Raises:
            SnapshotError: the state does not fit this provider.
        """

    def capture_resource(self, value: object) -> Captured | None:
        """How to make a host resource again; None where it is none of this provider's.

        Raises:
            SnapshotError: it is, and cannot be captured.
        """

    def restore_resource(self, token: Any) -> object:
        """Makes what :meth:`capture_resource` captured, here or in a provider of the same kind."""

    def close(self) -> None:
        """The sandbox is closed."""
