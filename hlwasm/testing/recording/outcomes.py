"""Exceptions in recordings: what is kept of one, and how a replay raises it again."""

from __future__ import annotations

from typing import Any

from hlwasm.errors import LimitExceeded, ProgramExit, Trap, TrapCode
from hlwasm.frozen import Frozen

# Longer messages are cut; they are for readers.
_LONGEST = 1000

# What ends a call wherever it may be then.
_OUTSIDE = frozenset({
    "Cancelled", "CpuTimeExceeded", "DeadlineExceeded",
    "asyncio.exceptions.CancelledError", "builtins.KeyboardInterrupt",
})  # fmt: skip


class Raised(Frozen):
    """An exception that ended a call.

    Attributes:
        type: name of its class, with its module where it is none of ``hlwasm.errors``.
        code: what else must be the same: of a trap its code, of an exit the exit code, of a limit
            which one; ``""`` of others.
        message: for the reader.
    """

    type: str
    code: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """What is kept of an exception."""
        if isinstance(error, ReplayedException):
            return error.raised
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ != "hlwasm.errors":
            name = f"{kind.__module__}.{name}"
        code = ""
        if isinstance(error, Trap):
            code = error.code.value
        elif isinstance(error, ProgramExit):
            code = str(error.code)
        elif isinstance(error, LimitExceeded):
            code = error.limit
        try:
            message = str(error)[:_LONGEST]
        except Exception:  # a class of the user's, whose mistake must not hide the exception
            message = ""
        return cls(name, code, message)

    def same(self, other: Raised) -> bool:
        """Whether two calls ended in the same way; all that is from outside is one."""
        if self.type in _OUTSIDE:
            return other.type in _OUTSIDE
        return (self.type, self.code) == (other.type, other.code)

    def is_for_want_of_time(self) -> bool:
        """Whether the call might never have ended by itself."""
        return self.type in _OUTSIDE or self.type == "FuelExhausted"

    def exception(self) -> BaseException:
        """What a host function raises in a replay."""
        if self.type == "ProgramExit" and self.code.isdecimal() and len(self.code) < 10:
            return ProgramExit(int(self.code))
        if self.type == "Trap" and self.code in {each.value for each in TrapCode}:
            return Trap(self.message, TrapCode(self.code))
        return ReplayedException(self)

    def json(self) -> dict[str, Any]:
        """As it is written to a file."""
        code = {"code": self.code} if self.code else {}
        return {"type": self.type, **code, "message": self.message}

    def __str__(self) -> str:
        return f"{self.type} {self.code}".rstrip() + f": {self.message.partition(chr(10))[0]}"


class ReplayedException(Exception):
    """Stands in a replay for an exception that a host function raised in the recorded run."""

    def __init__(self, raised: Raised) -> None:
        super().__init__(f"in the recorded run: {raised}")
        self.raised = raised
