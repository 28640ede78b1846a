"""Linking: which Python callable serves which import.

Imports may be given as a mapping, a module or any object. Names are looked up from the
most to the least exact: for the interface ``demo:calc/host@1.0.0`` the keys
``demo:calc/host@1.0.0``, ``demo:calc/host``, ``host``, and for attributes ``host``.
An interface is again a mapping, a module or an object; its functions are found under
their WIT name or their Python name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Protocol

from hlwasm.errors import LinkError
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import (
    identifier,
    parse_function_name,
    python_function_name,
    upper_camel_case,
)

if TYPE_CHECKING:
    from hlwasm.sandbox.captured import Captured
    from hlwasm.sandbox.meter import CallMeter

Implementation = Callable[..., Any]
# Gives the implementation of an import when it is first called.
Resolver = Callable[[], Implementation]

_MISSING = object()
# Of a code object that takes any number of positional arguments; see `inspect`.
_VARARGS = 4


class Suspended(BaseException):
    """Raised by a provider's host function instead of waiting: it did nothing yet, and is to
    be called again, with the same arguments, when ``until()`` has been awaited.

    No Exception: it is for the call loop alone.
    """

    def __init__(self, until: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.until = until


class Provider(Protocol):
    """A source of interfaces, such as WASI.

    Attributes:
        suspends: set while a host function runs that may raise :class:`Suspended`.
    """

    suspends: bool

    def restartable(self, interface: str, function: str) -> bool:
        """Whether the host function of these WIT names does nothing before it waits."""

    def provides(self, name: str) -> bool:
        """Whether it has the interface of this WIT name, with all functions."""

    def interface(self, name: str) -> Any:
        """The implementation of an interface that it provides."""

    def count_output(self, meter: CallMeter) -> None:
        """Has the meter allow each byte that the guest writes; called once, before it runs."""

    def interrupt(self, error: BaseException) -> None:
        """Raises ``error`` in a host function that waits; called from any thread."""

    def clear_interrupt(self) -> None:
        """Forgets an interrupt that found no host function waiting."""

    def repeatable(self, interface: str, function: str) -> bool:
        """Whether a call is the same in any process in which :meth:`repeatable_answers` are."""

    def repeatable_answers(self) -> object:
        """All that repeatable functions can answer, as plain data to compare or hash."""

    def capture(self) -> Any:
        """Its state for a snapshot, immutable and picklable. Nothing runs meanwhile.

        Raises:
            SnapshotError: it cannot be captured now.
        """

    def restore(self, state: Any) -> None:
        """Goes back to a state that this provider, or one of the same kind, captured.

        Raises:
            SnapshotError: the state does not fit this provider.
        """

    def capture_resource(self, value: object) -> Captured | None:
        """How to make a host resource again; None where it is none of this provider's.

        Raises:
            SnapshotError: it is, and cannot be captured.
        """

    def restore_resource(self, token: Any) -> object:
        """Makes what :meth:`capture_resource` captured, here or in a provider of the same kind."""

    def close(self) -> None:
        """The sandbox is closed."""


@lru_cache(maxsize=1024)
def interface_keys(name: str) -> tuple[str, ...]:
    """The names under which an interface may be given, most exact first."""
    base = name.partition("@")[0]
    short = base.rpartition("/")[2]
    return tuple(dict.fromkeys((name, base, short, identifier(short))))


def lookup(container: Any, keys: Iterable[str]) -> Any:
    """Finds the first of ``keys`` in a mapping or among an object's attributes."""
    if container is None:
        return _MISSING
    if isinstance(container, Mapping):
        for key in keys:
            if key in container:
                return container[key]
        return _MISSING
    for key in keys:
        # Dunder and private names are never imports.
        if key.isidentifier() and not key.startswith("_"):
            found = getattr(container, key, _MISSING)
            if found is not _MISSING:
                return found
    return _MISSING


def _resource_member(interface: Any, function: Function, resource: str) -> Any:
    """The implementation of a constructor, static function or method of a resource."""
    owner = lookup(interface, (resource, upper_camel_case(resource)))
    attribute = python_function_name(function.name)
    if function.kind == "method":
        if isinstance(owner, type) and not hasattr(owner, attribute):
            return _MISSING

        # The object decides at the call, so any object can stand for the resource.
        def method(this: Any, *arguments: Any) -> Any:
            return getattr(this, attribute)(*arguments)

        return method
    if owner is _MISSING or function.kind == "constructor":
        return owner
    return lookup(owner, (parse_function_name(function.name).name, attribute))


def _arity_problem(function: Function, implementation: Implementation) -> str | None:
    """Whether the callable cannot take the function's arguments, said in words."""
    count = len(function.params)
    plain: Any = implementation
    given = count
    if _is_plain_class(plain):
        plain, given = plain.__init__, count + 1
    elif isinstance(plain, MethodType):
        plain, given = plain.__func__, count + 1
    if isinstance(plain, FunctionType) and _takes(plain, given):
        return None
    # Only here: most functions are plain ones that fit, and inspect takes long to import.
    import inspect

    try:
        signature = inspect.signature(implementation)
    except (TypeError, ValueError):
        return None  # a builtin that does not tell
    try:
        signature.bind(*[None] * count)
    except TypeError:
        names = ", ".join(p.name for p in function.params)
        return f"takes {count} argument{'s' * (count != 1)} ({names}), but got {signature}"
    return None


