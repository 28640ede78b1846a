"""Linking: which Python callable serves which import.

Imports may be given as a mapping, a module or any object. Names are looked up from the most
to the least exact; for the interface ``demo:calc/host@1.2.0``:

1. ``demo:calc/host@1.2.0`` itself,
2. the highest version on its track (``hlwasm.wit.semver``): ``demo:calc/host@1.4.1``, ``@1.0.0``,
3. ``demo:calc/host``, which stands for all versions,
4. ``host``, also as an attribute.

An interface is again a mapping, a module or an object; its functions are found under their
WIT name or their Python name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from hlwasm.errors import LinkError
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import (
    identifier,
    parse_function_name,
    python_function_name,
    upper_camel_case,
)

if TYPE_CHECKING:
    from hlwasm.sandbox.providers import Provider

Implementation = Callable[..., Any]
# Gives the implementation of an import when it is first called.
Resolver = Callable[[], Implementation]

MISSING = object()
# Of a code object that takes any number of positional arguments; see `inspect`.
_VARARGS = 4


@lru_cache(maxsize=1024)
def interface_keys(name: str) -> tuple[str, ...]:
    """The names under which an interface may be given, most exact first; other versions apart."""
    base = name.partition("@")[0]
    short = base.rpartition("/")[2]
    return tuple(dict.fromkeys((name, base, short, identifier(short))))


@lru_cache(maxsize=4096)
def _attributes(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that can be attributes. Dunder and private names are never imports."""
    return tuple([key for key in keys if key.isidentifier() and not key.startswith("_")])


def lookup(container: Any, keys: tuple[str, ...]) -> Any:
    """Finds the first of ``keys`` in a mapping or among an object's attributes."""
    if container is None:
        return MISSING
    if isinstance(container, Mapping):
        for key in keys:
            if key in container:
                return container[key]
        return MISSING
    return _attribute(container, keys)


def _attribute(container: Any, keys: tuple[str, ...]) -> Any:
    for key in _attributes(keys):
        found = getattr(container, key, MISSING)
        if found is not MISSING:
            return found
    return MISSING


class Given:
    """Finds interfaces in what the user gave.

    Attributes:
        imports: what the user gave.
        by_key: whether it is a mapping, or nothing.
    """

    def __init__(self, imports: Any) -> None:
        self.imports = imports
        # Asked once: all interfaces are linked anew in each clone.
        self.by_key = imports is None or isinstance(imports, Mapping)
        # Interface without version → versions under which it was given.
        self._versions: dict[str, list[str]] = {}
        if self.by_key:
            for key in imports or ():
                base, at, version = str(key).partition("@")
                if at:
                    self._versions.setdefault(base, []).append(version)

    def interface(self, name: str) -> Any:
        """What serves an interface, MISSING where nothing was given for it."""
        key = self.stand_in(name) if self._versions else None
        if key is not None:
            return self.imports[key]
        find = lookup if self.by_key else _attribute
        return find(self.imports, interface_keys(name))

    def stand_in(self, name: str) -> str | None:
        """The key of the version that serves an interface, None where no version does."""
        base, _, wanted = name.partition("@")
        versions = self._versions.get(base)
        if not versions or not wanted:
            return None
        # Only here: most imports are given without versions.
        from hlwasm.wit.semver import best

        version = best(wanted, versions)
        return None if version is None else f"{base}@{version}"

    def why_missing(self, name: str) -> str:
        """Says of an interface that nothing serves why what was given does not; or ``""``."""
        base, _, wanted = name.partition("@")
        versions = self._versions.get(base)
        if not versions:
            return ""
        given = " and ".join(f"@{version}" for version in versions)
        if not wanted:
            return f'{given} is given, and it is imported without version: write "{base}"'
        return (
            f"given: {given}; compatible: {_compatible(wanted)}; "
            f'write "{name}", or "{base}" for all versions'
        )


def _compatible(version: str) -> str:
    from hlwasm.wit.semver import NotAVersion, parse_version

    try:
        parsed = parse_version(version)
    except NotAVersion:
        return f"@{version} alone"
    if parsed.prerelease or not (parsed.major or parsed.minor):
        return f"@{parsed.track} alone"
    return f"any @{parsed.track}.x"


def _resource_member(interface: Any, function: Function, keys: tuple[str, str]) -> Any:
    """The implementation of a constructor, static function or method of a resource."""
    owner = lookup(interface, keys)
    attribute = python_function_name(function.name)
    if function.kind == "method":
        if isinstance(owner, type) and not hasattr(owner, attribute):
            return MISSING

        # The object decides at the call, so any object can stand for the resource.
        def method(this: Any, *arguments: Any) -> Any:
            return getattr(this, attribute)(*arguments)

        # The signature that is checked is that of the class.
        for each in owner.__mro__ if isinstance(owner, type) else ():
            if attribute in vars(each):
                if isinstance(vars(each)[attribute], FunctionType):
                    vars(method)["__wrapped__"] = vars(each)[attribute]
                break
        return method
    if owner is MISSING or function.kind == "constructor":
        return owner
    return lookup(owner, (parse_function_name(function.name).name, attribute))


