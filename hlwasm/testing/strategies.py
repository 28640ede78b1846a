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

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.codec.checks import INTEGER_RANGE
from hlwasm.errors import Err
from hlwasm.testing.described import description_of
from hlwasm.testing.hypothesis_extra import hypothesis
from hlwasm.testing.primitives import Primitives, check_type
from hlwasm.testing.scripts.data import Handle, to_data
from hlwasm.testing.scripts.running import run
from hlwasm.testing.scripts.steps import (
    Script,
    Step,
    call_text,
    fake_handle,
    is_host_side,
    is_program,
    resources_in,
)
from hlwasm.wit import model
from hlwasm.wit.model import Description, Function, TypeRef
from hlwasm.wit.names import upper_camel_case
from hlwasm.wit.python_types import python_types
from hlwasm.wit.values import Ok, Some
from hlwasm.wit.wave.calls import Call, find_function

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from hlwasm.component import Component
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.testing.constants import Constants

__all__ = ["GeneratedCall", "calls", "run", "scripts", "values"]

st = hypothesis.strategies

#: Gives the strategy for the handles of a resource type; the flag says whether it is owned.
Resources = Callable[[int, bool], "SearchStrategy[Any]"]

_LONGEST_LIST = 6
# Hypothesis puts the cases of cases into one list, which doubles with each level of a type whose
# cases share a type.
_MOST_BRANCHES = 200
# Where a script gets the resources that its calls need, one level inside of the other.
_DEEPEST_RECIPE = 4
_EXTRA_STEPS = 4
_MOST_SEEN = 20
_PLAIN = Primitives()
_IDENTIFYING = frozenset(["u8", "u16", "u32", "u64", "s16", "s32", "s64", "string"])


def no_resources(resource: int, owned: bool) -> SearchStrategy[Any]:
    """Refuses resources, which only exist in a sandbox."""
    raise TypeError(
        "values with resources of a component exist in a sandbox only: "
        "use strategies.scripts, whose calls obtain them, or pass resources=…"
    )


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


def values_of(
    description: Description, type_: TypeRef, resources: Resources, primitives: Primitives
) -> SearchStrategy[Any]:
    """As :func:`values`, with strategies of primitive types that are there already."""
    return _Values(description, resources, primitives).of(type_)


class _Values:
    """The strategies of one description's types."""

    def __init__(
        self,
        description: Description,
        resources: Resources,
        primitives: Primitives,
        primitive: Callable[[str], SearchStrategy[Any]] | None = None,
    ) -> None:
        self._description = description
        self._resources = resources
        self._primitives = primitives
        self._primitive = primitive or primitives.of
        self._made: dict[TypeRef | None, SearchStrategy[Any]] = {None: st.none()}
        # How many cases there are in types with cases, those of their payloads included.
        self._branches: dict[TypeRef | None, int] = {}

    def of(self, ref: TypeRef | None) -> SearchStrategy[Any]:
        found = self._made.get(ref)
        if found is None:
            found = self._primitive(ref) if isinstance(ref, str) else self._make(ref)
            self._made[ref] = found
        return found

    def _make(self, ref: Any) -> SearchStrategy[Any]:
        type_ = self._description.types[ref]
        if isinstance(type_, model.Record):
            cls = self._description.python_type(ref)
            return st.tuples(*[self.of(each.type) for each in type_.fields]).map(lambda v: cls(*v))
        if isinstance(type_, model.Tuple):
            return st.tuples(*[self.of(each) for each in type_.types])
        if isinstance(type_, model.List):
            if type_.element == "u8":
                return self._primitives.of("bytes")
            return st.lists(self.of(type_.element), max_size=_LONGEST_LIST)
        if isinstance(type_, model.Option):
            some = self.of(type_.some)
            if python_types(self._description).is_option(type_.some):
                some = some.map(Some)
            return self._any_of(ref, [None, type_.some], [st.none(), some])
        if isinstance(type_, model.Result):
            arms = [self.of(type_.ok).map(Ok), self.of(type_.err).map(Err)]
            return self._any_of(ref, [type_.ok, type_.err], arms)
        if isinstance(type_, model.Enum):
            return st.sampled_from(list(self._description.python_type(ref)))
        if isinstance(type_, model.Flags):
            return self._flags(type_)
        if isinstance(type_, model.Variant):
            cases = [self._case(type_, case.name, case.type) for case in type_.cases]
            return self._any_of(ref, [case.type for case in type_.cases], cases)
        assert isinstance(type_, (model.Own, model.Borrow))
        return self._resources(type_.resource, isinstance(type_, model.Own))

    def _any_of(
        self,
        ref: TypeRef,
        payloads: Sequence[TypeRef | None],
        cases: Sequence[SearchStrategy[Any]],
    ) -> SearchStrategy[Any]:
        branches = sum(self._branches.get(payload, 1) for payload in payloads)
        if branches <= _MOST_BRANCHES:
            self._branches[ref] = branches
            return st.one_of(cases)
        return st.integers(0, len(cases) - 1).flatmap(cases.__getitem__)

    def _flags(self, type_: model.Flags) -> SearchStrategy[Any]:
        every = (1 << len(type_.flags)) - 1
        edges = [0, *[1 << i for i in range(len(type_.flags))], every]
        bits = st.sampled_from(edges) | st.integers(0, every)
        return bits.map(self._description.python_type(type_.index).from_bits)

    def _case(
        self, type_: model.Variant, name: str, payload: TypeRef | None
    ) -> SearchStrategy[Any]:
        cls = getattr(self._description.python_type(type_.index), upper_camel_case(name))
        return st.builds(cls) if payload is None else self.of(payload).map(cls)


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
    values = _Values(description, resources, Primitives(constants))
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
    extra_steps: int = _EXTRA_STEPS,
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


def scripts_for(
    targets: Sequence[Function],
    others: Sequence[Function],
    extra_steps: int = _EXTRA_STEPS,
    primitives: Primitives = _PLAIN,
) -> SearchStrategy[Script]:
    """As :func:`scripts`.

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
        values = _Values(description, there, _PLAIN)
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
        self._values = _Values(description, self._resource, primitives, self._primitive)
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
