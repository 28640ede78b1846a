"""What goes into which module of a generated package, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeGuard, TypeVar

from hlwasm.bindgen.structure import Structure
from hlwasm.errors import ArtifactError, UnsupportedItem
from hlwasm.wasi import WasiHost
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Case,
    Description,
    Enum,
    Field,
    Flags,
    Function,
    Interface,
    Label,
    List,
    Option,
    Own,
    Record,
    Resource,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.names import interface_attributes, python_function_name, upper_camel_case

#: A type that has a Python class of its own in the package.
ClassType: TypeAlias = "Record | Variant | Enum | Flags | Resource"

Named = TypeVar("Named", Field, Case, Label, Function)

#: What the package's ``__init__`` defines beside the interfaces' modules.
PACKAGE_NAMES = frozenset(["async_exports_of", "exports_of", "load"])


class Module:
    """One module: an interface, imported or exported or both; or the world itself.

    Attributes:
        interface: WIT name, None for the world.
        name: of the module in the package, ``__init__`` for the world.
        docs: from the WIT.
        classes: what is defined here, by Python name.
        aliases: other names of types, and types that have no class: Python name → type.
        imported: functions that the component imports.
        exported: functions that it exports.
    """

    def __init__(self, interface: str | None, name: str) -> None:
        self.interface = interface
        self.name = name
        self.docs: str | None = None
        self.classes: dict[str, ClassType] = {}
        self.aliases: dict[str, int] = {}
        self.imported: Sequence[Function] = ()
        self.exported: Sequence[Function] = ()

    @property
    def alias(self) -> str:
        """What other modules import it as; WIT has no name that starts like this."""
        return f"_{self.name}_" if self.name in _LIBRARIES else f"_{self.name}"

    def own_name(self, name: str) -> str:
        """A name that the package adds to the WIT's; with an underscore where that has it too."""
        taken = name in self.classes or name in self.aliases
        return f"{name}_" if taken else name

    def resources(self, side: str) -> Iterator[tuple[str, Resource]]:
        """The resources that are implemented by the ``host`` or by the ``guest``."""
        for name, type_ in self.classes.items():
            if isinstance(type_, Resource) and type_.side == side:
                yield name, type_


# Modules that generated code imports likewise, with an underscore in front; and its own.
_LIBRARIES = frozenset(
    ["abc", "builtins", "dataclasses", "typing", "hlwasm", "runtime", "async_runtime", "structure"]
)


