"""The types of a component as Python attributes, without a sandbox."""

from __future__ import annotations

from typing import Any

from hlwasm.sandbox.exports import Namespace
from hlwasm.sandbox.imports import interface_keys
from hlwasm.wit.model import Description
from hlwasm.wit.names import identifier, upper_camel_case
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
    unambiguous. Types of the world itself are attributes. The classes are those of all
    sandboxes of the component.
    """

    _verb = "has"

    def __init__(self, description: Description) -> None:
        self._owner = "the component"
        self._description = description
        self._items: dict[str, InterfaceTypes] = {}
        self._targets: dict[str, Any] = {}
        found: dict[str, dict[str, int]] = {}
        for interface in description.interfaces:
            types = _with_classes(description, interface.types)
            if types:
                found.setdefault(interface.name, {}).update(types)
        keys: dict[str, list[str]] = {}
        for name in found:
            for key in interface_keys(name):
                keys.setdefault(key, []).append(name)
        self._several = {key: names for key, names in keys.items() if len(names) > 1}
        views = {name: InterfaceTypes(description, name, types) for name, types in found.items()}
        for key, names in keys.items():
            if len(names) == 1:
                self._items[key] = views[names[0]]
        for name, view in views.items():
            attribute = identifier(name.partition("@")[0].rpartition("/")[2])
            if attribute not in self._several:
                self._targets[attribute] = view
        for wit, index in _with_classes(description, description.world_types).items():
            self._targets[upper_camel_case(wit)] = index

    def _resolve(self, target: InterfaceTypes | int) -> Any:
        return self._description.python_type(target) if isinstance(target, int) else target

    def __getattr__(self, name: str) -> Any:
        several = self._several.get(name)
        if several:
            message = f"{name!r} is ambiguous: use types[…] with one of {', '.join(several)}"
            raise AttributeError(message, name=name, obj=self)
        return super().__getattr__(name)

    def __getitem__(self, name: str) -> InterfaceTypes:
        found = self._items.get(name)
        if found is None and "@" in name:
            from hlwasm.wit.semver import best_name

            found = self._items.get(best_name(name, self._items) or name)
        if found is None:
            several = self._several.get(name)
            if several:
                raise KeyError(f"{name!r} is ambiguous: {', '.join(several)}")
            known = ", ".join(self._items) or "none"
            raise KeyError(f"there are no types of {name!r}; there are those of {known}")
        return found

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._items)

    def _help(self) -> str:
        return "\n\n".join(repr(view) for view in dict.fromkeys(self._items.values()))

    def __repr__(self) -> str:
        return f"<types: {', '.join(self)}>"


def _with_classes(description: Description, types: Any) -> dict[str, int]:
    return {name: index for name, index in types.items() if description.has_python_type(index)}
