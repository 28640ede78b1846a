"""Runs the steps of a script in a sandbox, and knows the resources that there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlwasm.errors import Err
from hlwasm.sandbox.guest_resources import GuestResource
from hlwasm.sandbox.sandbox import Sandbox
from hlwasm.testing.scripts.data import Data, Handle, from_data, is_fallible, to_data
from hlwasm.testing.scripts.steps import Script, Step, fake_handle, is_fake
from hlwasm.wit.model import Description, Function
from hlwasm.wit.values import Ok

if TYPE_CHECKING:
    from hlwasm.sandbox.exports import Exports


class ScriptRun:
    """One run of a script.

    Args:
        description: of the component.
        exports: the sandbox's.
        new_resource: makes a resource of the host's, of this type.
    """

    def __init__(
        self, description: Description, exports: Exports, new_resource: Callable[[int], Any]
    ) -> None:
        self._description = description
        self._exports = exports
        self._new_resource = new_resource
        self._live: dict[Handle, Any] = {}

    def lacks(self, step: Step) -> bool:
        """Whether a resource is not there that the step uses: its call returned none."""
        return any(handle not in self._live for handle in step.handles())

    def step(self, step: Step) -> tuple[Any, Data]:
        """Runs a step; returns its result as a value, in Ok or Err where it has arms, and as data.

        Raises:
            HlwasmError: the call did not return.
        """
        if step.function is None:
            # Its class may have a method of this name from its WIT.
            GuestResource.drop(self._live.pop(step.arguments[0]))
            return None, None
        value = self._call(step.function, step.arguments)
        return value, self._data(step, value)

    def _call(self, function: Function, arguments: tuple[Data, ...]) -> Any:
        values = [
            from_data(self._description, param.type, data, self._resolve)
            for param, data in zip(function.params, arguments, strict=True)
        ]
        interface = function.interface
        owner = self._exports if interface is None else self._exports[interface]
        call = owner[function.name]
        try:
            value = call(*values)
        except Err as error:
            return error
        return Ok(value) if is_fallible(function) else value

    def _data(self, step: Step, value: Any) -> Data:
        """The result as data; its resources are kept under the names that the step gives them."""
        given: dict[int, deque[Handle]] = {}
        for handle, resource in step.gives:
            given.setdefault(resource, deque()).append(handle)

        def name(resource: int, obtained: Any) -> Handle:
            names = given.get(resource)
            if not names:
                # Kept, as otherwise its finaliser would drop it between two calls.
                self._live[Handle(f"unnamed {len(self._live)}")] = obtained
                return fake_handle(self._description, resource)
            self._live[names[0]] = obtained
            return names.popleft()

        assert step.function is not None
        return to_data(self._description, step.function.result, value, name)

    def _resolve(self, resource: int, handle: Handle) -> Any:
        return self._new_resource(resource) if is_fake(handle) else self._live[handle]


def run(script: Script, sandbox: Sandbox) -> list[Any]:
    """Runs a script in a sandbox, for tests with pytest and Hypothesis.

    Returns:
        The result of each step: an ``Ok`` or ``Err`` where the function returns a ``result``;
        None of a drop, and of a step whose resource was not there.

    Raises:
        HlwasmError: a call did not return.
        TypeError: its calls would have to be awaited.
    """
    if not isinstance(sandbox, Sandbox):
        raise TypeError(
            f"run: expected a hlwasm.Sandbox, not {type(sandbox).__name__}: use instantiate()"
        )
    running = ScriptRun(sandbox.component.description, sandbox.exports, lambda _: object())
    return [None if running.lacks(step) else running.step(step)[0] for step in script.steps]
