"""Fakes of all that a component imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import ndiff
from typing import TYPE_CHECKING, Any

from hlwasm.errors import CheckFailed, MissingCall, UnexpectedCall
from hlwasm.sandbox.imports import interface_keys
from hlwasm.testing.described import description_of
from hlwasm.testing.fakes.calls import Call
from hlwasm.testing.fakes.function import FakeFunction, Journal
from hlwasm.testing.fakes.interface import FakeInterface, unknown_name
from hlwasm.testing.signature import Signature
from hlwasm.testing.values import Numbers, Values
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import identifier, python_function_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hlwasm.component import Component


# Interfaces that hlwasm provides itself.
PROVIDED = ("wasi:", "hlwasm:")


class Fakes:
    """Fakes of a component's imports, made from its WIT; pass them as its imports.

    Interfaces and functions of the world are attributes, or items by WIT name. Each function
    keeps its calls, checks the values that it answers against the WIT, and answers zero values
    unless told otherwise. An interface of WASI stays the real one unless it is named in ``wasi``.

    Where an interface has the name of something that this class has itself, use the item.

    Args:
        component: or its description.
        strict: a call that is neither expected nor has an answer prepared is a failure.
        wasi: interfaces of WASI to fake too, such as ``"wasi:clocks/wall-clock"``.

    Raises:
        ValueError: the component does not import what ``wasi`` names.

    Example:
        >>> import hlwasm
        >>> from hlwasm.testing import Fakes
        >>> text = '''(component
        ...   (import "price" (func $price (param "id" u32) (result u32)))
        ...   (core func $lowered (canon lower (func $price)))
        ...   (core module $m
        ...     (import "" "price" (func $price (param i32) (result i32)))
        ...     (func (export "double") (param i32) (result i32)
        ...       (i32.mul (call $price (local.get 0)) (i32.const 2))))
        ...   (core instance $i (instantiate $m (with "" (instance
        ...     (export "price" (func $lowered))))))
        ...   (func (export "double") (param "id" u32) (result u32)
        ...     (canon lift (core func $i "double"))))'''
        >>> component = hlwasm.load(text.encode())
        >>> fakes = Fakes(component)
        >>> _ = fakes.price.expect(7).returns(100)
        >>> with component.instantiate(fakes) as sandbox:
        ...     sandbox.exports.double(7)
        200
        >>> fakes.verify()
        >>> fakes.calls
        [<call price(7)>]
    """

    def __init__(
        self,
        component: Component | Description,
        *,
        strict: bool = False,
        wasi: Iterable[str] = (),
    ) -> None:
        description = description_of(component)
        self._journal = Journal(strict)
        self._values = Values(description, Numbers(self._new_resource))
        self._functions: list[FakeFunction] = []
        self._interfaces: dict[str, FakeInterface] = {}
        self._world = FakeInterface(None, description, (), self._fake)
        chosen = _chosen(description, wasi)
        for name, functions in chosen.items():
            interface = FakeInterface(name, description, functions, self._fake)
            if name is None:
                self._world = interface
            else:
                self._interfaces[name] = interface

    def _fake(self, function: Function) -> FakeFunction:
        made = FakeFunction(Signature(function, self._values), self._journal)
        self._functions.append(made)
        return made

    def _new_resource(self, type_index: int) -> Any:
        for interface in (self._world, *self._interfaces.values()):
            if type_index in interface._resources:
                made = interface._resources[type_index].new()
                self._values.numbers.number(made)
                return made
        name = self._values.description.types[type_index].name
        raise CheckFailed(
            f"a fake has to return a resource {name}, of an interface that is not faked: "
            "give it one by returns(…)"
        )

    @property
    def calls(self) -> list[Call]:
        """All calls that the component made, oldest first."""
        return list(self._journal.calls)

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Expectations stated in this ``with`` block have to be met in their order."""
        journal = self._journal
        if journal.sequence is not None:
            raise ValueError("in_order() within in_order()")
        journal.sequence = []
        try:
            yield
        finally:
            journal.sequence = None

    def assert_calls(self, *wanted: Call) -> None:
        """The component made exactly these calls, in this order.

        Args:
            wanted: made by :meth:`FakeFunction.call`.

        Raises:
            UnexpectedCall, MissingCall: it did not; the message shows both side by side.
        """
        made = self._journal.calls
        if made == list(wanted):
            return
        # What is equal is shown equal, also where ANY was wanted.
        texts = [
            str(made[index] if index < len(made) and call == made[index] else call)
            for index, call in enumerate(wanted)
        ]
        lines = ndiff(texts, [str(call) for call in made])
        shown = "\n".join(f"  {line.rstrip()}" for line in lines if not line.startswith("?"))
        kind = MissingCall if len(made) < len(wanted) else UnexpectedCall
        raise kind(f"the calls are not those expected (- expected, + made):\n{shown}")

    def verify(self) -> None:
        """All that was expected came, and nothing else; the end of a test.

        Raises:
            CheckFailed: an unexpected call or a wrong answer, also one whose exception was
                swallowed; the first one.
            MissingCall: expectations that were not met, all of them.
        """
        if self._journal.failures:
            raise self._journal.failures[0]
        unmet = [line for each in self._functions for line in each.unmet()]
        if unmet:
            lines = "".join(f"\n  {line}" for line in unmet)
            raise MissingCall(
                f"expected calls were not made:{lines}\ncalls that were made:"
                f"{self._journal.recent()}"
            )

    def __getattr__(self, name: str) -> Any:
        # Copying and pickling ask before there is anything.
        if not name.startswith("_"):
            if name in self._world._members:
                return self._world._members[name]
            found = [each for each in self._interfaces if _python_name(each) == name]
            if len(found) == 1:
                return self._interfaces[found[0]]
            if found:
                raise AttributeError(
                    f"{name!r} is ambiguous: use fakes[…] with one of {', '.join(found)}"
                )
            with suppress(AttributeError):
                return getattr(self._world, name)  # a type
            known = [*self._world._members, *map(_python_name, self._interfaces)]
            raise AttributeError(unknown_name("the component imports no", name, known))
        raise AttributeError(name)

    # What linking asks of a mapping, by WIT names. There are no more methods of one, whose names
    # interfaces may have.

    def __getitem__(self, name: str) -> Any:
        """A fake by WIT name; of an interface, package and version may be left out."""
        members = self._world._members
        for key in (name, python_function_name(name)):
            if key in members:
                return members[key]
        if name in self._interfaces:
            return self._interfaces[name]
        found = [each for each in self._interfaces if name in interface_keys(each)]
        if len(found) == 1:
            return self._interfaces[found[0]]
        if found:
            raise KeyError(f"{name!r} is ambiguous: {', '.join(found)}")
        raise KeyError(f"there is no fake of {name!r}; there is {', '.join(self) or 'nothing'}")

    def __contains__(self, name: object) -> bool:
        return name in self._interfaces or name in self._world._members

    def __iter__(self) -> Iterator[str]:
        yield from self._interfaces
        yield from self._world._members

    def __len__(self) -> int:
        return len(self._interfaces) + len(self._world._members)

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        own = ["assert_calls", "calls", "in_order", "verify"]
        return sorted([*own, *self._world._members, *map(_python_name, self._interfaces)])

    def __repr__(self) -> str:
        return f"<fakes: {', '.join(self)}>"


Mapping.register(Fakes)


def _chosen(description: Description, wasi: Iterable[str]) -> dict[str | None, Sequence[Function]]:
    """The functions of the interfaces to fake; of none, where an interface has types only."""
    functions = description.imports_by_interface
    imported = [each.name for each in description.interfaces if each.direction == "import"]
    chosen: dict[str | None, Sequence[Function]] = {
        name: functions.get(name, ())
        for name in dict.fromkeys([*functions, *imported])
        if name is None or not name.startswith(PROVIDED)
    }
    for wanted in wasi:
        found = [name for name in imported if wanted in interface_keys(name)]
        if not found:
            raise ValueError(
                f"wasi: the component does not import {wanted}; it imports "
                f"{', '.join(imported) or 'no interface'}"
            )
        chosen.update({name: functions.get(name, ()) for name in found})
    return chosen


def _python_name(interface: str) -> str:
    return identifier(interface.partition("@")[0].rpartition("/")[2])
