"""The exports of a sandbox: interfaces as attributes, functions as typed callables.

A function is bound (its codec generated) when it is first asked for, and then is a plain
attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hlwasm.errors import UnsupportedItem
from hlwasm.sandbox.guest_resources import HeldResource
from hlwasm.sandbox.imports import interface_keys
from hlwasm.wit.model import Description, Function, Resource
from hlwasm.wit.names import interface_attributes, python_function_name, upper_camel_case
from hlwasm.wit.python_types import module_name

# Makes the callable of an exported function.
Bind = Callable[[Function], Callable[..., Any]]


class ResourceClasses(dict[int, "type[HeldResource]"]):
    """Makes the Python classes of guest resources, one per type and sandbox, at first use.

    A class has the resource's methods and static functions; calling it runs the
    resource's constructor.
    """

    def __init__(self, description: Description) -> None:
        super().__init__()
        self._description = description
        self._bind: Bind | None = None
        self._base: type[HeldResource] = HeldResource

    def start(self, bind: Bind, base: type[HeldResource]) -> None:
        """Classes can be made from now on.

        Args:
            bind: makes their functions.
            base: of all classes.
        """
        self._bind, self._base = bind, base

    def __missing__(self, type_index: int) -> type[HeldResource]:
        """Makes the class of a resource type that the component exports."""
        bind = self._bind
        if bind is None or type_index not in self._description.drops_by_resource:
            raise KeyError(type_index)
        members = self._description.exports_by_resource.get(type_index, ())
        # Another thread may have made it meanwhile: there is one.
        return self.setdefault(type_index, self._make(type_index, members, bind))

    def _make(self, type_index: int, members: Sequence[Function], bind: Bind) -> type[HeldResource]:
        resource = self._description.types[type_index]
        name = upper_camel_case(resource.name or "resource")
        docs = resource.docs or f"Resource {resource.wit_name} of the component."
        namespace: dict[str, Any] = {
            "__slots__": (),
            "__doc__": docs,
            "__module__": module_name(resource),
        }
        for function in members:
            call = bind(function)
            if function.kind == "constructor":
                namespace["__new__"] = _constructor(call)
                # __new__ returns a finished object, and Python calls __init__ on it again.
                namespace["__init__"] = lambda self, /, *_, **__: None
                namespace["__signature__"] = _Signature(call)
                namespace["__doc__"] = f"{docs}\n\n{call.__doc__}"
            elif function.kind == "static":
                namespace[python_function_name(function.name)] = staticmethod(call)
            else:
                namespace[python_function_name(function.name)] = call
        declared = self._description.resource_bases.get(type_index)
        bases = (self._base,) if declared is None else (self._base, declared)
        return type(name, bases, namespace)


def _constructor(call: Callable[..., Any]) -> Callable[..., Any]:
    def construct(cls: type[HeldResource], /, *arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    return construct


class _Signature:
    """What calling a class takes: the parameters of its constructor."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __get__(self, _: object, owner: type) -> Any:
        # Only here: inspect takes long to import.
        import inspect

        return inspect.signature(self._call)


class _OwnDocs:
    """``__doc__`` of the class, and for an object what it says of itself, when it is asked."""

    def __init__(self, of_class: str | None) -> None:
        self._of_class = of_class

    def __get__(self, instance: Namespace | None, owner: type) -> str | None:
        return self._of_class if instance is None else instance._help()


class Namespace:
    """Attributes that are worked out at first use; ``help()`` and ``dir()`` tell them all.

    Attributes:
        _owner: what has them, for messages.
        _verb: what it does with them, for messages.
        _targets: what each attribute stands for; shared by all sandboxes of a component.
    """

    _owner: str
    _verb = "exports"
    _targets: Mapping[str, Any]

    def __init_subclass__(cls) -> None:
        # Type checkers know __doc__ as a string, which it is to everybody who asks.
        vars_of: Any = cls
        vars_of.__doc__ = _OwnDocs(cls.__doc__)

    def __getattr__(self, name: str) -> Any:
        # Python asks for names of its own, also of an object that is just being made (a copy).
        if name.startswith("_"):
            raise AttributeError(name)
        targets = self._targets
        if name not in targets:
            known = ", ".join(sorted(targets)) or "nothing"
            message = f"{self._owner} {self._verb} no {name!r}; it {self._verb} {known}"
            raise AttributeError(message, name=name, obj=self)
        value = self.__dict__[name] = self._resolve(targets[name])
        return value

    def _resolve(self, target: Any) -> Any:
        raise NotImplementedError

    def _help(self) -> str:
        """The text of help()."""
        raise NotImplementedError

    def __dir__(self) -> list[str]:
        return sorted(self._targets)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))


class _InterfacePlan:
    """What an exported interface has.

    Attributes:
        functions: by WIT name.
        targets: Python name → a function, or the index of a type.
    """

    def __init__(self, description: Description, name: str) -> None:
        functions = description.exports_by_interface.get(name, ())
        self.functions = {function.name: function for function in functions}
        self.targets: dict[str, Function | int] = {}
        for type_name, index in description.types_of(name, "export").items():
            type_ = description.types[index]
            if isinstance(type_, Resource):
                # One that is used from an imported interface is the user's own class.
                known = type_.side == "guest"
            else:
                known = description.has_python_type(index)
            if known:
                attribute = upper_camel_case(type_name)
                if attribute in self.targets:
                    raise UnsupportedItem(
                        f"{name}: two types are both {attribute} in Python", f"{name}#{type_name}"
                    )
                self.targets[attribute] = index
        for function in functions:
            if function.resource is None:
                self.targets[python_function_name(function.name)] = function


