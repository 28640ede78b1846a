"""Makes a script that fails as small as can be, together with the answers that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.simpler import simpler
from hlwasm.testing.scripts.steps import Script, Step

T = TypeVar("T")

#: The host calls that each step made, with their answers.
Answers = Sequence[Sequence[HostCall]]
#: Runs a script with these answers; the host calls that were made where it fails in the
#: wanted way, None where it does not.
Fails = Callable[[Script, Answers], "Answers | None"]


def shrink(
    script: Script, answers: Answers, fails: Fails, attempts: int, successes: int
) -> tuple[Script, Answers]:
    """The smallest script and answers that are found.

    Args:
        script: fails.
        answers: the host calls that were made meanwhile.
        fails: says whether another does, too.
        attempts: how often that is asked at most.
        successes: how often it may fail.
    """
    while True:
        for smaller, fewer in _candidates(script, answers):
            if attempts == 0 or successes == 0:
                return script, answers
            attempts -= 1
            made = fails(smaller, fewer)
            if made is not None:
                successes -= 1
                script, answers = smaller.without_unused_names(), made
                break
        else:
            return script, answers


def _candidates(script: Script, answers: Answers) -> Iterator[tuple[Script, Answers]]:
    last = len(script.steps) - 1
    # The step that fails is the last and stays.
    for index in reversed(range(last)):
        kept = script.kept_without(index)
        if last in kept:
            steps = tuple([script.steps[each] for each in kept])
            yield Script(steps), [answers[each] for each in kept]
    for index, step in enumerate(script.steps):
        for other in _simpler_steps(step):
            yield Script(_replaced(script.steps, index, other)), answers
    for index, calls in enumerate(answers):
        for number, call in enumerate(calls):
            function = call.function
            for answer in simpler(function.description, function.result, call.answer):
                changed = _replaced(calls, number, replace(call, answer=answer))
                yield script, _replaced(answers, index, changed)


def _replaced(items: Sequence[T], index: int, item: T) -> tuple[T, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _simpler_steps(step: Step) -> Iterator[Step]:
    if step.function is None:
        return
    description = step.function.description
    for index, param in enumerate(step.function.params):
        for data in simpler(description, param.type, step.arguments[index]):
            yield replace(step, arguments=_replaced(step.arguments, index, data))
