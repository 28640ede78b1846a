"""Runs scripts, each in a sandbox as it was right after instantiation."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hlwasm.errors import (
    GuestError,
    HlwasmError,
    LimitExceeded,
    ProgramExit,
    TransferLimitExceeded,
)
from hlwasm.testing.fuzzing.outcomes import Kind, Observation, Outcome, classify
from hlwasm.testing.fuzzing.typed_fakes import Answer, HostCall, TypedFakes
from hlwasm.testing.fuzzing.world import RepeatableWorld
from hlwasm.testing.scripts.data import Case, Data
from hlwasm.testing.scripts.running import ScriptRun
from hlwasm.testing.scripts.simpler import simplest
from hlwasm.testing.scripts.steps import Script, Step, callee_text, is_program, layout_of
from hlwasm.wit.model import Function

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits

# A guest that waits is not ended by its CPU time; most of its waits are virtual.
_DEADLINE_FACTOR = 20
# Bytes without the contents of lists.
_LARGEST_ANSWER = 1 << 18


def limits_of(seconds: float, **others: Any) -> Limits:
    """Limits of calls that end themselves after so much CPU time."""
    from hlwasm.sandbox.limits import Limits

    return Limits(
        cpu_time=seconds,
        deadline=seconds * _DEADLINE_FACTOR,
        **{"host_calls": 1000, **others},
    )


class GivenAnswers:
    """Answers as they were given before: to each function in its order.

    What is asked more often gets the plainest value.
    """

    def __init__(self, calls: Iterable[HostCall]) -> None:
        self._left: defaultdict[int, deque[Data]] = defaultdict(deque)
        for call in calls:
            if call.function.kind != "constructor":
                self._left[call.function.index].append(call.answer)

    def __call__(self, function: Function) -> Data:
        left = self._left[function.index]
        return left.popleft() if left else plainest(function)


def plainest(function: Function) -> Data:
    """The plainest answer of an imported function.

    Raises:
        TransferLimitExceeded: its type alone takes as much as only a hostile one does.
    """
    result = function.result
    if result is not None and layout_of(function.description).shape(result).size > _LARGEST_ANSWER:
        raise TransferLimitExceeded(
            f"{callee_text(function)}: its result takes more than {_LARGEST_ANSWER} bytes",
            "transfer_memory",
            _LARGEST_ANSWER,
        )
    return simplest(function.description, function.result)


class InstantiationFailed(Exception):
    """The component trapped, or reached a limit, while it was instantiated; see the cause."""


class Runner:
    """Runs scripts of one component.

    Args:
        component: what to run.
        limits: of each call.

    Raises:
        InstantiationFailed: the component does not get through its instantiation.
        HlwasmError: it cannot be instantiated here.
    """

    def __init__(self, component: Component, limits: Limits) -> None:
        self._description = component.description
        self._world = RepeatableWorld()
        self._fakes = TypedFakes(component, plainest)
        try:
            self._sandbox = component.instantiate(
                self._fakes.imports, wasi=self._world.wasi, limits=limits
            )
        except (GuestError, LimitExceeded) as error:
            raise InstantiationFailed from error
        self._clean = self._sandbox.snapshot()

    def close(self) -> None:
        """Frees the sandbox."""
        self._sandbox.close()

    def run(
        self, script: Script, answer: Answer, *, random_seed: int = 0, hours: int = 0
    ) -> Observation:
        """Runs a script up to its end, or to the first step that fails.

        Args:
            script: what to run.
            answer: gives the answers to host calls.
            random_seed, hours: other ones are another world for the component.
        """
        sandbox = self._sandbox
        sandbox.restore(self._clean)
        self._world.reset(random_seed, hours)
        self._fakes.answer = answer
        running = ScriptRun(self._description, sandbox.exports, self._fakes.new)
        outcomes = []
        for step in script.steps:
            outcome = self._step(running, step)
            outcomes.append(outcome)
            if outcome.error is not None:
                break
        return Observation(outcomes, frozenset(self._world.used))

    def _step(self, running: ScriptRun, step: Step) -> Outcome:
        if running.lacks(step):
            return Outcome(skipped=True)
        calls: list[HostCall] = []
        output = bytearray()
        self._fakes.calls, self._world.output = calls, output
        value: Data = None
        failure: Kind | None = None
        error: HlwasmError | None = None
        try:
            value = running.step(step)[1]
        except ProgramExit as ended:
            if step.function is not None and is_program(step.function):
                value = Case("err" if ended.code else "ok")
            else:
                failure, error = classify(ended), ended
        except HlwasmError as ended:
            failure, error = classify(ended), ended
        return Outcome(value, failure, error, host_calls=calls, output=bytes(output))


def host_calls_of(outcomes: Sequence[Outcome]) -> list[HostCall]:
    """All host calls of a run."""
    return [call for outcome in outcomes for call in outcome.host_calls]
