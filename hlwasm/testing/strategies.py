"""Hypothesis strategies for the values of any WIT type, and for calls of a component.

::

    from hypothesis import given
    from hlwasm.testing import strategies

    component = hlwasm.load("calculator.wasm")

    @given(strategies.calls(component, "ops"))
    def test_adding_is_commutative(call): ...

Edge values are likely: limits of integers, NaN, infinities and -0.0, empty and longer
strings, characters of all planes, ``none`` at each level, every case.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.testing.described import description_of
from hlwasm.testing.hypothesis_extra import hypothesis
from hlwasm.testing.primitives import Primitives, check_type
from hlwasm.testing.script_strategies import EXTRA_STEPS, callable_functions, scripts_for
from hlwasm.testing.scripts.data import to_data
from hlwasm.testing.scripts.running import run
from hlwasm.testing.scripts.steps import Script, call_text, fake_handle
from hlwasm.testing.value_strategies import Resources, Values, no_resources, values_of
from hlwasm.wit.model import Description, Function, TypeRef
from hlwasm.wit.wave.calls import Call, find_function

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from hlwasm.component import Component
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.testing.constants import Constants

__all__ = ["GeneratedCall", "calls", "run", "scripts", "values"]

st = hypothesis.strategies


def values(
    source: Component | Description,
    type_: TypeRef,
    *,
    resources: Resources = no_resources,
    allow_nan: bool = True,
    constants: Constants | None = None,
) -> SearchStrategy[Any]:
    """Values of a type, as functions of the component take and return them.

    Args:
        source: the component or its description.
        type_: WIT name of a primitive, or the index of a type in the description, such as
            ``function.params[0].type``.
        resources: gives the strategy for a resource type, by its index, and whether the value
            is owned.
        allow_nan: whether floats may be NaN, which is not equal to itself.
        constants: what is likely, too, such as ``constants_of(component)`` of
            :mod:`hlwasm.testing.constants`.

    Raises:
        TypeError: the type has resources, and nothing is given for them; or ``type_`` is
            neither a name nor an index.
        ValueError: there is no such type.
    """
    description = description_of(source)
    check_type(description, type_)
    return values_of(description, type_, resources, Primitives(constants, allow_nan))


def calls(
    source: Component | Description,
    *names: str,
    resources: Resources = no_resources,
    constants: Constants | None = None,
) -> SearchStrategy[GeneratedCall]:
    """Calls of exported functions with arguments; ``call(sandbox)`` makes one.

    Args:
        source: the component or its description.
        names: functions (``"ops.add"``) and interfaces (``"ops"``); all exports by default.
        resources: as for :func:`values`. Without it functions that take resources of the
            component are left out, and refused if they are named.
        constants: as for :func:`values`.

    Raises:
        LookupError: there is no such function.
        TypeError: a named function takes resources.
    """
    description = description_of(source)
    values = Values(description, resources, Primitives(constants))
    strategies = []
    for function in select(description, names):
        try:
            arguments = st.tuples(*[values.of(each.type) for each in function.params])
        except TypeError:
            if names and function.name in {name.rpartition(".")[2] for name in names}:
                raise
            continue
        strategies.append(arguments.map(partial(_call, function)))
    if not strategies:
        raise LookupError("no exported function can be called without resources")
    return st.one_of(strategies)


class GeneratedCall(Call):
    """A call with its arguments, shown as WAVE; with a sandbox it makes itself."""

    def __call__(self, sandbox: Sandbox) -> Any:
        """Calls the function in a sandbox; what it returns and raises is the call's: something to
        await in an asynchronous one.
        """
        interface = self.function.interface
        owner = sandbox.exports if interface is None else sandbox.exports[interface]
        return owner[self.function.name](*self.arguments)

    def __repr__(self) -> str:
        description = self.function.description
        data = [
            to_data(description, param.type, value, lambda kind, _: fake_handle(description, kind))
            for param, value in zip(self.function.params, self.arguments, strict=True)
        ]
        return call_text(self.function, data)


def _call(function: Function, arguments: Sequence[Any]) -> GeneratedCall:
    return GeneratedCall(function, list(arguments))


def select(description: Description, names: Sequence[str]) -> list[Function]:
    """The exported functions that are meant: by their names, or by their interfaces'.

    Raises:
        LookupError: there is no such function or interface.
    """
    if not names:
        return list(description.exports)
    found: dict[int, Function] = {}
    for name in names:
        members = [each for each in description.exports if _is_interface(each.interface, name)]
        for function in members or [find_function(description, name)]:
            found[function.index] = function
    return [each for each in description.exports if each.index in found]


def _is_interface(interface: str | None, name: str) -> bool:
    if interface is None:
        return False
    package = interface.partition("@")[0]
    return name in (interface, package, package.rpartition("/")[2])


def scripts(
    source: Component | Description,
    *names: str,
    extra_steps: int = EXTRA_STEPS,
    constants: Constants | None = None,
) -> SearchStrategy[Script]:
    """Sequences of calls in one sandbox, in which later calls use the resources of earlier ones.

    Constructors and other functions that give a resource are called before what needs it; what
    was given away is not used again; some resources are dropped on the way. :func:`run` runs
    one in a sandbox.

    Args:
        source: the component or its description.
        names: which functions the last call is of, as for :func:`calls`.
        extra_steps: how many calls there may be that the last one does not need.
        constants: as for :func:`values`.

    Raises:
        LookupError: there is no such function, or none that can be called.
    """
    description = description_of(source)
    chosen = select(description, names)
    callable_ = callable_functions(description)
    targets = [each for each in chosen if each in callable_]
    if not targets:
        raise LookupError("nothing that the component exports can be called from outside")
    return scripts_for(targets, callable_, extra_steps, Primitives(constants))
