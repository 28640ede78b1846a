"""Stand-ins for imports that nobody provides: calling one says which it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from hlwasm.cli.providers import USER, provider_of
from hlwasm.errors import UnsupportedImport
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import parse_function_name, python_function_name


def stand_ins(description: Description) -> dict[str, Any]:
    """Imports for :meth:`hlwasm.Component.instantiate` in place of the user's.

    Only what hlwasm itself does not provide is in it.
    """
    imports: dict[str, Any] = {}
    for function in description.imports:
        if provider_of(function.interface) != USER:
            continue
        interface = function.interface
        functions = imports if interface is None else imports.setdefault(interface, {})
        parsed = parse_function_name(function.name)
        if parsed.resource is None:
            functions[function.name] = _failing(function)
            continue
        owner = functions.setdefault(parsed.resource, type(parsed.resource, (), {}))
        if parsed.kind == "constructor":
            owner.__init__ = _failing(function)
        else:
            # A method too: linking checks that the class has it.
            fail = _failing(function)
            attribute = python_function_name(function.name)
            setattr(owner, attribute, staticmethod(fail) if parsed.kind == "static" else fail)
    return imports


def _failing(function: Function) -> Callable[..., NoReturn]:
    name = f"{function.interface}#{function.name}" if function.interface else function.name

    def fail(*_: Any) -> NoReturn:
        raise UnsupportedImport(f"the component called {name}, which nobody provides", name)

    return fail
