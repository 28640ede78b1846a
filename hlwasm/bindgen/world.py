"""The world that a package was generated for, and how a component is bound to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hlwasm.bindgen.structure import Structure
from hlwasm.errors import WorldMismatch
from hlwasm.frozen import Frozen
from hlwasm.sandbox.imports import interface_keys
from hlwasm.wasi import WasiHost
from hlwasm.wit.model import Enum, Flags, Record, Resource, Variant
from hlwasm.wit.names import interface_attributes, python_function_name
from hlwasm.wit.python_types import python_types

if TYPE_CHECKING:
    from hlwasm.wit.model import Description, Function

_MOST_PROBLEMS = 20


class World(Frozen):
    """What a package was generated for. Names of interfaces are those without what compatible
    versions may differ in.

    Attributes:
        name: of the world.
        types: ``interface#name`` → the Python class and the definition. Resources of the host
            have no class.
        exports: ``interface#name`` → the signature of an exported function.
        imports: likewise of the functions that the user implements.
        attributes: ``export interface`` or ``import interface`` → the Python name of the
            interface among the exports or imports.
    """

    name: str
    types: Mapping[str, tuple[type | None, str]]
    exports: Mapping[str, str]
    imports: Mapping[str, str]
    attributes: Mapping[str, str]

    def bind(self, description: Description, component: str) -> None:
        """Gives the package's classes to a component's description.

        Args:
            description: of which no class was made yet.
            component: what to call it in messages.

        Raises:
            WorldMismatch: the component does not fit, in all the ways that it says.
        """
        structure = Structure(description)
        problems = [*self._types(description, structure), *self._functions(description, structure)]
        problems += self._names(description, structure)
        if problems:
            shown = [f"  {problem}" for problem in problems[:_MOST_PROBLEMS]]
            if len(problems) > _MOST_PROBLEMS:
                shown.append(f"  … and {len(problems) - _MOST_PROBLEMS} more")
            lines = [
                f"{component} does not fit the bindings of {self.name}:",
                *shown,
                "  generate them anew with `hlwasm bindgen`, or load it by hlwasm.load",
            ]
            raise WorldMismatch("\n".join(lines), tuple(problems))

    def imports_of(self, description: Description, given: Any) -> Any:
        """What the linker takes for an object like the package's Imports.

        It knows an interface by its short name, which is not enough where there are two.
        """
        if given is None or isinstance(given, Mapping):
            return given
        structure = Structure(description)
        interfaces = [name for name in description.imports_by_interface if name is not None]
        short = {name: interface_keys(name)[-1] for name in interfaces}
        names = {
            name: self.attributes.get(f"import {structure.interface(name)}", "")
            for name in interfaces
            if not WasiHost.provides(name)
        }
        if all(short[name] == attribute for name, attribute in names.items()) and not any(
            short[name] in names.values() for name in interfaces if name not in names
        ):
            return given
        # Those of WASI that the user replaces.
        names |= {
            name: attribute
            for name, attribute in short.items()
            if name not in names and attribute not in names.values()
        }
        for function in description.imports_by_interface.get(None, ()):
            names[function.name] = python_function_name(function.name)
        found = {name: getattr(given, attribute, None) for name, attribute in names.items()}
        return {name: each for name, each in found.items() if each is not None}

    def _types(self, description: Description, structure: Structure) -> Iterator[str]:
        classes = python_types(description)
        for type_ in description.types:
            if not isinstance(type_, (Record, Variant, Enum, Flags, Resource)):
                continue
            name = structure.qualified(type_.interface, type_.name or "_")
            known = self.types.get(name)
            if known is None:
                continue
            cls, expected = known
            actual = structure.definition(type_)
            if actual != expected:
                yield f"{name}: it is {actual}, expected {expected}"
            elif not isinstance(type_, Resource):
                assert cls is not None
                classes.use(type_.index, cls)
            elif cls is not None and type_.side == "guest":
                description.resource_bases[type_.index] = cls

    def _functions(self, description: Description, structure: Structure) -> Iterator[str]:
        exported = _signatures(description.exports, structure)
        for name, expected in self.exports.items():
            actual = exported.get(name)
            if actual is None:
                yield f"{name}: the component does not export it"
            elif actual != expected:
                yield f"{name}: it is {actual}, expected {expected}"
        imports = (
            each for each in description.imports if not WasiHost.provides(each.interface or "")
        )
        for name, actual in _signatures(imports, structure).items():
            known = self.imports.get(name)
            if known is None:
                yield f"{name}: the component imports it, which the bindings do not know"
            elif actual != known:
                yield f"{name}: it is {actual}, expected {known}"

    def _names(self, description: Description, structure: Structure) -> Iterator[str]:
        exported = [each.name for each in description.interfaces if each.direction == "export"]
        for name, attribute in interface_attributes(exported).items():
            expected = self.attributes.get(f"export {structure.interface(name)}", attribute)
            if attribute != expected:
                yield f"{name}: sandbox.exports calls it {attribute}, the bindings {expected}"


def _signatures(functions: Iterable[Function], structure: Structure) -> dict[str, str]:
    return {
        structure.qualified(each.interface, each.name): structure.signature(each)
        for each in functions
    }
