"""How a call ended, and what of it is a failure of the component."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hlwasm import errors
from hlwasm.errors import TrapCode
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.data import Data, first_difference
from hlwasm.testing.scripts.steps import Step


class Kind(enum.Enum):
    """What went wrong; the value is the word that reports use."""

    TRAP = "trap"
    INVALID_DATA = "invalid data"
    TIME_OUT = "time-out"
    LIMIT = "limit"
    EXIT = "exit"
    FAULT = "runtime fault"
    NON_DETERMINISTIC = "non-deterministic"
    KEEPS_STATE = "keeps state"
    DIFFERENT = "different"


# Traps by which the adapters between components refuse a value.
_INVALID = {TrapCode.CANONICAL_ABI, TrapCode.INVALID_STRING, TrapCode.BAD_HANDLE}


@dataclass(frozen=True)
class Outcome:
    """How a step ended.

    Attributes:
        value: data of the result, where the call returned.
        failure: what is wrong with how it ended, None where nothing is.
        error: what was raised, the error arm of a result excepted.
        skipped: a resource that the step uses was not there.
        host_calls: what the component called meanwhile.
        output: what it wrote to standard output and error.
    """

    value: Data = None
    failure: Kind | None = None
    error: BaseException | None = None
    skipped: bool = False
    host_calls: Sequence[HostCall] = ()
    output: bytes = b""

    @property
    def returned(self) -> bool:
        """Whether there is a result."""
        return self.error is None and not self.skipped

    @property
    def unsupported(self) -> str | None:
        """What it called that hlwasm does not provide."""
        error = self.error
        return error.name if isinstance(error, errors.UnsupportedImport) else None


@dataclass(frozen=True)
class Observation:
    """What was seen of a script's run: an outcome for each step that ran.

    Attributes:
        used: sources of chance that were asked.
    """

    outcomes: Sequence[Outcome]
    used: frozenset[str] = field(default=frozenset())

    @property
    def last(self) -> Outcome:
        """The outcome of the last step that ran."""
        return self.outcomes[-1]


def classify(error: BaseException) -> Kind | None:
    """What kind of failure an exception is, None where it is not the component's.

    Raises:
        BaseException: ``error``, where it is no end that a component can have.
    """
    if isinstance(error, errors.Trap):
        return Kind.INVALID_DATA if error.code in _INVALID else Kind.TRAP
    if isinstance(error, errors.GuestDataError):
        return Kind.INVALID_DATA
    if isinstance(error, (errors.DeadlineExceeded, errors.CpuTimeExceeded, errors.FuelExhausted)):
        return Kind.TIME_OUT
    if isinstance(error, errors.LimitExceeded):
        return Kind.LIMIT
    if isinstance(error, errors.ProgramExit):
        return Kind.EXIT
    if isinstance(error, errors.GuestFault):
        return Kind.FAULT
    if isinstance(error, errors.UnsupportedImport):
        return None
    raise error


def signature(step: Step, outcome: Outcome) -> tuple[Any, ...]:
    """What two failures have in common that have the same cause, as far as one can tell."""
    error = outcome.error
    name = None if step.function is None else step.function.index
    key: list[Any] = [outcome.failure, name, type(error).__name__]
    if isinstance(error, errors.Trap):
        key.append(error.code)
        if error.backtrace:
            frame = error.backtrace[0]
            key += [frame.module, frame.function_index, frame.offset]
        else:
            key.append(without_numbers(error.message))
    elif isinstance(error, errors.LimitExceeded):
        key.append(error.limit)
    elif isinstance(error, errors.GuestDataError):
        key.append(without_numbers(str(error)))
    return tuple(key)


def without_numbers(text: str) -> str:
    """A message or path with all numbers alike."""
    return re.sub(r"0x[0-9a-f]+|\d+", "…", text)


def what_differs(left: Observation, right: Observation) -> tuple[int, str] | None:
    """The first step whose outcome is another in another run of the same script, and how.

    ``how`` is ``result``, ``host calls``, ``output`` or ``end``.
    """
    for index, (one, other) in enumerate(zip(left.outcomes, right.outcomes, strict=False)):
        if _end(one) != _end(other):
            return index, "end"
        # Before the result, which follows from them.
        if not _same_calls(one.host_calls, other.host_calls):
            return index, "host calls"
        if first_difference(one.value, other.value) is not None:
            return index, "result"
        if one.output != other.output:
            return index, "output"
    return None


def _end(outcome: Outcome) -> tuple[Any, ...]:
    error = outcome.error
    code = error.code if isinstance(error, errors.Trap) else None
    return outcome.failure, outcome.skipped, type(error), code


def _same_calls(left: Sequence[HostCall], right: Sequence[HostCall]) -> bool:
    if len(left) != len(right):
        return False
    return all(
        one.function is other.function and first_difference(one.arguments, other.arguments) is None
        for one, other in zip(left, right, strict=True)
    )
