"""What one call has used of its limits, counted by the host.

A call that makes no host call is not counted at all: the meter starts anew when the guest
is left for the first time, and until then it can have used nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable

from hlwasm.errors import (
    Frame,
    FuelExhausted,
    HostCallBytesExceeded,
    HostCallLimitExceeded,
    OutputLimitExceeded,
)
from hlwasm.native import _abi
from hlwasm.native.handles import NativeSandbox
from hlwasm.sandbox.limits import Limits

# More than a call can use of anything.
_UNLIMITED = 1 << 62


def _left(limit: int | None) -> int:
    return _UNLIMITED if limit is None else limit


class CallMeter:
    """Counts host calls, their bytes, and output.

    Attributes:
        host_calls_left: the call loop takes one for each; below 0 there was one too many.
        count_bytes: takes bytes that a host call carries, raises HostCallBytesExceeded where
            they are too many; None where there is no such limit.
    """

    __slots__ = (
        "_bytes_left", "_captured_left", "_limits", "_output_left", "count_bytes",
        "host_calls_left",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.count_bytes: Callable[[int], None] | None = None
        if limits.host_call_bytes is not None:
            self.count_bytes = self._count_bytes
        self.begin()

    def begin(self) -> None:
        """Another call begins."""
        limits = self._limits
        self.host_calls_left = _left(limits.host_calls)
        self._bytes_left = _left(limits.host_call_bytes)
        self._output_left = _left(limits.output)
        self._captured_left = _left(limits.captured_output)

    def mark(self) -> tuple[int, int]:
        """What is left for host calls now, for :meth:`take_back`."""
        return self.host_calls_left, self._bytes_left

    def take_back(self, mark: tuple[int, int]) -> None:
        """The host call that began at the mark will be served again, from its start."""
        self.host_calls_left, self._bytes_left = mark

    def host_calls_exceeded(self) -> HostCallLimitExceeded:
        """The exception for a host call too many."""
        limit = self._limits.host_calls
        return HostCallLimitExceeded(
            f"the call made more than {limit} host calls: raise Limits(host_calls=…) if it may",
            "host_calls",
            limit,
        )

    def _count_bytes(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            limit = self._limits.host_call_bytes
            raise HostCallBytesExceeded(
                f"the host calls of one call carried more than {limit} bytes: "
                "raise Limits(host_call_bytes=…) if they may",
                "host_call_bytes",
                limit,
            )

    def take_output(self, size: int, captured: bool) -> int:
        """Takes bytes that are to be written; returns how many of them may be.

        Args:
            size: how many.
            captured: whether they are for a log or for memory.
        """
        allowed = min(size, self._output_left)
        if captured:
            allowed = min(allowed, self._captured_left)
            self._captured_left -= allowed
        self._output_left -= allowed
        return allowed

    def output_exceeded(self) -> OutputLimitExceeded:
        """The exception where :meth:`take_output` allowed less than was asked for."""
        name, where = "output", "standard output and error"
        if self._output_left:
            name, where = "captured_output", "logs, callables and files in memory"
        limit = getattr(self._limits, name)
        return OutputLimitExceeded(
            f"the call wrote more than {limit} bytes to {where}: raise Limits({name}=…) if it may",
            name,
            limit,
        )

    def count_log(self, size: int) -> None:
        """Counts a log line of the guest runtime.

        Raises:
            OutputLimitExceeded: it is too much.
        """
        if self.take_output(size, captured=True) < size:
            raise self.output_exceeded()


class FuelMeter:
    """Makes calls with fuel, in a sandbox whose artifact counts it.

    Args:
        native: the sandbox.
        limits: its limits; without one of fuel, it is only counted.
    """

    __slots__ = ("_budget", "_command", "_native", "_words")

    def __init__(self, native: NativeSandbox, limits: Limits) -> None:
        self._native = native
        self._command = native.lib.hlw_command
        self._budget = _abi.FUEL_UNLIMITED if limits.fuel is None else limits.fuel
        self._words = native.ffi.new("uint64_t[2]", [0, self._budget])

    @property
    def budget(self) -> int:
        """Fuel of each call; as good as endless where there is no limit."""
        return self._budget

    def call(self, pointer: object, index: int) -> int:
        """Like ``hlw_call``."""
        words = self._words
        words[0] = index
        kind: int = self._command(pointer, _abi.COMMAND_CALL_WITH_FUEL, words, 2)
        return kind

    def used(self) -> int | None:
        """Fuel that the last command used; None where it did not run to an end of its own."""
        left = self._native.fuel_left()
        # The guest says what is left, and an escaped component may say anything.
        return None if left is None else self._budget - min(left, self._budget)


def fuel_exhausted(limit: int, frames: tuple[Frame, ...]) -> FuelExhausted:
    """The exception for a call whose fuel is used up; ``frames`` say where."""
    return FuelExhausted(
        f"the call used up its {limit} units of fuel: raise Limits(fuel=…) if it may use more",
        "fuel",
        limit,
        frames,
    )
