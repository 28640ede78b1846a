"""Strategies for sequences of calls that obtain the resources which they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.codec.checks import INTEGER_RANGE
from hlwasm.testing.hypothesis_extra import hypothesis
from hlwasm.testing.primitives import Primitives
from hlwasm.testing.scripts.data import Handle, to_data
from hlwasm.testing.scripts.steps import (
    Script,
    Step,
    fake_handle,
    is_host_side,
    is_program,
    resources_in,
)
from hlwasm.testing.value_strategies import Values
from hlwasm.wit.model import Description, Function

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

st = hypothesis.strategies

EXTRA_STEPS = 4
# Where a script gets the resources that its calls need, one level inside of the other.
_DEEPEST_RECIPE = 4
_MOST_SEEN = 20
_PLAIN = Primitives()
_IDENTIFYING = frozenset(["u8", "u16", "u32", "u64", "s16", "s32", "s64", "string"])


def scripts_for(
    targets: Sequence[Function],
    others: Sequence[Function],
    extra_steps: int = EXTRA_STEPS,
    primitives: Primitives = _PLAIN,
) -> SearchStrategy[Script]:
    """As ``strategies.scripts``.

    Args:
        targets: one of them is called last; all are callable.
        others: what may be called before although the last call does not need it.
        extra_steps: how often.
        primitives: strategies of primitive types.
    """
    description = targets[0].description

    @st.composite
    def build(draw: DrawFn) -> Script:
        builder = _Builder(description, draw, primitives)
        for _ in range(draw(st.integers(0, extra_steps if others else 0))):
            builder.extra_step(others)
        builder.call(draw(st.sampled_from(targets)))
        return Script(tuple(builder.steps)).without_unused_names()

    return build()


def callable_functions(description: Description) -> list[Function]:
    """The exported functions whose resources can be had by calling others."""
    cached: list[Function] | None = description.cache.get(callable_functions)
    if cached is None:
        cached = description.cache[callable_functions] = _find_callable(description)
    return cached


def _find_callable(description: Description) -> list[Function]:
    obtainable: set[int] = set()
    found: dict[int, Function] = {}
    while True:
        there = partial(_there, description, obtainable)
        values = Values(description, there, _PLAIN)
        before = len(found)
        for function in description.exports:
            if not any(values.of(param.type).is_empty for param in function.params):
                found[function.index] = function
                obtainable.update(resources_in(description, function.result))
        if len(found) == before:
            return [each for each in description.exports if each.index in found]


def _there(
    description: Description, obtainable: set[int], resource: int, _: bool
) -> SearchStrategy[Handle]:
    if is_host_side(description, resource):
        return st.just(fake_handle(description, resource))
    return st.just(Handle("")) if resource in obtainable else st.nothing()


def _givers(description: Description) -> Mapping[int, list[Function]]:
    """Which callable functions give a resource of a type."""
    found: dict[int, list[Function]] | None = description.cache.get(_givers)
    if found is None:
        found = description.cache[_givers] = {}
        for function in callable_functions(description):
            for resource in resources_in(description, function.result):
                found.setdefault(resource, []).append(function)
    return found


class _Builder:
    """Adds steps to a script, those first that give the resources that a step needs."""

    def __init__(self, description: Description, draw: DrawFn, primitives: Primitives) -> None:
        self._description = description
        self._draw = draw
        self._primitives = primitives
        self._values = Values(description, self._resource, primitives, self._primitive)
        self._seen: dict[str, list[Any]] = {}
        self._givers = _givers(description)
        self._live: dict[int, list[Handle]] = {}
        # Lent to the call that is being built: not to be given away by it.
        self._lent: set[Handle] = set()
        self._numbers: dict[str, int] = {}
        self._depth = 0
        self._extreme = False
        self.steps: list[Step] = []

    def extra_step(self, functions: Sequence[Function]) -> None:
        """A call of any of these, or a drop."""
        self._lent.clear()
        live = [each for handles in self._live.values() for each in handles]
        if live and self._draw(st.integers(0, 5)) == 5:
            handle = self._draw(st.sampled_from(live))
            for handles in self._live.values():
                if handle in handles:
                    handles.remove(handle)
            self.steps.append(Step(None, (handle,)))
            return
        function = self._draw(st.sampled_from(functions))
        if not is_program(function):
            self.call(function)

    def call(self, function: Function) -> None:
        """A call, behind those that give what it needs."""
        if self._depth == 0:
            self._lent.clear()
        if self._depth > _DEEPEST_RECIPE:
            hypothesis.reject()
        self._depth += 1
        outside = self._extreme
        integers = [each for each in function.params if each.type in INTEGER_RANGE]
        self._extreme = len(integers) > 1 and self._draw(st.booleans())
        arguments = tuple(
            [
                to_data(self._description, each.type, self._draw(self._values.of(each.type)))
                for each in function.params
            ]
        )
        self._extreme = outside
        self._depth -= 1
        gives = []
        for resource in resources_in(self._description, function.result):
            handle = self._new_name(resource)
            gives.append((handle, resource))
            self._live.setdefault(resource, []).append(handle)
        self.steps.append(Step(function, arguments, tuple(gives)))

    def _primitive(self, name: str) -> SearchStrategy[Any]:
        """Values of a primitive type, some of which an earlier argument has, too: what was added
        under a number or name is found again by it.
        """
        fresh = self._primitives.of(name)
        if name not in _IDENTIFYING and name not in INTEGER_RANGE:
            return fresh

        @st.composite
        def pick(draw: DrawFn) -> Any:
            # All integers of a call, or few meet: the lowest one divided by -1 overflows.
            if self._extreme and name in INTEGER_RANGE:
                low, high = INTEGER_RANGE[name]
                return draw(st.sampled_from([0, 1, high] if low == 0 else [0, -1, low, high]))
            if name not in _IDENTIFYING:
                return draw(fresh)
            seen = self._seen.setdefault(name, [])
            if seen and draw(st.integers(0, 2)) == 2:
                return draw(st.sampled_from(seen))
            value = draw(fresh)
            if len(seen) < _MOST_SEEN:
                seen.append(value)
            return value

        return pick()

    def _new_name(self, resource: int) -> Handle:
        name = self._description.types[resource].name or "resource"
        self._numbers[name] = number = self._numbers.get(name, 0) + 1
        return Handle(f"{name}-{number}")

    def _resource(self, resource: int, owned: bool) -> SearchStrategy[Handle]:
        if is_host_side(self._description, resource):
            return st.just(fake_handle(self._description, resource))
        if resource not in self._givers:
            return st.nothing()

        @st.composite
        def pick(draw: DrawFn) -> Handle:
            handles = self._live.setdefault(resource, [])
            free = [each for each in handles if not (owned and each in self._lent)]
            if not free:
                self.call(draw(st.sampled_from(self._givers[resource])))
                free = [each for each in handles if not (owned and each in self._lent)]
            handle = draw(st.sampled_from(free))
            if owned:
                handles.remove(handle)
            else:
                self._lent.add(handle)
            return handle

        return pick()
