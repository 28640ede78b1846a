"""Fakes of one interface, or of the world's own functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from hlwasm.testing.fakes.function import FakeFunction
from hlwasm.testing.fakes.resource import FakeResource
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import python_function_name, upper_camel_case


class FakeInterface:
    """Fakes of the functions of one imported interface, and its types.

    Functions are attributes by their Python names, resources and other types by theirs:
    ``fakes.supplier.price``, ``fakes.journal.Page``, ``fakes.journal.Level.INFO``. There is
    nothing else that they could clash with.

    Args:
        name: WIT name of the interface, None for the world's own functions.
        description: the component's.
        functions: the interface's.
        fake: makes the fake of a function.
    """

    def __init__(
        self,
        name: str | None,
        description: Description,
        functions: Sequence[Function],
        fake: Callable[[Function], FakeFunction],
    ) -> None:
        self._name = name or "the world"
        self._description = description
        # Made at once: a name that is wrong is an error before any is used.
        self._members: dict[str, FakeFunction | FakeResource] = {}
        self._resources: dict[int, FakeResource] = {}
        # Linking asks for these first.
        self._resources_by_wit: dict[str, FakeResource] = {}
        by_resource: dict[int, dict[str, FakeFunction]] = {}
        for function in functions:
            made = fake(function)
            python = python_function_name(function.name)
            if function.resource is None:
                self._members[python] = made
            else:
                member = "constructor" if function.kind == "constructor" else python
                by_resource.setdefault(function.resource, {})[member] = made
        self._types = description.types_of(name, "import")
        for index in {*by_resource, *self._own_resources()}:
            wit_name = description.types[index].name or "resource"
            resource = FakeResource(wit_name, by_resource.get(index, {}))
            self._resources[index] = self._members[upper_camel_case(wit_name)] = resource
            self._resources_by_wit[wit_name] = resource

    def _own_resources(self) -> list[int]:
        types = self._description.types
        return [
            index for index in self._types.values() if getattr(types[index], "side", None) == "host"
        ]

    def __getattr__(self, name: str) -> Any:
        found = self._members.get(name) or self._resources_by_wit.get(name)
        if found is not None:
            return found
        for wit_name, index in self._types.items():
            if upper_camel_case(wit_name) == name and self._description.has_python_type(index):
                return self._description.python_type(index)
        raise AttributeError(unknown_name(f"{self._name} has no", name, self._members))

    def __dir__(self) -> list[str]:
        types = [
            upper_camel_case(name)
            for name, index in self._types.items()
            if self._description.has_python_type(index)
        ]
        return sorted([*self._members, *types])

    def __repr__(self) -> str:
        return f"<fake {self._name}: {', '.join(self._members)}>"


def unknown_name(problem: str, name: str, known: Sequence[str] | dict[str, Any]) -> str:
    """The message for a name that is not there, with what is."""
    close = get_close_matches(name, known, n=1)
    meant = f": did you mean {close[0]!r}?" if close else ""
    return f"{problem} {name!r}{meant}; it has {', '.join(sorted(known)) or 'nothing'}"
