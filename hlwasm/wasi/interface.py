"""The base of every WASI interface, and what stands for functions that are not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from hlwasm.errors import Trap, UnsupportedImport

if TYPE_CHECKING:
    from hlwasm.wasi.host import WasiHost

_WORD_START = r"(?<!^)(?=[A-Z])"


class Interface:
    """A WASI interface as one component imports it; its functions are methods.

    A function that no subclass defines is there all the same, and raises
    :class:`~hlwasm.errors.UnsupportedImport` when it is called: a program can import much
    that it never uses.

    Args:
        host: the state that all interfaces of a sandbox share.
        name: WIT name with version, such as ``wasi:io/poll@0.2.9``.
    """

    __slots__ = ("_host", "_name")

    def __init__(self, host: WasiHost, name: str) -> None:
        self._host = host
        self._name = name

    def _trap(self, function: str, reason: str) -> Trap:
        """The end of a program that broke a rule for which WASI prescribes a trap."""
        return Trap(f"{self._name}#{function}: {reason}")

    # Hidden from the type checker, which would take every misspelt attribute for one of these.
    if not TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> Unsupported:
            if attribute.startswith("_"):
                raise AttributeError(attribute)
            return Unsupported(self._name, attribute)


class Unsupported:
    """A function or resource of an interface that is not provided.

    Args:
        interface: WIT name of the interface, with version.
        attribute: Python name under which it was looked up.
    """

    __slots__ = ("_interface", "_name", "_resource")

    def __init__(self, interface: str, attribute: str, resource: str = "") -> None:
        self._interface = interface
        self._name = _wit_name(attribute)
        self._resource = resource or (self._name if attribute[:1].isupper() else "")

    def __getattr__(self, attribute: str) -> Unsupported:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return Unsupported(self._interface, attribute, self._name)

    def __call__(self, *arguments: Any) -> NoReturn:
        if not self._resource:
            function = self._name
        elif self._resource == self._name:
            function = f"[constructor]{self._name}"
        else:
            function = f"[static]{self._resource}.{self._name}"
        name = f"{self._interface}#{function}"
        given = self._interface.partition("@")[0]
        raise UnsupportedImport(
            f"the component called {name}, which hlwasm does not provide; "
            f'pass an implementation of your own as imports={{"{given}": …}}',
            name,
        )


def _wit_name(attribute: str) -> str:
    """``from_list`` and ``FromList`` → ``from-list``; ``import_`` → ``import``."""
    if attribute[:1].isupper():
        return re.sub(_WORD_START, "-", attribute).lower()
    return attribute.rstrip("_").replace("_", "-")
