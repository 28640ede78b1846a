"""Fakes of host resources: the class, and the objects that the component holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hlwasm.testing.fakes.function import FakeFunction


class FakeResource:
    """A fake of a host resource's class.

    Its constructor, methods and static functions are fakes, as attributes by their Python
    names: ``fakes.journal.Page.write``, ``fakes.journal.Page.constructor``. A method's fake
    serves all objects, and takes the object as its first argument. ``Page.new()`` makes an
    object, for functions to return.

    Args:
        name: WIT name.
        functions: by their Python names; the constructor's is ``constructor``.
    """

    def __init__(self, name: str, functions: Mapping[str, FakeFunction]) -> None:
        self._name = name
        self._functions = functions
        self._live: list[FakeObject] = []

    def new(self) -> FakeObject:
        """A new object, which no component holds yet."""
        return FakeObject(self)

    def live(self) -> list[FakeObject]:
        """The objects that were made and that the component has not dropped, oldest first."""
        return list(self._live)

    def __call__(self, *arguments: Any) -> Any:
        """The component calls the constructor."""
        return self._functions["constructor"](*arguments)

    def __getattr__(self, name: str) -> FakeFunction:
        return self[name]

    def __getitem__(self, name: str) -> FakeFunction:
        """The fake of a function by its Python name, also where it is one of this class's own."""
        try:
            return self._functions[name]
        except KeyError:
            known = ", ".join(self._functions) or "no functions"
            raise _NoSuchName(f"resource {self._name} has no {name!r}; it has {known}") from None

    def __dir__(self) -> list[str]:
        return sorted([*self._functions, "live", "new"])

    def __repr__(self) -> str:
        return f"<fake resource {self._name}>"


class _NoSuchName(AttributeError, KeyError):
    """For names that may be looked up both ways."""

    __str__ = AttributeError.__str__


class FakeObject:
    """One object of a fake resource. The component calls its methods, which are the class's.

    All else is the fake's: what is looked up on it by a name of the WIT is a method.
    """

    def __init__(self, of: FakeResource) -> None:
        self.__of = of
        of._live.append(self)

    def __exit__(self, *_: object) -> None:
        """The component dropped it; called where the WIT has a ``close`` of its own."""
        live = self.__of._live
        live[:] = [each for each in live if each is not self]

    def __hlwasm_capture__(self) -> Callable[[], FakeObject]:
        # Without state of its own, so it can be the same object after a restore.
        return lambda: self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "close" and name not in self.__of._functions:
            return self.__exit__
        return partial(self.__of[name], self)

    def __repr__(self) -> str:
        return f"<fake {self.__of._name}>"
