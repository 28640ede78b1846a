"""A Python object or module that implements what a component exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hlwasm.codec.layout import align_up
from hlwasm.codec.reference import Lifting, Lowering, Reference
from hlwasm.errors import ConversionError, Err, TransferLimitExceeded
from hlwasm.sandbox.imports import interface_keys
from hlwasm.testing.differential.target import End, Seen
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.data import Data, Handle, from_data, is_fallible, to_data
from hlwasm.testing.scripts.steps import Script, Step, callee_text, fake_handle, is_fake
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import parse_function_name, python_function_name, upper_camel_case
from hlwasm.wit.values import Ok

_FIRST_MEMORY = 1 << 16
_LARGEST_MEMORY = 1 << 28


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
        self._values = _Values(description)
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


class _Values:
    """Python values as codecs lift them: what is as good as a WIT value becomes one."""

    def __init__(self, description: Description) -> None:
        self._reference = Reference(description)

    def canonical(self, function: Function, value: Any) -> Any:
        """The result of a function as the component's own would look.

        Raises:
            ConversionError: the value does not fit the type.
        """
        assert function.result is not None
        label = f"{callee_text(function)}: result"
        size = _FIRST_MEMORY
        while True:
            try:
                return self._through(memoryview(bytearray(size)), function.result, value, label)
            except TransferLimitExceeded:
                size *= 16
                if size > _LARGEST_MEMORY:
                    raise

    def _through(self, memory: memoryview, ref: Any, value: Any, label: str) -> Any:
        resources = _Objects()
        shape = self._reference.layout.shape(ref)
        lowering = Lowering(memory, align_up(shape.size, 16), resources)
        self._reference.lower(lowering, ref, 0, value, label)
        return self._reference.lift(Lifting(memory, len(memory), resources), ref, 0, label)


class _Objects:
    """Any object stands for a resource; its handle is its place in a list."""

    def __init__(self) -> None:
        self._objects: list[Any] = []

    def lower_own(self, type_index: int, value: Any) -> int:
        self._objects.append(value)
        return len(self._objects) - 1

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        pass

    put_back = take_back
    lower_borrow = lower_own

    def lift_own(self, type_index: int, handle: int) -> Any:
        return self._objects[handle]

    lift_borrow = lift_own