class _Plan:
    """What a component exports.

    Attributes:
        items: by WIT name, or a shorter one: functions of the world, names of interfaces.
        targets: likewise by Python name.
        ambiguous: the names that stand for several interfaces.
    """

    def __init__(self, description: Description) -> None:
        self.description = description
        self.items: dict[str, Function | str] = {}
        self.targets: dict[str, Function | str] = {}
        self.ambiguous: dict[str, list[str]] = {}
        self._interfaces: dict[str, _InterfacePlan] = {}
        functions = description.exports_by_interface
        for function in functions.get(None, ()):
            if function.resource is None:
                self.items[function.name] = function
                self.targets[python_function_name(function.name)] = function
        interfaces = [i.name for i in description.interfaces if i.direction == "export"]
        names = dict.fromkeys([*interfaces, *(n for n in functions if n is not None)])
        for name in names:
            self._add_interface(name)
        for name, attribute in interface_attributes(names).items():
            if attribute not in self.ambiguous:
                self.targets.setdefault(attribute, name)

    def _add_interface(self, name: str) -> None:
        for key in interface_keys(name):
            if key in self.ambiguous:
                self.ambiguous[key].append(name)
            elif key in self.items:
                other = self.items.pop(key)
                self.targets.pop(key, None)
                self.ambiguous[key] = [other if isinstance(other, str) else key, name]
            else:
                self.items[key] = name

    def find(self, name: str) -> Function | str | None:
        """What a WIT name stands for, which may be a compatible version; None for nothing."""
        target = self.items.get(name)
        if target is not None or "@" not in name:
            return target
        # Only here: programs mostly ask for attributes, or for the version that there is.
        from hlwasm.wit.semver import best_name

        found = best_name(name, self.items)
        return None if found is None else self.items[found]

    def interface(self, name: str) -> _InterfacePlan:
        """What the exported interface of this WIT name has."""
        plan = self._interfaces.get(name)
        if plan is None:
            plan = self._interfaces[name] = _InterfacePlan(self.description, name)
        return plan


def exports_named(description: Description, name: str) -> bool:
    """Whether a component exports something that has this name in Python."""
    plan = _plan(description)
    return name in plan.targets or name in plan.ambiguous


def _plan(description: Description) -> _Plan:
    plan = description.cache.get("exports")
    if plan is None:
        plan = description.cache["exports"] = _Plan(description)
    assert isinstance(plan, _Plan)
    return plan


class InterfaceExports(Namespace):
    """The functions and types of one exported interface.

    Functions are attributes in snake_case and items by WIT name; types are attributes
    in UpperCamelCase.
    """

    def __init__(
        self, name: str, description: Description, classes: Mapping[int, Any], bind: Bind
    ) -> None:
        plan = _plan(description).interface(name)
        self._owner = name
        self._targets = plan.targets
        self._functions = plan.functions
        self._description = description
        self._classes = classes
        self._bind = bind

    def _help(self) -> str:
        from hlwasm.sandbox.export_help import interface_help

        return interface_help(self._description, self._owner, self._targets)

    def _resolve(self, target: Function | int) -> Any:
        if isinstance(target, Function):
            return self._bind(target)
        if isinstance(self._description.types[target], Resource):
            return self._classes[target]
        return self._description.python_type(target)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """The function of this WIT name, such as ``"add"`` or ``"[method]stream.read"``."""
        try:
            return self._bind(self._functions[name])
        except KeyError:
            known = ", ".join(self._functions) or "no functions"
            raise KeyError(f"{self._owner} has no function {name!r}; it has {known}") from None

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._functions)

    def __repr__(self) -> str:
        return f"<interface {self._owner}: {', '.join(self)}>"


class Exports(Namespace):
    """All exports of a component.

    Interfaces and world-level functions are attributes (``exports.ops.add``) and items by
    WIT name (``exports["demo:calc/ops@1.0.0"]``; another version on the same track does, and
    the version and the package may be left out where that is unambiguous).
    """

    def __init__(self, description: Description, classes: Mapping[int, Any], bind: Bind) -> None:
        plan = _plan(description)
        self._owner = "the component"
        self._targets = plan.targets
        self._plan = plan
        self._classes = classes
        self._bind = bind
        self._interfaces: dict[str, InterfaceExports] = {}

    def _help(self) -> str:
        from hlwasm.sandbox.export_help import world_help

        return world_help(self._plan.description, self._targets)

    def _resolve(self, target: Function | str) -> Any:
        if isinstance(target, Function):
            return self._bind(target)
        found = self._interfaces.get(target)
        if found is None:
            found = InterfaceExports(target, self._plan.description, self._classes, self._bind)
            self._interfaces[target] = found
        return found

    def __getattr__(self, name: str) -> Any:
        ambiguous = () if name.startswith("_") else self._plan.ambiguous.get(name, ())
        if ambiguous:
            raise AttributeError(
                f"{name!r} is ambiguous: use exports[…] with one of {', '.join(ambiguous)}",
                name=name,
                obj=self,
            )
        return super().__getattr__(name)

    def __getitem__(self, name: str) -> Any:
        plan = self._plan
        target = plan.find(name)
        if target is None:
            candidates = plan.ambiguous.get(name)
            if candidates:
                raise KeyError(f"{name!r} is ambiguous: {', '.join(candidates)}")
            known = ", ".join(plan.items) or "nothing"
            version = " and no version compatible with it" if "@" in name else ""
            raise KeyError(f"the component exports no {name!r}{version}; it exports {known}")
        return self._resolve(target)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._plan.find(name) is not None

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._plan.items)

    def __repr__(self) -> str:
        return f"<exports: {', '.join(self)}>"
