"""The types of a component as Python attributes, without a sandbox."""

from __future__ import annotations

from typing import Any

from hlwasm.sandbox.exports import Namespace
from hlwasm.sandbox.imports import interface_keys
from hlwasm.wit.model import Description
from hlwasm.wit.names import interface_attributes, upper_camel_case
from hlwasm.wit.type_text import definition_text


class InterfaceTypes(Namespace):
    """The records, variants, enums and flags of one interface, by Python name."""

    _verb = "has"

    def __init__(self, description: Description, name: str, types: dict[str, int]) -> None:
        self._owner = name
        self._description = description
        self._targets = {upper_camel_case(wit): index for wit, index in types.items()}

    def _resolve(self, target: int) -> Any:
        return self._description.python_type(target)

    def _help(self) -> str:
        lines = [
            f"{name}: {definition_text(self._description, index)}"
            for name, index in self._targets.items()
        ]
        return "\n\n".join(lines)

    def __repr__(self) -> str:
        return f"<types of {self._owner}: {', '.join(self)}>"


class ComponentTypes(Namespace):
    """The types of all interfaces that a component imports or exports.

    Interfaces are attributes (``types.shapes.Point``) and items by WIT name, which may have
    another version on the same track, or leave out version and package where that is
    unambiguous. Types of the world itself are attributes, too.
    """

    _verb = "has"

    def __init__(self, description: Description) -> None:
        self._owner = "the component"
        self._description = description
        self._targets: dict[str, Any] = {}
        found: dict[str, dict[str, int]] = {}
        for interface in description.interfaces:
            types = _with_classes(description, interface.types)
            if types:
                found.setdefault(interface.name, {}).update(types)
        views = {name: InterfaceTypes(description, name, types) for name, types in found.items()}
        self._by_key: dict[str, list[InterfaceTypes]] = {}
        for name, view in views.items():
            for key in interface_keys(name):
                self._by_key.setdefault(key, []).append(view)
        # WASI's are many, and do not take the short names away.
        own = interface_attributes(name for name in views if not name.startswith("wasi:"))
        for name, attribute in (*own.items(), *interface_attributes(views).items()):
            if name not in own or own[name] == attribute:
                self._targets.setdefault(attribute, views[name])
        for wit, index in _with_classes(description, description.world_types).items():
            self._targets[upper_camel_case(wit)] = index

    def _resolve(self, target: InterfaceTypes | int) -> Any:
        return self._description.python_type(target) if isinstance(target, int) else target

    def __getitem__(self, name: str) -> InterfaceTypes:
        found = self._by_key.get(name, [])
        if not found and "@" in name:
            from hlwasm.wit.semver import best_name

            found = self._by_key.get(best_name(name, self._by_key) or name, [])
        if len(found) > 1:
            raise KeyError(f"{name!r} is ambiguous: {', '.join(each._owner for each in found)}")
        if not found:
            raise KeyError(f"there are no types of {name!r}; there are those of {self._known()}")
        return found[0]

    def _known(self) -> str:
        return ", ".join(self._ipython_key_completions_()) or "none"

    def _ipython_key_completions_(self) -> list[str]:
        return [key for key, views in self._by_key.items() if len(views) == 1]

    def _help(self) -> str:
        views = dict.fromkeys(view for views in self._by_key.values() for view in views)
        return "\n\n".join(map(repr, views))

    def __repr__(self) -> str:
        return f"<types: {', '.join(self)}>"


def _with_classes(description: Description, types: Any) -> dict[str, int]:
    return {name: index for name, index in types.items() if description.has_python_type(index)}
