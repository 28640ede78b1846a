"""The exports of a pool: those of its component, each call in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlwasm.codec.functions import introduce_export
from hlwasm.sandbox.exports import Exports, InterfaceExports
from hlwasm.wit.model import Description, Function

if TYPE_CHECKING:
    from hlwasm.sandbox.sandbox import SandboxBase


class _NoClasses(dict[int, Any]):
    """Stands in for the classes of guest resources."""

    def __missing__(self, _: int) -> Any:
        raise AttributeError(
            "a resource lives in one sandbox, and each call of a pool has its own: "
            "borrow one by pool.sandbox()"
        )


def pooled_exports(
    description: Description, bind: Callable[[Function], Callable[..., Any]]
) -> Exports:
    """The exports of a component, with functions made by ``bind``."""

    def bind_described(function: Function) -> Callable[..., Any]:
        call = bind(function)
        introduce_export(call, function)
        return call

    return Exports(description, _NoClasses(), bind_described)


def find(exports: Exports, name: str) -> Callable[..., Any]:
    """The function of a dotted name: ``"add"``, ``"ops.add"``, ``"demo:calc/ops@1.0.0.add"``,
    in Python's or in WIT's spelling.

    Raises:
        AttributeError, KeyError: there is none, or it is ambiguous.
    """
    interface, _, function = name.rpartition(".")
    owner: Exports | InterfaceExports = exports
    if interface:
        owner = exports[interface] if interface in exports else getattr(exports, interface)
        if not isinstance(owner, InterfaceExports):
            raise AttributeError(f"{interface} is a function, not an interface")
    found = getattr(owner, function) if function.isidentifier() else owner[function]
    if isinstance(found, (type, InterfaceExports)) or not callable(found):
        raise AttributeError(f"{name} is not a function")
    return found


def export_of(sandbox: SandboxBase, function: Function) -> Callable[..., Any]:
    """The callable of a function in a sandbox."""
    if function.interface is None:
        found = sandbox.exports[function.name]
    else:
        found = sandbox.exports[function.interface][function.name]
    return found  # type: ignore[no-any-return]
