"""Calls a component and something else alike, and looks for differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlwasm.testing.constants import Constants, check_constants
from hlwasm.testing.fuzzing.fuzzer import fuzz
from hlwasm.testing.fuzzing.report import Report
from hlwasm.testing.fuzzing.runner import limits_of

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits
    from hlwasm.testing.differential.target import Target


def compare(
    component: Component,
    other: Any,
    *names: str,
    deadline: float = 1.0,
    constants: Constants | None = None,
    **options: Any,
) -> Report:
    """Calls exported functions with generated arguments, here and there.

    Args:
        component: what to test.
        other: another component; a Python object, module or mapping that implements what the
            component exports; or a target of :mod:`hlwasm.testing.differential`, such as a
            ``WasmtimeProcess``, which stays open.
        names: functions and interfaces; all exports by default.
        deadline: seconds of CPU time of a call.
        constants: are likely among the arguments; by default those of the code of ``component``,
            if it was loaded from a file.
        options: as for :func:`hlwasm.testing.fuzz`.

    Returns:
        The report: a difference is a failure of kind ``DIFFERENT``, whose message has both
        results and the path to what differs first.
    """
    check_constants(constants)
    target = target_of(component, other, limits_of(deadline))
    options.update(deadline=deadline, constants=constants)
    try:
        return fuzz(component, *names, against=target, **options)
    finally:
        if target is not other:
            target.close()


def target_of(component: Component, other: Any, limits: Limits, name: str = "Python") -> Target:
    """What runs scripts by ``other``; see :func:`compare`.

    Args:
        component: the component under test.
        other: what is compared with it.
        limits: of each call.
        name: what messages call a Python object.

    Raises:
        InstantiationFailed, HlwasmError: the other component cannot be instantiated.
    """
    from hlwasm.component import Component
    from hlwasm.testing.differential.another_component import AnotherComponent
    from hlwasm.testing.differential.python_object import PythonObject
    from hlwasm.testing.differential.wasmtime_process import WasmtimeProcess

    if isinstance(other, (AnotherComponent, PythonObject, WasmtimeProcess)):
        return other
    if isinstance(other, Component):
        return AnotherComponent(component.description, other, limits)
    return PythonObject(component.description, other, name)
