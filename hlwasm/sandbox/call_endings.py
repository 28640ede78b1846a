"""How a command ended that did not end well, as an exception."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from hlwasm.errors import (
    Cancelled,
    CpuTimeExceeded,
    DeadlineExceeded,
    GuestFault,
    HlwasmError,
    TransferLimitExceeded,
    Trap,
    TrapCode,
)
from hlwasm.native import _abi
from hlwasm.native.reports import LIMIT_NAMES, TRAP_CODES, parse_report
from hlwasm.native.status import exception_of
from hlwasm.sandbox.limits import guest_limit
from hlwasm.sandbox.meter import fuel_exhausted

if TYPE_CHECKING:
    from hlwasm.native.handles import NativeSandbox
    from hlwasm.sandbox.limits import Limits

# Codes of an interrupted run; see hlwasm.h.
_DEADLINE, _CPU_TIME = 2, 3

_WORD = Struct("<I")


def interruption(code: int, limits: Limits) -> HlwasmError:
    """The exception for a run that was ended from outside, by the exit's code."""
    if code == _DEADLINE:
        return deadline_exceeded(limits.deadline)
    if code == _CPU_TIME:
        return CpuTimeExceeded(
            f"the call used more than {limits.cpu_time} s of CPU time: "
            "raise Limits(cpu_time=…) if it may",
            "cpu_time",
            limits.cpu_time,
        )
    return Cancelled("the call was cancelled")


def failure(
    native: NativeSandbox, kind: int, limits: Limits, transfer_memories: tuple[memoryview, ...]
) -> BaseException:
    """The exception for an exit that ends the command.

    Args:
        native: the sandbox, whose last exit it is.
        kind: the exit's kind, or a negative status.
        limits: the sandbox's.
        transfer_memories: its transfer memories; the last is the exports'.
    """
    if kind < 0:
        return exception_of(native.ffi, native.lib, kind)
    message, frames = parse_report(native.text())
    if kind == native.lib.HLW_EXIT_PANIC:
        return GuestFault(f"the guest runtime panicked: {message}")
    if kind != native.lib.HLW_EXIT_FAILED:
        return GuestFault(message or f"unexpected exit {kind}")
    status = native.exit.code
    if status == _abi.STATUS_LIMIT:
        return guest_limit(message, LIMIT_NAMES.get(native.exit.value0, ""), limits)
    if status == _abi.STATUS_TRAP:
        if native.exit.value0 == _abi.TRAP_OUT_OF_FUEL and limits.fuel is not None:
            return fuel_exhausted(limits.fuel, frames)
        wanted = _overflow(transfer_memories)
        if wanted:
            return _transfer_overflow(wanted, len(transfer_memories[-1]))
        return Trap(message, TRAP_CODES.get(native.exit.value0, TrapCode.OTHER), frames)
    return GuestFault(message or f"the guest reported status {status}")


def _overflow(transfer_memories: tuple[memoryview, ...]) -> int:
    """Bytes that a bridge wanted and its transfer memory does not have, or 0."""
    words = [
        _WORD.unpack_from(memory, _abi.TRANSFER_OVERFLOW)[0]
        for memory in transfer_memories
        if memory
    ]
    return max(words, default=0)


def _transfer_overflow(wanted: int, limit: int) -> TransferLimitExceeded:
    return TransferLimitExceeded(
        f"the values of one call need {wanted} bytes, and the transfer memory has {limit}: "
        f"pass transfer_memory={1 << (wanted - 1).bit_length()} to hlwasm.load",
        "transfer_memory",
        limit,
    )


def deadline_exceeded(deadline: float | None) -> DeadlineExceeded:
    """The exception for a call that took too long."""
    return DeadlineExceeded(
        f"the call took longer than {deadline} s: raise Limits(deadline=…) if it may",
        "deadline",
        deadline,
    )


def summary(error: BaseException) -> str:
    """Why a sandbox is poisoned by an exception, in one line."""
    if isinstance(error, Trap):
        return f"trap: {error.message}"
    kind = type(error).__name__
    try:
        first = str(error).partition("\n")[0]
    except Exception:  # a host function's own exception class must not keep us from poisoning
        first = ""
    if isinstance(error, HlwasmError):
        return first or kind
    return f"{kind}: {first}" if first else kind