def _arity_problem(function: Function, implementation: Implementation) -> str | None:
    """Whether the callable cannot take the function's arguments, said in words."""
    count = len(function.params)
    plain: Any = getattr(implementation, "__wrapped__", implementation)
    given = count
    if _is_plain_class(plain):
        plain, given = plain.__init__, count + 1
    elif isinstance(plain, MethodType):
        plain, given = plain.__func__, count + 1
    elif isinstance(type(plain).__call__, FunctionType):  # it is callable
        plain, given = type(plain).__call__, count + 1
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
        takes = f"takes {count} argument{'s' * (count != 1)} ({names}), but got {signature}"
        is_method = next(iter(signature.parameters), "") == "self"
        return f"{takes}: give an object of the class, not the class" if is_method else takes
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
        self._given = Given(given)
        self._providers = tuple(providers)
        self.provided: dict[str | None, Provider] = {}
        self._problems: list[str] = []

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

    def is_provided(self, type_index: int) -> bool:
        """Whether a resource type is a provider's."""
        return self._description.types[type_index].interface in self.provided

    def is_given(self, type_index: int) -> bool:
        """Whether the user serves the interface that a resource type belongs to."""
        interface = self._description.types[type_index].interface
        functions = self._description.imports_by_interface
        return interface in functions and interface not in self.provided

    def resource_class(self, type_index: int) -> Any:
        """What the user gave as the class of a resource type; MISSING for nothing."""
        interface = self._description.types[type_index].interface
        owner = self._given.interface(interface) if interface else self._given.imports
        if owner is MISSING:
            return MISSING
        return lookup(owner, _resource_keys(self._description, type_index))

    def _link_world(self, functions: Sequence[Function], linked: Links) -> None:
        for function in functions:
            self._add(function, self._member(self._given.imports, function), linked)

    def _link_interface(self, name: str, functions: Sequence[Function], linked: Links) -> None:
        interface = self._given.interface(name)
        if interface is not MISSING:
            for function in functions:
                self._add(function, self._member(interface, function), linked)
            return
        for provider in self._providers:
            if provider.provides(name):
                self.provided[name] = provider
                return
        names = ", ".join(function.name for function in functions)
        reason = self._given.why_missing(name)
        if not reason and name.startswith("wasi:"):
            reason = "hlwasm itself provides WASI 0.2, of any release"
        self._problems.append(f"{name}: missing, with {names}" + (reason and f" ({reason})"))

    def _provided_member(self, function: Function) -> Any:
        provider = self.provided[function.interface]
        return self._member(provider.interface(function.interface or ""), function)

    def _member(self, interface: Any, function: Function) -> Any:
        if function.resource is not None:
            keys = _resource_keys(self._description, function.resource)
            return _resource_member(interface, function, keys)
        return lookup(interface, (function.name, python_function_name(function.name)))

    def _add(
        self,
        function: Function,
        found: Any,
        linked: Links,
    ) -> None:
        name = f"{function.interface}#{function.name}" if function.interface else function.name
        if found is MISSING:
            stand_in = function.interface and self._given.stand_in(function.interface)
            where = "" if stand_in in (None, "", function.interface) else f" in {stand_in}"
            self._problems.append(f"{name}: missing{where}")
        elif not callable(found):
            self._problems.append(f"{name}: {type(found).__name__} is not callable")
        elif p := _arity_problem(function, found):
            self._problems.append(f"{name}: {p}")
        else:
            linked.give(function.index, found)

    def _check_unknown(self, by_interface: Mapping[str | None, Sequence[Function]]) -> None:
        """A key that fits no import is most likely a misspelt one."""
        if not self._given.by_key:
            return
        known = _import_keys(self._description)
        for key in self._given.imports or ():
            base, at, _ = str(key).partition("@")
            # Versions of an interface may be given side by side, also those that nobody needs.
            if key in known or (at and ":" in base and base in known):
                continue
            imports = ", ".join(_imported(by_interface)) or "nothing"
            # Only here: keys that are right are the rule.
            from difflib import get_close_matches

            close = get_close_matches(str(key), sorted(known), n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            self._problems.append(f"{key}: not an import; the component imports {imports}{meant}")


def _imported(by_interface: Mapping[str | None, Sequence[Function]]) -> list[str]:
    """What a component imports, for a message; interfaces of WASI are many, and seldom given."""
    names = sorted(name for name in by_interface if name and not name.startswith("wasi:"))
    names += [each.name for each in by_interface.get(None, ())]
    wasi = any(name and name.startswith("wasi:") for name in by_interface)
    return [*names, "interfaces of WASI"] if wasi else names


def _import_keys(description: Description) -> frozenset[str]:
    """All keys under which something can be given, apart from other versions of interfaces."""
    found = description.cache.get("import keys")
    if found is None:
        # An interface of types only has no functions, and may be given all the same.
        interfaces = {i.name for i in description.interfaces if i.direction == "import"}
        interfaces.update(filter(None, description.imports_by_interface))
        keys = {key for name in interfaces for key in interface_keys(name)}
        for function in description.imports_by_interface.get(None, ()):
            keys.update((function.name, python_function_name(function.name)))
            if function.resource is not None:
                keys.update(_resource_keys(description, function.resource))
        found = description.cache["import keys"] = frozenset(keys)
    assert isinstance(found, frozenset)
    return found


def _resource_keys(description: Description, type_index: int) -> tuple[str, str]:
    """The names under which the class of a host resource may be given."""
    name = description.types[type_index].name or "resource"
    return name, upper_camel_case(name)
