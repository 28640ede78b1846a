"""Says whether a script shows a failure of the component, by running it more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hlwasm import errors
from hlwasm.testing.differential.target import End, Target, first_divergence, seen_of
from hlwasm.testing.differential.wording import in_both
from hlwasm.testing.fuzzing.outcomes import (
    Kind,
    Observation,
    Outcome,
    signature,
    what_differs,
    without_numbers,
)
from hlwasm.testing.fuzzing.runner import GivenAnswers, Runner, host_calls_of
from hlwasm.testing.fuzzing.typed_fakes import Answer, HostCall
from hlwasm.testing.scripts.data import first_difference
from hlwasm.testing.scripts.steps import Script, Step, callee_text, data_text

# Of another world, for a component that asks for random bytes or the time.
_OTHER_SEED = 1
_OTHER_HOURS = 24 * 365
_LONGEST_VALUE = 400
_WHY = {
    None: "run again from the same state",
    "random bytes": "with other random bytes",
    "clock": "at another time",
}


@dataclass(frozen=True)
class Verdict:
    """A failure that a script shows.

    Attributes:
        kind: what went wrong.
        step: the step that shows it; what comes after it does not matter.
        message: in words, one line and more.
        backtrace: wasm frames, innermost first.
        signature: equal for failures that most likely have the same cause.
    """

    kind: Kind
    step: int
    message: str
    backtrace: tuple[str, ...]
    signature: tuple[Any, ...]


@dataclass(frozen=True)
class Examined:
    """What came of a script.

    Attributes:
        observation: of its first run.
        verdict: the failure, None where there is none.
    """

    observation: Observation
    verdict: Verdict | None

    @property
    def answers(self) -> list[HostCall]:
        """The host calls of the first run."""
        return host_calls_of(self.observation.outcomes)


@dataclass(frozen=True)
class Judge:
    """Examines scripts.

    Attributes:
        runner: runs them.
        chance: sources of chance that results may depend on: ``"random bytes"``, ``"clock"``.
        stateless: functions must answer a repeated call as they did before.
        against: what must answer alike.
        uncompared: why scripts were not compared with that, and how many.
    """

    runner: Runner
    chance: frozenset[str] = frozenset()
    stateless: bool = False
    against: Target | None = None
    uncompared: Counter[str] = field(default_factory=Counter)

    def examine(self, script: Script, answer: Answer) -> Examined:
        """Runs a script, and looks for failures in what happens."""
        first = self.runner.run(script, answer)
        verdict = self._diverges(script, first)
        verdict = verdict or self._ended(script, first) or self._repeated(script, first)
        return Examined(first, verdict)

    def _diverges(self, script: Script, first: Observation) -> Verdict | None:
        other = self.against
        if other is None:
            return None
        if first.used and not other.same_chance:
            self.uncompared[f"they depend on {' and '.join(sorted(first.used))}"] += 1
            return None
        if any(step.function in other.cannot for step in script.steps):
            self.uncompared["they need a function that cannot be compared"] += 1
            return None
        theirs = other.run(script, host_calls_of(first.outcomes))
        unknown = next((each.message for each in theirs if each.end is End.UNKNOWN), None)
        if unknown is not None:
            self.uncompared[unknown] += 1
        found = first_divergence([seen_of(each) for each in first.outcomes], theirs)
        if found is None:
            return None
        step = script.steps[found.step]
        message = in_both(step, found, other.name)
        mark = (Kind.DIFFERENT, _number(step), found.what, without_numbers(found.path))
        return Verdict(Kind.DIFFERENT, found.step, message, (), mark)

    def _ended(self, script: Script, seen: Observation) -> Verdict | None:
        last = seen.last
        if last.failure is None:
            return None
        index = len(seen.outcomes) - 1
        message, backtrace = in_words(last.error)
        mark = signature(script.steps[index], last)
        return Verdict(last.failure, index, message, backtrace, mark)

    def _repeated(self, script: Script, first: Observation) -> Verdict | None:
        answers = host_calls_of(first.outcomes)
        again = self.runner.run(script, GivenAnswers(answers))
        found = self._varies(script, first, again, None)
        if found is None and "random bytes" in first.used - self.chance:
            other = self.runner.run(script, GivenAnswers(answers), random_seed=_OTHER_SEED)
            found = self._varies(script, first, other, "random bytes")
        if found is None and "clock" in first.used - self.chance:
            other = self.runner.run(script, GivenAnswers(answers), hours=_OTHER_HOURS)
            found = self._varies(script, first, other, "clock")
        if found is None and self.stateless:
            found = self._keeps_state(script, answers)
        return found

    def _varies(
        self, script: Script, one: Observation, other: Observation, source: str | None
    ) -> Verdict | None:
        difference = what_differs(one, other)
        if difference is None:
            return None
        index, how = difference
        step = script.steps[index]
        verb = "differ" if how == "host calls" else "differs"
        message = f"{_WHY[source]} the {how} {verb}: {_both(step, one, other, index)}"
        mark = (Kind.NON_DETERMINISTIC, _number(step), source)
        return Verdict(Kind.NON_DETERMINISTIC, index, message, (), mark)

    def _keeps_state(self, script: Script, answers: Sequence[HostCall]) -> Verdict | None:
        *before, last = script.steps
        # A resource has a state by its nature, and what was given away cannot be given twice.
        if last.function is None or last.handles() or last.gives:
            return None
        twice = Script((*before, last, last))
        outcomes = self.runner.run(twice, GivenAnswers([*answers, *answers])).outcomes
        if len(outcomes) < len(twice.steps) or not all(each.returned for each in outcomes[-2:]):
            return None
        one, other = outcomes[-2:]
        if first_difference(one.value, other.value) is None:
            return None
        message = (
            f"the same call again answers {_value(last, other)} instead of {_value(last, one)}"
        )
        mark = (Kind.KEEPS_STATE, _number(last))
        return Verdict(Kind.KEEPS_STATE, len(before), message, (), mark)


def _number(step: Step) -> int | None:
    return None if step.function is None else step.function.index


def in_words(error: BaseException | None) -> tuple[str, tuple[str, ...]]:
    """The message of an exception, and its wasm frames."""
    if isinstance(error, errors.Trap):
        return error.message, tuple(map(str, error.backtrace))
    if isinstance(error, errors.LimitExceeded):
        # Without the advice, which is for programs.
        return str(error).partition(": raise ")[0], ()
    return str(error), ()


def _both(step: Step, one: Observation, other: Observation, index: int) -> str:
    left, right = one.outcomes[index], other.outcomes[index]
    if left.returned and right.returned and first_difference(left.value, right.value) is not None:
        return f"{_value(step, left)}, then {_value(step, right)}"
    return f"{_seen(step, left)}, then {_seen(step, right)}"


def _seen(step: Step, outcome: Outcome) -> str:
    """An outcome with the host calls that it made."""
    calls = ", ".join(callee_text(each.function) for each in outcome.host_calls[:5])
    return _value(step, outcome) + (f" after calling {calls}" if calls else "")


def _value(step: Step, outcome: Outcome) -> str:
    if outcome.error is not None:
        return type(outcome.error).__name__
    if outcome.skipped:
        return "a missing resource"
    if step.function is None:
        return "()"
    function = step.function
    text = data_text(function.description, function.result, outcome.value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
