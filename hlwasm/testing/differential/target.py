"""What scripts are run by besides the component, and how what was seen is compared."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hlwasm.testing.fuzzing.outcomes import Kind, Outcome
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.data import Data, first_difference
from hlwasm.testing.scripts.steps import Script
from hlwasm.wit.model import Function


class End(enum.Enum):
    """How a step ended; the value is for messages."""

    RETURNED = "returned"
    FAILED = "failed"
    TIME_OUT = "did not end"
    SKIPPED = "was not called"
    #: Nothing can be said: the other side, not the component, is at its end.
    UNKNOWN = "is not known"


class MadeCall(NamedTuple):
    """A host call: the function without its interface's version, and data."""

    function: str
    arguments: tuple[Data, ...]


@dataclass(frozen=True)
class Seen:
    """What was seen of a step.

    Attributes:
        end: how it ended.
        value: data of the result.
        message: why it failed.
        host_calls: None where they cannot be seen.
    """

    end: End
    value: Data = None
    message: str = ""
    host_calls: Sequence[MadeCall] | None = None


class Target(Protocol):
    """Runs scripts.

    Attributes:
        name: what messages call it.
        same_chance: whether clocks and random bytes are those of the component under test.
    """

    name: str
    same_chance: bool

    @property
    def cannot(self) -> Mapping[Function, str]:
        """The functions that it cannot call, or not alike, and why."""

    def run(self, script: Script, answers: Sequence[HostCall]) -> Sequence[Seen]:
        """Runs a script from a fresh state, up to its end or the first step that fails."""

    def close(self) -> None:
        """Frees what it holds."""


class Divergence(NamedTuple):
    """The first thing in which two runs differ.

    Attributes:
        step: index of the step.
        what: ``result``, ``end`` or ``host calls``.
        path: where in the result, empty for all of it.
        left, right: what was seen.
    """

    step: int
    what: str
    path: str
    left: Seen
    right: Seen


def call_key(function: Function) -> str:
    """The name of a function without its interface's version."""
    if function.interface is None:
        return function.name
    return f"{function.interface.partition('@')[0]}#{function.name}"


def seen_of(outcome: Outcome) -> Seen:
    """An outcome of the component under test, in the same words."""
    calls = [MadeCall(call_key(call.function), call.arguments) for call in outcome.host_calls]
    if outcome.unsupported is not None:
        return Seen(End.UNKNOWN, message=str(outcome.error), host_calls=calls)
    if outcome.skipped:
        return Seen(End.SKIPPED, host_calls=calls)
    if outcome.failure is Kind.TIME_OUT:
        return Seen(End.TIME_OUT, host_calls=calls)
    if outcome.failure is not None:
        message = f"{outcome.failure.value}: {outcome.error}".partition("\n")[0]
        return Seen(End.FAILED, message=message, host_calls=calls)
    return Seen(End.RETURNED, outcome.value, host_calls=calls)


def first_divergence(left: Sequence[Seen], right: Sequence[Seen]) -> Divergence | None:
    """The first thing in which two runs of a script differ, None where there is none."""
    for step, (one, other) in enumerate(zip(left, right, strict=False)):
        if End.UNKNOWN in (one.end, other.end):
            return None
        if one.end is not other.end:
            return Divergence(step, "end", "", one, other)
        if _other_calls(one.host_calls, other.host_calls):
            return Divergence(step, "host calls", "", one, other)
        difference = first_difference(one.value, other.value)
        if difference is not None:
            return Divergence(step, "result", difference.path, one, other)
    return None


def _other_calls(left: Sequence[MadeCall] | None, right: Sequence[MadeCall] | None) -> bool:
    if left is None or right is None:
        return False
    return first_difference(list(left), list(right)) is not None
