"""Fuzzing: calls every export with generated arguments, and looks at what happens."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from hlwasm.testing.constants import Constants, check_constants, constants_of
from hlwasm.testing.described import description_of
from hlwasm.testing.differential.target import Target
from hlwasm.testing.fuzzing.outcomes import Kind
from hlwasm.testing.fuzzing.report import Failure, Progress, Report, new_report
from hlwasm.testing.fuzzing.runner import (
    GivenAnswers,
    InstantiationFailed,
    Runner,
    host_calls_of,
    limits_of,
)
from hlwasm.testing.fuzzing.shrinking import Answers, shrink
from hlwasm.testing.fuzzing.typed_fakes import Answer, HostCall
from hlwasm.testing.fuzzing.verdicts import Examined, Judge, Verdict
from hlwasm.testing.hypothesis_extra import hypothesis
from hlwasm.testing.primitives import Primitives
from hlwasm.testing.script_strategies import callable_functions, scripts_for
from hlwasm.testing.scripts.data import Data, to_data
from hlwasm.testing.scripts.steps import Script, callee_text, fake_handle
from hlwasm.testing.strategies import select
from hlwasm.testing.value_strategies import values_of
from hlwasm.wit.model import Function

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits

st = hypothesis.strategies

# Runs that may go into making one failure smaller, those of them that may end by a time-out,
# and the examples of one function that may: each takes the whole deadline.
_SHRINKING_RUNS = 3000
_SHRINKING_TIME_OUTS = 20
_TIME_OUTS = 3
# Examples of one function that are generated with the same knowledge of what fails.
_BATCH = 25
# A function that failed so often is not called any more on the way to others.
_FAILURES = 3


class _Stop(BaseException):
    """No Exception, which Hypothesis would take for a failure."""


class _EnoughTimeOuts(_Stop):
    """Ends the examples of a function that hardly ever ends by itself."""


class _OutOfTime(_Stop):
    """Ends fuzzing."""


def fuzz(
    component: Component,
    *names: str,
    examples: int = 100,
    seed: int = 0,
    deadline: float = 1.0,
    seconds: float | None = None,
    limits: Limits | None = None,
    chance: Sequence[str] = (),
    stateless: bool = False,
    against: Target | None = None,
    progress: Callable[[Progress], object] | None = None,
    report: Report | None = None,
    constants: Constants | None = None,
) -> Report:
    """Calls exported functions with generated arguments, each example in a fresh sandbox.

    An example is a sequence of calls, run from the state right after instantiation. Imports
    are answered with generated values of their types, WASI's clocks and random bytes repeat
    themselves. Each example runs at least twice.

    Args:
        component: what to test.
        names: functions and interfaces; all exports by default.
        examples: for each function.
        seed: other examples for each; the same ones for the same seed.
        deadline: seconds of CPU time after which a call counts as one that does not end.
        seconds: to stop after so much time, wherever it is.
        limits: of each call, in place of those that ``deadline`` makes.
        chance: what results may depend on: ``"random bytes"``, ``"clock"``.
        stateless: a call must be answered like the same one before it.
        against: something else that runs each example, too, and must answer alike; see
            :mod:`hlwasm.testing.differential`. It stays open.
        progress: told what happens.
        report: written to while it happens, for who wants to see it after an interrupt.
        constants: are likely among the values; by default those of the component's own code,
            if it was loaded from a file.

    Raises:
        LookupError: there is no such function.
        TypeError: ``constants`` are none.
        LinkError, NoHypervisorFound, …: the component cannot be instantiated here.
    """
    check_constants(constants)
    chosen = select(description_of(component), names)
    found = report or new_report(component, seed, *names)
    started = time.monotonic()
    end = None if seconds is None else started + seconds
    try:
        with closing(Runner(component, limits or limits_of(deadline))) as runner:
            judge = Judge(runner, frozenset(chance), stateless, against)
            likely = constants_of(component) if constants is None else constants
            # A large file takes a while.
            if end is not None and time.monotonic() > end:
                raise _OutOfTime
            Fuzzer(judge, found, progress, end, likely).run(chosen, examples)
    except InstantiationFailed as error:
        found.failures.append(Failure.of_instantiation(error))
    except _OutOfTime:
        found.notes.append(f"stopped after {seconds:g} s")
    finally:
        found.seconds = time.monotonic() - started
    return found


def rerun(
    component: Component,
    script: Script,
    answers: Sequence[HostCall],
    *,
    deadline: float = 1.0,
    limits: Limits | None = None,
    chance: Sequence[str] = (),
    stateless: bool = False,
    against: Target | None = None,
    report: Report | None = None,
) -> Report:
    """Runs one script, and looks for failures as :func:`fuzz` does.

    Args:
        component: what to test.
        script: the calls.
        answers: to host calls, in order for each function; what is asked more often gets the
            plainest value.
        deadline, limits, chance, stateless, against, report: as for :func:`fuzz`.
    """
    found = report or new_report(component, 0)
    try:
        with closing(Runner(component, limits or limits_of(deadline))) as runner:
            judge = Judge(runner, frozenset(chance), stateless, against)
            Fuzzer(judge, found).rerun(script, answers)
    except InstantiationFailed as error:
        found.failures.append(Failure.of_instantiation(error))
    return found


class Fuzzer:
    """Runs the examples of functions, one function after the other.

    Args:
        judge: examines them.
        report: what is found is written to it at once.
        progress: told before each example.
        end: when to stop, by ``time.monotonic()``.
        constants: are likely among the values.
    """

    def __init__(
        self,
        judge: Judge,
        report: Report,
        progress: Callable[[Progress], object] | None = None,
        end: float | None = None,
        constants: Constants | None = None,
    ) -> None:
        self._judge = judge
        self._primitives = Primitives(constants)
        self._report = report
        self._progress = progress
        self._end = end
        self._known: dict[tuple[Any, ...], Failure] = {}
        self._unsupported: set[str] = set()
        self._function = ""
        self._target: Function | None = None
        self._targets: list[Function] = []
        self._total = 0
        self._time_outs = 0
        self._counts: dict[Function, int] = {}
        self._failing: set[Function] = set()

    def run(self, functions: Sequence[Function], examples: int) -> None:
        """So many examples of each function.

        Raises:
            _OutOfTime: it is time to stop.
        """
        report = self._report
        self._targets = targets = []
        other = self._judge.against
        for function in functions:
            if other is not None and function in other.cannot:
                report.notes.append(
                    f"{callee_text(function)}: not compared, as {other.cannot[function]}"
                )
            elif function in callable_functions(function.description):
                targets.append(function)
            else:
                name = callee_text(function)
                report.notes.append(f"{name}: not called, as nothing gives the resource it takes")
        self._total = examples * len(targets)
        try:
            for function in targets:
                self._explore(function, examples)
            report.complete = True
        finally:
            self._tell_what_was_not_compared()

    def _tell_what_was_not_compared(self) -> None:
        for reason, count in self._judge.uncompared.items():
            self._report.notes.append(f"{count} runs were not compared: {reason}")

    def rerun(self, script: Script, answers: Sequence[HostCall]) -> None:
        """One example, which is not made smaller."""
        report = self._report
        report.examples += 1
        examined = self._judge.examine(script, GivenAnswers(answers))
        self._count(script, examined)
        if examined.verdict is not None:
            report.failures.append(Failure.of(script, examined.answers, examined.verdict))
        self._tell_what_was_not_compared()
        report.complete = True

    def _explore(self, function: Function, examples: int) -> None:
        self._target = function
        self._function = callee_text(function)
        self._time_outs = 0
        try:
            for number, start in enumerate(range(0, examples, _BATCH)):
                self._batch(function, number, min(_BATCH, examples - start))
        except _EnoughTimeOuts:
            self._note(f"not all examples, as {_TIME_OUTS} of them did not end")
        except hypothesis.errors.Unsatisfiable:
            self._note("no arguments could be generated")
        except hypothesis.errors.Flaky:
            # Where a time-out comes earlier or later, by what host calls were made until then.
            self._note("not all examples, as it made other host calls when called again")

    def _batch(self, function: Function, number: int, examples: int) -> None:
        key = f"{self._report.seed} {number} {function.interface}#{function.name}"
        own_seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        settings = hypothesis.settings(
            max_examples=examples,
            # What it would shrink, `shrink` does.
            phases=[hypothesis.Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
        )
        # Generation must not change while Hypothesis is at it.
        others = [each for each in self._targets if each not in self._failing]

        generated = scripts_for([function], others, primitives=self._primitives)

        @hypothesis.seed(own_seed)
        @settings
        @hypothesis.given(generated, st.data())
        def every_example(script: Script, data: Any) -> None:
            self._example(script, lambda function: draw_answer(data, function, self._primitives))

        every_example()

    def _note(self, text: str) -> None:
        self._report.notes.append(f"{self._function}: {text}")

    def _example(self, script: Script, answer: Answer) -> None:
        self._tell()
        self._report.examples += 1
        examined = self._judge.examine(script, answer)
        self._count(script, examined)
        verdict = examined.verdict
        if verdict is not None:
            self._keep(script, examined, verdict)
            self._avoid(script.steps[verdict.step].function, verdict.kind)

    def _avoid(self, function: Function | None, kind: Kind) -> None:
        """Notes which functions keep others from being tested."""
        if function is None:
            return
        self._counts[function] = count = self._counts.get(function, 0) + 1
        if count >= _FAILURES:
            self._failing.add(function)
        if kind is Kind.TIME_OUT and function is self._target:
            self._time_outs += 1
            if self._time_outs == _TIME_OUTS:
                raise _EnoughTimeOuts

    def _tell(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise _OutOfTime
        if self._progress is not None:
            report = self._report
            self._progress(
                Progress(self._function, report.examples, self._total, len(report.failures))
            )

    def _count(self, script: Script, examined: Examined) -> None:
        coverage = self._report.coverage
        for step, outcome in zip(script.steps, examined.observation.outcomes, strict=False):
            for call in outcome.host_calls:
                coverage.called(call.function, "import", call.arguments, call.answer)
            if step.function is not None and outcome.returned:
                coverage.called(step.function, "export", step.arguments, outcome.value)
            name = outcome.unsupported
            if name is not None and name not in self._unsupported:
                self._unsupported.add(name)
                self._note(f"calls that use {name}, which hlwasm does not provide, end there")

    def _keep(self, script: Script, examined: Examined, verdict: Verdict) -> None:
        """Makes a new failure small and adds it to the report; counts a known one."""
        known = self._known.get(verdict.signature)
        if known is not None:
            known.count += 1
            return
        failing = Script(script.steps[: verdict.step + 1]).without_unused_names()
        slow = verdict.kind is Kind.TIME_OUT
        smallest: Verdict = verdict

        def fails(script: Script, answers: Answers) -> Answers | None:
            nonlocal smallest
            self._tell()
            examined = self._judge.examine(script, GivenAnswers(chain.from_iterable(answers)))
            found = examined.verdict
            if found is None or found.signature != verdict.signature:
                return None
            if found.step != len(script.steps) - 1:
                return None
            smallest = found
            return [each.host_calls for each in examined.observation.outcomes]

        made = examined.observation.outcomes[: verdict.step + 1]
        answers: Answers = [each.host_calls for each in made]
        failure = Failure.of(failing, host_calls_of(made), verdict)
        self._known[verdict.signature] = failure
        self._report.failures.append(failure)
        successes = _SHRINKING_TIME_OUTS if slow else _SHRINKING_RUNS
        failing, answers = shrink(failing, answers, fails, _SHRINKING_RUNS, successes)
        failure.become(failing, list(chain.from_iterable(answers)), smallest)


def draw_answer(data: Any, function: Function, primitives: Primitives) -> Data:
    """A generated answer of an imported function."""
    description = function.description

    def resource(index: int, _: bool) -> Any:
        return st.just(fake_handle(description, index))

    assert function.result is not None
    drawn = data.draw(values_of(description, function.result, resource, primitives))
    return to_data(description, function.result, drawn)
