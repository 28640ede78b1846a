"""Another component that claims the same WIT: another version, or another implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hlwasm.testing.differential.target import Seen, call_key, seen_of
from hlwasm.testing.fuzzing.runner import GivenAnswers, Runner
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.steps import Script, Step
from hlwasm.wit.model import Description, Function
from hlwasm.wit.same_types import TypeComparison

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits


class AnotherComponent:
    """Runs scripts of one component by another.

    Args:
        description: of the component under test.
        other: the other one.
        limits: of each call.
    """

    same_chance = True

    def __init__(self, description: Description, other: Component, limits: Limits) -> None:
        self.name = other.name
        self._resources = _resources(other.description)
        self._types = description.types
        exports = {call_key(each): each for each in other.description.exports}
        comparison = TypeComparison(description, other.description)
        self._functions: dict[int, Function] = {}
        self.cannot: dict[Function, str] = {}
        for function in description.exports:
            counterpart = exports.get(call_key(function))
            if counterpart is None:
                self.cannot[function] = f"{other.name} does not export it"
                continue
            difference = comparison.functions(function, counterpart)
            if difference is not None:
                self.cannot[function] = f"in {other.name} it has another type: {difference}"
            else:
                self._functions[function.index] = counterpart
        self._imports = {call_key(each): each for each in other.description.imports}
        self._runner = Runner(other, limits)

    def run(self, script: Script, answers: Sequence[HostCall]) -> Sequence[Seen]:
        """See :class:`~hlwasm.testing.differential.target.Target`."""
        translated = Script(tuple([self._step(step) for step in script.steps]))
        given = []
        for call in answers:
            function = self._imports.get(call_key(call.function))
            if function is not None:
                given.append(HostCall(function, call.arguments, call.answer))
        observation = self._runner.run(translated, GivenAnswers(given))
        return [seen_of(outcome) for outcome in observation.outcomes]

    def _step(self, step: Step) -> Step:
        if step.function is None:
            return step
        gives = [
            (handle, self._resources[self._types[resource].name]) for handle, resource in step.gives
        ]
        return Step(self._functions[step.function.index], step.arguments, tuple(gives))

    def close(self) -> None:
        """Frees the other sandbox."""
        self._runner.close()


def _resources(description: Description) -> dict[str | None, int]:
    """The guest resources of a component by name."""
    return {
        description.types[resource].name: resource for resource in description.exports_by_resource
    }