class Plan:
    """The modules of a package, for one description.

    Args:
        description: the world's.
        wasi: whether the interfaces that hlwasm provides get protocols, too.

    Attributes:
        world: the module of the world itself.
        modules: all modules of interfaces, by their WIT names.
        structure: of the description.

    Raises:
        ArtifactError, NotAWitName: the description has what no WIT can have.
    """

    def __init__(self, description: Description, *, wasi: bool = False) -> None:
        self.description = description
        self.structure = Structure(description)
        self.world = Module(None, "__init__")
        self.modules: dict[str, Module] = {}
        self._attributes = {
            "import": interface_attributes(
                each.name
                for each in description.interfaces
                if each.direction == "import" and not WasiHost.provides(each.name)
            ),
            "export": interface_attributes(
                each.name for each in description.interfaces if each.direction == "export"
            ),
        }
        self._module_names = _module_names(description.interfaces)
        self._names: dict[int, str] = {}
        self._reached: set[int] = set()
        # Interface, name and side of a class → what it is made of.
        self._defined: dict[tuple[str | None, str, str], str] = {}
        for interface in description.interfaces:
            if interface.direction == "export" or wasi or not WasiHost.provides(interface.name):
                self._add_interface(interface)
        self.world.imported = description.imports_by_interface.get(None, ())
        self.world.exported = description.exports_by_interface.get(None, ())
        for name, index in description.world_types.items():
            self._add_named(self.world, name, index)
        for module in [self.world, *self.modules.values()]:
            for function in (*module.imported, *module.exported):
                self._reach_all([*(each.type for each in function.params), function.result])
        self.modules = dict(sorted(self.modules.items(), key=lambda item: item[1].name))

    def attribute(self, module: Module, direction: str) -> str:
        """Under which name exports or imports have the interface."""
        assert module.interface is not None
        return self._attributes[direction][module.interface]

    def must_be_given(self, module: Module) -> bool:
        """Whether it is an interface that the user has to implement."""
        return bool(module.imported) and not WasiHost.provides(module.interface or "")

    def module_of(self, type_: AnyType) -> Module:
        """Where the class of a type is."""
        return self._home(type_)

    def class_name(self, type_: ClassType) -> str | None:
        """The name of its class in its module; None for a resource that only hlwasm knows."""
        return self._names.get(type_.index)

    def _add_interface(self, interface: Interface) -> None:
        module = self._module(interface.name)
        module.docs = module.docs or interface.docs
        functions = self.description
        if interface.direction == "import":
            module.imported = functions.imports_by_interface.get(interface.name, ())
        else:
            module.exported = functions.exports_by_interface.get(interface.name, ())
        for name, index in interface.types.items():
            self._add_named(module, name, index)

    def _module(self, interface: str) -> Module:
        found = self.modules.get(interface)
        if found is None:
            name = self._module_names.get(interface)
            if name is None:
                raise ArtifactError(f"{interface}: no module can be named after it")
            found = self.modules[interface] = Module(interface, name)
        return found

    def _home(self, type_: AnyType) -> Module:
        return self.world if type_.interface is None else self._module(type_.interface)

    def _add_named(self, module: Module, name: str, index: int) -> None:
        type_ = self.description.types[index]
        if isinstance(type_, Resource) and WasiHost.provides(type_.interface or ""):
            return
        self._reach(index)
        python = upper_camel_case(name)
        if is_class(type_):
            home = self.module_of(type_)
            if home is module and self._names[index] in (python, f"Host{python}"):
                return
        if python not in module.classes:
            module.aliases.setdefault(python, index)

    def _reach_all(self, refs: Iterable[TypeRef | None]) -> None:
        for ref in refs:
            self._reach(ref)

    def _reach(self, ref: TypeRef | None) -> None:
        """Makes sure that all classes in a type are in some module.

        Raises:
            ArtifactError: written out, the type is too long.
        """
        if not isinstance(ref, int) or ref in self._reached:
            return
        self._reached.add(ref)
        self.structure.reference(ref)
        type_ = self.description.types[ref]
        if isinstance(type_, (Record, Variant, Enum, Flags)):
            self._add_class(type_)
        elif isinstance(type_, Resource):
            if type_.side == "guest" or not WasiHost.provides(type_.interface or ""):
                self._add_class(type_)
        elif isinstance(type_, (Own, Borrow)):
            self._reach(type_.resource)
        elif isinstance(type_, List):
            self._reach(type_.element)
        elif isinstance(type_, Option):
            self._reach(type_.some)
        elif isinstance(type_, Tuple):
            self._reach_all(type_.types)
        elif isinstance(type_, Result):
            self._reach_all((type_.ok, type_.err))

    def _add_class(self, type_: ClassType) -> None:
        if type_.index in self._names:
            return
        if type_.name is None:
            raise ArtifactError(f"type {type_.index} of the component's description has no name")
        name = upper_camel_case(type_.name)
        side = type_.side if isinstance(type_, Resource) else ""
        if side == "host" and self._has_guest_twin(type_):
            name = f"Host{name}"
        self._names[type_.index] = name
        if isinstance(type_, Record):
            self._reach_all(each.type for each in type_.fields)
        elif isinstance(type_, Variant):
            self._reach_all(each.type for each in type_.cases)
        module = self._home(type_)
        # The imported and the exported copy of an interface share their classes.
        key = type_.interface, type_.name, side
        definition = self.structure.definition(type_)
        if key in self._defined:
            if self._defined[key] != definition:
                raise ArtifactError(f"two different types are named {type_.name}")
        elif name in module.classes:
            other = module.classes[name].name
            raise UnsupportedItem(
                f"types {other} and {type_.name} are both {name} in Python", type_.name
            )
        else:
            self._defined[key] = definition
            module.classes[name] = type_

    def _has_guest_twin(self, type_: ClassType) -> bool:
        """Whether the interface is exported as well, with its own resource of this name."""
        exported = self.description.types_of(type_.interface, "export")
        index = exported.get(type_.name or "")
        if index is None:
            return False
        twin = self.description.types[index]
        return isinstance(twin, Resource) and twin.side == "guest"


def is_class(type_: AnyType) -> TypeGuard[ClassType]:
    """Whether the type has a class of its own."""
    return isinstance(type_, (Record, Variant, Enum, Flags, Resource))


def _module_names(interfaces: Sequence[Interface]) -> dict[str, str]:
    """A module for each interface, whichever way it goes."""
    names = dict.fromkeys(each.name for each in interfaces)
    ours = [name for name in names if WasiHost.provides(name)]
    found = interface_attributes(name for name in names if name not in ours)
    # Whatever a component needs of WASI, the names of the others stay.
    found |= {name: f"wasi_{short}" for name, short in interface_attributes(ours).items()}
    taken = {*PACKAGE_NAMES}
    modules: dict[str, str] = {}
    for name, module in found.items():
        # A name that starts with an underscore is none of WIT's.
        if not module.startswith("_"):
            modules[name] = f"{module}_" if module in taken else module
            taken.add(modules[name])
    return modules


def by_python_name(
    owner: str | None, items: Iterable[Named], name_of: Callable[[str], str]
) -> dict[str, Named]:
    """Fields, cases, labels or functions by their Python names.

    Args:
        owner: WIT name of what has them, for the message.
        name_of: makes a Python name of a WIT name.

    Raises:
        UnsupportedItem: two have the same.
    """
    found: dict[str, Named] = {}
    for item in items:
        name = name_of(item.name)
        if name in found:
            where = f"{owner}: " if owner else ""
            raise UnsupportedItem(
                f"{where}{found[name].name} and {item.name} are both {name} in Python", item.name
            )
        found[name] = item
    return found


def members(functions: Iterable[Function]) -> dict[str, Function]:
    """Functions by their Python names.

    Names that start with an underscore are left out: WIT has none, but a forged artifact may
    have any.

    Raises:
        UnsupportedItem: two have the same name.
    """
    public = [each for each in functions if not python_function_name(each.name).startswith("_")]
    owner = public[0].interface if public else None
    return by_python_name(owner, public, python_function_name)
