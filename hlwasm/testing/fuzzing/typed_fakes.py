"""Imports that answer with values of their WIT types, and note who asked what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.testing.scripts.data import Data, Handle, from_data, to_data
from hlwasm.testing.scripts.steps import callee_text, data_text, fake_handle, parse_data
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import parse_function_name, python_function_name
from hlwasm.wit.wave import WaveError

if TYPE_CHECKING:
    from hlwasm.component import Component

#: Gives the data that an imported function answers with.
Answer = Callable[[Function], Data]


@dataclass(frozen=True)
class HostCall:
    """A call that the component made.

    Attributes:
        function: what it called.
        arguments: data; resources of the host are ``fake-…`` without a number.
        answer: data, None where there is no result.
    """

    function: Function
    arguments: tuple[Data, ...]
    answer: Data

    def __str__(self) -> str:
        """As ``--answer`` takes it."""
        name = callee_text(self.function)
        if self.function.result is None or self.function.kind == "constructor":
            return name
        text = data_text(self.function.description, self.function.result, self.answer)
        return f"{name} = {text}"


def parse_answer(description: Description, line: str) -> HostCall:
    """Reads an answer as :class:`HostCall` writes it; what it was called with is not there.

    Raises:
        WaveError: there is no such import, or the value is not of its result's type.
    """
    name, equals, value = line.partition("=")
    functions = {callee_text(each): each for each in description.imports}
    function = functions.get(name.strip())
    if function is None:
        known = ", ".join(functions) or "nothing"
        raise WaveError(line, 0, f"no import is called {name.strip()}; there are {known}")
    if function.result is None or function.kind == "constructor":
        if equals:
            raise WaveError(line, len(name), f"{function.name} has no result to give")
        return HostCall(function, (), None)
    return HostCall(function, (), parse_data(description, function.result, value))


class StatelessResource:
    """A resource of the host's without a state."""

    def __init__(self, *_: Any) -> None:
        pass

    def __hlwasm_capture__(self) -> Callable[[], StatelessResource]:
        # Not by its constructor, which notes a call.
        return partial(object.__new__, type(self))


class TypedFakes:
    """All imports of a component that hlwasm does not provide.

    Attributes:
        imports: for :meth:`hlwasm.Component.instantiate`.
        answer: asked at each call; to be set before one.
        calls: what was called since :meth:`start`.
    """

    def __init__(self, component: Component, answer: Answer) -> None:
        self._description = component.description
        self.answer = answer
        self.calls: list[HostCall] = []
        self._classes: dict[int, type[StatelessResource]] = {}
        providers = component._providers(None)
        self.imports: dict[str, Any] = {}
        for function in self._description.imports:
            interface = function.interface
            if interface is not None and any(each.provides(interface) for each in providers):
                continue
            members = self.imports if interface is None else self.imports.setdefault(interface, {})
            self._add(function, members)

    def _add(self, function: Function, members: dict[str, Any]) -> None:
        parsed = parse_function_name(function.name)
        if function.resource is None or parsed.resource is None:
            members[function.name] = self._plain(function)
            return
        cls = members.setdefault(parsed.resource, self._class(function.resource))
        if function.kind == "constructor":

            def construct(this: StatelessResource, *arguments: Any) -> None:
                self._note(function, arguments, None)

            cls.__init__ = construct
        else:
            served: Any = self._plain(function)
            attribute = python_function_name(function.name)
            setattr(cls, attribute, staticmethod(served) if parsed.kind == "static" else served)

    def _plain(self, function: Function) -> Callable[..., Any]:
        def serve(*arguments: Any) -> Any:
            data = None if function.result is None else self.answer(function)
            self._note(function, arguments, data)
            return from_data(self._description, function.result, data, self._resolve)

        return serve

    def _note(self, function: Function, arguments: tuple[Any, ...], answer: Data) -> None:
        data = tuple(
            [
                to_data(self._description, param.type, value, self._name)
                for param, value in zip(function.params, arguments, strict=False)
            ]
        )
        self.calls.append(HostCall(function, data, answer))

    def _class(self, resource: int) -> type[StatelessResource]:
        found = self._classes.get(resource)
        if found is None:
            name = self._description.types[resource].name or "resource"
            found = self._classes[resource] = type(name, (StatelessResource,), {})
        return found

    def _name(self, resource: int, _: Any) -> Handle:
        return fake_handle(self._description, resource)

    def _resolve(self, resource: int, _: Handle) -> Any:
        return self.new(resource)

    def new(self, resource: int) -> StatelessResource:
        """A new resource of the host's, not made by the component."""
        return object.__new__(self._class(resource))
