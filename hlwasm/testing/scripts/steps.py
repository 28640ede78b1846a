"""Scripts: calls in their order, with names for the resources that one call gives to later ones.

As text, one line for each step::

    counter-1 = counters.[constructor]counter(3)
    counters.[method]counter.add(counter-1, 2)
    drop counter-1

Values are WAVE. A resource is written by its name: that of its type in WIT, and a number.
``fake-`` and a type's name is a new resource of the host's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hlwasm.codec.layout import Layout
from hlwasm.testing.scripts.data import Data, Handle, from_data, to_data
from hlwasm.wit.model import (
    Borrow,
    Description,
    Function,
    List,
    Own,
    Resource,
    TypeRef,
)
from hlwasm.wit.wave import WaveError, parse_call
from hlwasm.wit.wave.calls import find_function
from hlwasm.wit.wave.parser import Parser
from hlwasm.wit.wave.writer import Writer

_FAKE = "fake-"
_ASSIGNMENT = re.compile(r"\s*((?:[\w-]+\s*,\s*)*[\w-]+)\s*=\s*")
_DROP = re.compile(r"\s*drop\s+([\w-]+)\s*\Z")


@dataclass(frozen=True)
class Step:
    """One call, or the drop of a resource.

    Attributes:
        function: what is called, None for a drop.
        arguments: data; of a drop, its handle.
        gives: names of the resources in the result, with the indices of their types.
    """

    function: Function | None
    arguments: tuple[Data, ...]
    gives: tuple[tuple[Handle, int], ...] = ()

    def handles(self) -> set[Handle]:
        """The resources of earlier steps that it uses."""
        return set(_handles(self.arguments))

    def __str__(self) -> str:
        if self.function is None:
            return f"drop {self.arguments[0].name}"
        names = ", ".join(handle.name for handle, _ in self.gives)
        call = call_text(self.function, self.arguments)
        return f"{names} = {call}" if names else call

    __repr__ = __str__


@dataclass(frozen=True)
class Script:
    """Steps that run one after the other in one sandbox."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    def __repr__(self) -> str:
        return "; ".join(map(str, self.steps))

    def kept_without(self, index: int) -> list[int]:
        """Which steps can stay without one: those that do not use its resources."""
        lost = {handle for handle, _ in self.steps[index].gives}
        kept = list(range(index))
        for later in range(index + 1, len(self.steps)):
            step = self.steps[later]
            if step.handles() & lost:
                lost |= {handle for handle, _ in step.gives}
            else:
                kept.append(later)
        return kept

    def without_unused_names(self) -> Script:
        """The same, naming only resources that are used later."""
        used: set[Handle] = set()
        steps: list[Step] = []
        for step in reversed(self.steps):
            gives = step.gives
            # A name stands for the n-th resource of its type: those before it stay.
            while gives and gives[-1][0] not in used:
                gives = gives[:-1]
            used |= step.handles()
            steps.append(Step(step.function, step.arguments, gives))
        return Script(tuple(reversed(steps)))


def parse_script(description: Description, lines: Sequence[str]) -> Script:
    """Reads the text of a script, one step a line.

    Raises:
        WaveError: a line is no step, or uses a resource that no line before it gives.
    """
    known: dict[Handle, int] = {}
    steps = []
    for line in lines:
        step = _parse_step(description, line)
        for handle in step.handles():
            if handle not in known and not handle.name.startswith(_FAKE):
                raise WaveError(line, 0, f"no line before this one gives {handle.name}")
        known.update(step.gives)
        steps.append(step)
    return Script(tuple(steps))


def _parse_step(description: Description, line: str) -> Step:
    drop = _DROP.match(line)
    if drop is not None:
        return Step(None, (Handle(drop[1]),))
    assignment = _ASSIGNMENT.match(line)
    start = assignment.end() if assignment is not None else 0
    function, values = parse_call(description, line, _HandleParser, start)
    arguments = [
        to_data(description, param.type, value)
        for param, value in zip(function.params, values, strict=True)
    ]
    gives = []
    if assignment is not None:
        names = [each.strip() for each in assignment[1].split(",")]
        given = resources_in(description, function.result)
        for name in names:
            index = _type_of(description, name, given)
            if index is None:
                raise WaveError(line, 0, f"{function.name} gives no resource called {name}")
            gives.append((Handle(name), index))
    return Step(function, tuple(arguments), tuple(gives))