def _is_plain_class(implementation: Any) -> bool:
    """Whether a call runs its ``__init__`` alone."""
    own_new: object = getattr(implementation, "__new__", None)
    return type(implementation) is type and own_new is object.__new__


def _takes(implementation: FunctionType, count: int) -> bool:
    """Whether a function surely takes so many positional arguments; False where it is unclear."""
    code = implementation.__code__
    if code.co_kwonlyargcount or hasattr(implementation, "__wrapped__"):
        return False
    required = code.co_argcount - len(implementation.__defaults__ or ())
    return required <= count and (count <= code.co_argcount or bool(code.co_flags & _VARARGS))


class Links(Mapping[int, Resolver]):
    """What gives the implementation of each import, by its index.

    What providers have is looked up no earlier than it is called: a program for WASI imports
    a hundred functions and calls five, and is linked anew in each clone.
    """

    def __init__(self, functions: Mapping[int, Function], find: Callable[[Function], Any]) -> None:
        self._functions = functions
        self._find = find
        self._given: dict[int, Resolver] = {}

    def give(self, index: int, implementation: Implementation) -> None:
        """Links an import to what the user gave."""
        self._given[index] = lambda: implementation

    def __getitem__(self, index: int) -> Resolver:
        given = self._given.get(index)
        if given is not None:
            return given
        function = self._functions[index]
        return lambda: self._find(function)

    def __iter__(self) -> Iterator[int]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


class Linker:
    """Finds an implementation for every import of a component.

    Args:
        description: the component's.
        given: what the user passed as imports.
        providers: asked for interfaces that the user did not give, in order.

    Attributes:
        provided: the interfaces that come from providers, by WIT name, and from which; known
            when linked.
    """

    def __init__(
        self, description: Description, given: Any, providers: Iterable[Provider] = ()
    ) -> None:
        self._description = description
        self._given = given
        self._providers = tuple(providers)
        self.provided: dict[str | None, Provider] = {}
        self._problems: list[str] = []
        self._used: set[str] = set()

    def link(self) -> Links:
        """Returns what gives the implementation of each import.

        Raises:
            LinkError: naming everything that is missing, mistyped or unknown.
        """
        linked = Links(self._description.imports_by_index, self._provided_member)
        by_interface = self._description.imports_by_interface
        for name, functions in by_interface.items():
            if name is None:
                self._link_world(functions, linked)
            else:
                self._link_interface(name, functions, linked)
        self._check_unknown(by_interface)
        if self._problems:
            lines = "\n".join(f"  - {problem}" for problem in self._problems)
            raise LinkError(f"the imports do not fit the component:\n{lines}", (*self._problems,))
        return linked

    def _link_world(self, functions: Sequence[Function], linked: Links) -> None:
        for function in functions:
            keys = (function.name, python_function_name(function.name))
            self._used.update(keys)
            found = (
                _resource_member(self._given, function, self._resource(function))
                if function.resource is not None
                else lookup(self._given, keys)
            )
            self._add(function, found, linked)

    def _link_interface(self, name: str, functions: Sequence[Function], linked: Links) -> None:
        keys = interface_keys(name)
        self._used.update(keys)
        interface = lookup(self._given, keys)
        if interface is not _MISSING:
            for function in functions:
                self._add(function, self._member(interface, function), linked)
            return
        for provider in self._providers:
            if provider.provides(name):
                self.provided[name] = provider
                return
        names = ", ".join(function.name for function in functions)
        self._problems.append(f"{name}: missing, with {names}")

    def _provided_member(self, function: Function) -> Any:
        provider = self.provided[function.interface]
        return self._member(provider.interface(function.interface or ""), function)

    def _member(self, interface: Any, function: Function) -> Any:
        if function.resource is not None:
            return _resource_member(interface, function, self._resource(function))
        return lookup(interface, (function.name, python_function_name(function.name)))

    def _resource(self, function: Function) -> str:
        assert function.resource is not None
        return self._description.types[function.resource].name or "resource"

    def _add(
        self,
        function: Function,
        found: Any,
        linked: Links,
    ) -> None:
        name = f"{function.interface}#{function.name}" if function.interface else function.name
        if found is _MISSING:
            self._problems.append(f"{name}: missing")
        elif not callable(found):
            self._problems.append(f"{name}: {type(found).__name__} is not callable")
        elif function.kind != "method" and (p := _arity_problem(function, found)):
            self._problems.append(f"{name}: {p}")
        else:
            linked.give(function.index, found)

    def _check_unknown(self, by_interface: Mapping[str | None, Sequence[Function]]) -> None:
        """A key that fits no import is most likely a misspelt one."""
        if not isinstance(self._given, Mapping):
            return
        # An interface of types only has no functions, and may be given all the same.
        for interface in self._description.interfaces:
            if interface.direction == "import":
                self._used.update(interface_keys(interface.name))
        for key in self._given:
            if key not in self._used:
                known = sorted(name or "world-level functions" for name in by_interface)
                imports = ", ".join(known) or "nothing"
                self._problems.append(f"{key}: not an import; the component imports {imports}")
