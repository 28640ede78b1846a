"""What fuzzing found, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hlwasm.testing.described import description_of
from hlwasm.testing.fuzzing.coverage import Coverage
from hlwasm.testing.fuzzing.outcomes import Kind, classify
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.fuzzing.verdicts import Verdict, in_words
from hlwasm.testing.scripts.steps import Script, callee_text
from hlwasm.testing.strategies import select

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.testing.fuzzing.runner import InstantiationFailed


@dataclass
class Failure:
    """Something that the component does wrong.

    Attributes:
        kind: what.
        function: WIT name of the function, with its interface; empty for instantiation.
        message: in words.
        backtrace: wasm frames, innermost first.
        script: the smallest calls that show it, None for instantiation.
        answers: the host calls that are made meanwhile, with their answers.
        count: how many examples showed it.
    """

    kind: Kind
    function: str
    message: str
    backtrace: tuple[str, ...]
    script: Script | None
    answers: Sequence[HostCall]
    count: int = 1

    @classmethod
    def of(cls, script: Script, answers: Sequence[HostCall], verdict: Verdict) -> Failure:
        """What a script shows."""
        failure = cls(verdict.kind, "", "", (), script, answers)
        failure.become(script, answers, verdict)
        return failure

    @classmethod
    def of_instantiation(cls, error: InstantiationFailed) -> Failure:
        """What nothing can be called after."""
        cause = error.__cause__
        assert cause is not None
        message, backtrace = in_words(cause)
        return cls(classify(cause) or Kind.TRAP, "", message, backtrace, None, ())

    def become(self, script: Script, answers: Sequence[HostCall], verdict: Verdict) -> None:
        """A smaller script shows the same."""
        self.script, self.answers = script, answers
        self.message, self.backtrace = verdict.message, verdict.backtrace
        last = script.steps[-1].function
        self.function = "drop" if last is None else callee_text(last)


@dataclass
class Report:
    """What fuzzing found.

    Attributes:
        seed: makes it happen again.
        failures: in the order in which they were found.
        coverage: of the interface.
        examples: how many scripts ran.
        seconds: how long it took.
        complete: all functions had all of their examples.
        notes: what could not be tested, and why.
    """

    seed: int
    failures: list[Failure]
    coverage: Coverage
    examples: int = 0
    seconds: float = 0.0
    complete: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no failure was found."""
        return not self.failures


@dataclass(frozen=True)
class Progress:
    """How far fuzzing is; given to ``progress`` before each example.

    Attributes:
        function: which is being tested.
        done, total: examples.
        failures: found so far.
    """

    function: str
    done: int
    total: int
    failures: int


def new_report(component: Component, seed: int, *names: str) -> Report:
    """An empty one, for these functions and interfaces.

    Raises:
        LookupError: there is no such function, or none at all.
    """
    functions = select(description_of(component), names)
    if not functions:
        raise LookupError(f"{component.name} exports no function")
    return Report(seed, [], Coverage(functions))