def _type_of(description: Description, name: str, given: Sequence[int]) -> int | None:
    """Which of these resource types a name belongs to."""
    wanted = name.rpartition("-")[0]
    return next((each for each in given if description.types[each].name == wanted), None)


class _HandleParser(Parser):
    """Reads resources, too, by name."""

    def value(self, ref: TypeRef) -> Any:
        if isinstance(ref, int) and isinstance(self._description.types[ref], (Own, Borrow)):
            token = self.take()
            if token.kind != "label":
                problem = f"expected the name of a {self._type(ref)}, got {token}"
                raise self.error(problem, token)
            return Handle(token.value)
        return super().value(ref)


def parse_data(description: Description, ref: TypeRef, text: str) -> Data:
    """Reads one value, resources by name.

    Raises:
        WaveError: the text is no value of the type.
    """
    parser = _HandleParser(description, text)
    value = parser.value(ref)
    parser.end()
    return to_data(description, ref, value)


class _HandleWriter(Writer):
    """Writes resources by name."""

    def text(self, ref: TypeRef, value: Any) -> str:
        return value.name if isinstance(value, Handle) else super().text(ref, value)


def data_text(description: Description, ref: TypeRef | None, data: Data) -> str:
    """Data as WAVE text, resources by name."""
    if ref is None:
        return "()"
    return _HandleWriter(description).text(ref, from_data(description, ref, data))


def call_text(function: Function, arguments: Sequence[Data]) -> str:
    """A call as :func:`parse_script` reads it."""
    texts = [
        data_text(function.description, param.type, data)
        for param, data in zip(function.params, arguments, strict=True)
    ]
    return f"{callee_text(function)}({', '.join(texts)})"


def callee_text(function: Function) -> str:
    """The shortest name of a function that stands for no other: ``ops.add``."""
    description, short = function.description, _short_name(function)
    if function.interface is None:
        return short
    if function in description.imports:
        unique = [_short_name(each) for each in description.imports].count(short) == 1
    else:
        try:
            unique = find_function(description, short) is function
        except LookupError:
            unique = False
    return short if unique else f"{function.interface}#{function.name}"


def _short_name(function: Function) -> str:
    if function.interface is None:
        return function.name
    return f"{function.interface.partition('@')[0].rpartition('/')[2]}.{function.name}"


def fake_handle(description: Description, resource: int) -> Handle:
    """Stands for a new resource of the host's."""
    return Handle(f"{_FAKE}{description.types[resource].name or 'resource'}")


def is_fake(handle: Handle) -> bool:
    """Whether a handle stands for a new resource of the host's."""
    return handle.name.startswith(_FAKE)


def is_program(function: Function) -> bool:
    """Whether a call runs a whole program, which then exits."""
    return (function.interface or "").startswith("wasi:cli/run@")


def resources_in(description: Description, ref: TypeRef | None) -> Sequence[int]:
    """The guest resources that a value of this type can give, by index, in order of the type.

    One that may come several times, in a list, is there twice.
    """
    if not isinstance(ref, int):
        return ()
    key = resources_in, ref
    found: list[int] | None = description.cache.get(key)
    if found is None:
        found = description.cache[key] = []
        _collect(description, ref, 1, found, [200])
    return found


def _collect(
    description: Description, ref: TypeRef, times: int, found: list[int], left: list[int]
) -> None:
    left[0] -= 1
    # A hostile description can be exponentially large.
    if isinstance(ref, str) or left[0] < 0:
        return
    type_ = description.types[ref]
    if isinstance(type_, Own) and not is_host_side(description, type_.resource):
        found += [type_.resource] * times
    for part in layout_of(description).parts(ref):
        _collect(description, part, 2 if isinstance(type_, List) else times, found, left)


def layout_of(description: Description) -> Layout:
    """The layouts of a description's types, kept with it."""
    found: Layout | None = description.cache.get(Layout)
    if found is None:
        found = description.cache[Layout] = Layout(description)
    return found


def is_host_side(description: Description, resource: int) -> bool:
    """Whether the host implements a resource type."""
    type_ = description.types[resource]
    return isinstance(type_, Resource) and type_.side == "host"


def _handles(data: Data) -> Iterator[Handle]:
    if isinstance(data, Handle):
        if not is_fake(data):
            yield data
    elif isinstance(data, dict):
        for each in data.values():
            yield from _handles(each)
    elif isinstance(data, (list, tuple)):
        for each in data:
            yield from _handles(each)
    elif hasattr(data, "payload"):
        yield from _handles(data.payload)
