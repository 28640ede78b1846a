"""A Python object or module that implements what a component exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hlwasm.errors import ConversionError, Err
from hlwasm.sandbox.imports import interface_keys
from hlwasm.testing.differential.canonical import CanonicalValues
from hlwasm.testing.differential.target import End, Seen
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.data import Data, Handle, from_data, is_fallible, to_data
from hlwasm.testing.scripts.steps import Script, Step, callee_text, fake_handle, is_fake
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import parse_function_name, python_function_name, upper_camel_case
from hlwasm.wit.values import Ok


class PythonObject:
    """Runs scripts by Python functions.

    Interfaces are looked up as those of imports are: as attributes or items, by WIT or Python
    name; the functions of an object that has none may be those of its only interface. A
    resource is a class. A function that returns a ``result`` returns its success or raises
    :class:`hlwasm.Err`; any other exception counts as a trap.

    Args:
        description: of the component under test.
        implementation: a module, class instance or mapping.
        name: what messages call it.
    """

    same_chance = False

    def __init__(self, description: Description, implementation: Any, name: str = "Python") -> None:
        self.name = name
        self._description = description
        self._values = CanonicalValues(description)
        self._calls: dict[int, Any] = {}
        self.cannot: dict[Function, str] = {}
        for function in description.exports:
            found = _implementation(description, implementation, function)
            if found is None:
                self.cannot[function] = f"{name} has no {callee_text(function)}"
            else:
                self._calls[function.index] = found

    def run(self, script: Script, answers: Sequence[HostCall]) -> Sequence[Seen]:
        """See :class:`~hlwasm.testing.differential.target.Target`. Host calls are not seen."""
        live: dict[Handle, Any] = {}
        seen: list[Seen] = []
        for step in script.steps:
            seen.append(self._step(step, live))
            if seen[-1].end is End.FAILED:
                break
        return seen

    def _step(self, step: Step, live: dict[Handle, Any]) -> Seen:
        if any(handle not in live for handle in step.handles()):
            return Seen(End.SKIPPED)
        if step.function is None:
            del live[step.arguments[0]]
            return Seen(End.RETURNED)
        try:
            return Seen(End.RETURNED, self._call(step.function, step, live))
        except ConversionError as error:
            return Seen(End.FAILED, message=f"it did not return a WIT value: {error}")
        except Exception as error:
            return Seen(End.FAILED, message=f"{type(error).__name__}: {error}")

    def _call(self, function: Function, step: Step, live: dict[Handle, Any]) -> Data:
        description = self._description

        def resolve(_: int, handle: Handle) -> Any:
            return object() if is_fake(handle) else live[handle]

        arguments = [
            from_data(description, param.type, data, resolve)
            for param, data in zip(function.params, step.arguments, strict=True)
        ]
        try:
            value = self._calls[function.index](*arguments)
            if is_fallible(function) and not isinstance(value, (Ok, Err)):
                value = Ok(value)
        except Err as error:
            if not is_fallible(function):
                raise
            value = error
        if function.result is None:
            return None
        names = [*step.gives]

        def name(resource: int, obtained: Any) -> Handle:
            for index, (handle, kind) in enumerate(names):
                if kind == resource:
                    del names[index]
                    live[handle] = obtained
                    return handle
            return fake_handle(description, resource)

        value = self._values.canonical(function, value)
        return to_data(description, function.result, value, name)

    def close(self) -> None:
        """There is nothing to free."""


def _implementation(description: Description, given: Any, function: Function) -> Any:
    """What implements an export, None where nothing does."""
    owner = given
    if function.interface is not None:
        found = _find(given, interface_keys(function.interface))
        owner = given if found is None else found
    parsed = parse_function_name(function.name)
    attribute = python_function_name(function.name)
    if parsed.resource is None:
        return _find(owner, (function.name, attribute))
    cls = _find(owner, (parsed.resource, upper_camel_case(parsed.resource)))
    if parsed.kind == "constructor" or cls is None:
        return cls
    return _find(cls, (attribute,))


def _find(container: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if isinstance(container, Mapping):
            if key in container:
                return container[key]
        elif key.isidentifier() and hasattr(container, key):
            return getattr(container, key)
    return None
