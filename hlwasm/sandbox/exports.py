"""The exports of a sandbox: interfaces as attributes, functions as typed callables.

A function is bound (its codec generated) when it is first asked for, and then is a plain
attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hlwasm.sandbox.imports import interface_keys
from hlwasm.sandbox.resources import HeldResource
from hlwasm.wit.model import Description, Function, Resource
from hlwasm.wit.names import identifier, python_function_name, upper_camel_case

# Makes the callable of an exported function.
Bind = Callable[[Function], Callable[..., Any]]


class ResourceClasses:
    """Makes the Python classes of guest resources, one per type and sandbox.

    A class has the resource's methods and static functions; calling it runs the
    resource's constructor.
    """

    def __init__(self, description: Description) -> None:
        self._description = description
        self.by_type: dict[int, type[HeldResource]] = {}

    def build(self, bind: Bind, base: type[HeldResource]) -> None:
        """Makes the class of each resource that the component exports functions of."""
        functions: dict[int, list[Function]] = {}
        for function in self._description.exports:
            if function.resource is not None:
                functions.setdefault(function.resource, []).append(function)
        for type_index, members in functions.items():
            self.by_type[type_index] = self._build_class(type_index, members, bind, base)

    def _build_class(
        self, type_index: int, members: list[Function], bind: Bind, base: type[HeldResource]
    ) -> type[HeldResource]:
        resource = self._description.types[type_index]
        namespace: dict[str, Any] = {"__slots__": (), "__doc__": resource.docs}
        for function in members:
            call = bind(function)
            if function.kind == "constructor":
                namespace["__new__"] = _constructor(call)
                # __new__ returns a finished object, and Python calls __init__ on it again.
                namespace["__init__"] = lambda self, *_, **__: None
            elif function.kind == "static":
                namespace[python_function_name(function.name)] = staticmethod(call)
            else:
                namespace[python_function_name(function.name)] = call
        return type(upper_camel_case(resource.name or "resource"), (base,), namespace)


def _constructor(call: Callable[..., Any]) -> Callable[..., Any]:
    def construct(cls: type[HeldResource], /, *arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    return construct


class _Namespace:
    """Attributes that are worked out at first use."""

    _owner: str
    _resolvers: dict[str, Callable[[], Any]]

    def __getattr__(self, name: str) -> Any:
        resolver = self.__dict__["_resolvers"].get(name)
        if resolver is None:
            known = ", ".join(sorted(self._resolvers)) or "nothing"
            raise AttributeError(f"{self._owner} exports no {name!r}; it exports {known}")
        value = self.__dict__[name] = resolver()
        return value

    def __dir__(self) -> list[str]:
        return sorted(self._resolvers)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._resolvers))


class InterfaceExports(_Namespace):
    """The functions and types of one exported interface.

    Functions are attributes in snake_case and items by WIT name; types are attributes
    in UpperCamelCase.
    """

    def __init__(
        self, name: str, functions: list[Function], types: dict[str, Callable[[], Any]], bind: Bind
    ) -> None:
        self._owner = name
        self._resolvers = {**types}
        self._functions = {function.name: function for function in functions}
        for function in functions:
            if function.resource is None:
                self._resolvers[python_function_name(function.name)] = partial(bind, function)
        self._bind = bind

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """The function of this WIT name, such as ``"add"`` or ``"[method]stream.read"``."""
        try:
            return self._bind(self._functions[name])
        except KeyError:
            known = ", ".join(self._functions) or "no functions"
            raise KeyError(f"{self._owner} has no function {name!r}; it has {known}") from None

    def __repr__(self) -> str:
        return f"<interface {self._owner}: {', '.join(self)}>"


class Exports(_Namespace):
    """All exports of a component.

    Interfaces and world-level functions are attributes (``exports.ops.add``) and items by
    WIT name (``exports["demo:calc/ops@1.0.0"]``, the version and the package may be left
    out where that is unambiguous).
    """

    def __init__(self, description: Description, classes: ResourceClasses, bind: Bind) -> None:
        self._owner = "the component"
        self._resolvers = {}
        self._items: dict[str, Any] = {}
        self._ambiguous: dict[str, list[str]] = {}
        functions: dict[str | None, list[Function]] = {}
        for function in description.exports:
            functions.setdefault(function.interface, []).append(function)
        for function in functions.pop(None, []):
            if function.resource is None:
                self._items[function.name] = partial(bind, function)
                self._resolvers[python_function_name(function.name)] = self._items[function.name]
        interfaces = [i.name for i in description.interfaces if i.direction == "export"]
        for name in dict.fromkeys([*interfaces, *(n for n in functions if n is not None)]):
            types = _type_resolvers(description, name, classes)
            self._add_interface(name, InterfaceExports(name, functions.get(name, []), types, bind))

    def _add_interface(self, name: str, interface: InterfaceExports) -> None:
        for key in interface_keys(name):
            if key in self._ambiguous:
                self._ambiguous[key].append(name)
            elif key in self._items:
                other = self._items.pop(key)
                self._resolvers.pop(key, None)
                self._ambiguous[key] = [getattr(other(), "_owner", key), name]
            else:
                self._items[key] = lambda: interface
        attribute = identifier(name.partition("@")[0].rpartition("/")[2])
        if attribute not in self._ambiguous and attribute not in self._resolvers:
            self._resolvers[attribute] = lambda: interface

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_ambiguous", ()):
            raise AttributeError(
                f"{name!r} is ambiguous: use exports[…] with one of "
                f"{', '.join(self._ambiguous[name])}"
            )
        return super().__getattr__(name)

    def __getitem__(self, name: str) -> Any:
        resolver = self._items.get(name)
        if resolver is None:
            candidates = self._ambiguous.get(name)
            if candidates:
                raise KeyError(f"{name!r} is ambiguous: {', '.join(candidates)}")
            known = ", ".join(self._items) or "nothing"
            raise KeyError(f"the component exports no {name!r}; it exports {known}")
        return resolver()

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __repr__(self) -> str:
        return f"<exports: {', '.join(self)}>"


def _type_resolvers(
    description: Description, interface: str, classes: ResourceClasses
) -> dict[str, Callable[[], Any]]:
    resolvers: dict[str, Callable[[], Any]] = {}
    for name, index in description.types_of(interface, "export").items():
        if isinstance(description.types[index], Resource):
            resolvers[upper_camel_case(name)] = partial(classes.by_type.__getitem__, index)
        elif description.has_python_type(index):
            resolvers[upper_camel_case(name)] = partial(description.python_type, index)
    return resolvers
