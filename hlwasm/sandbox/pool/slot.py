"""A place for a sandbox in a pool, what holds it, and who waits for one."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from hlwasm.errors import SandboxStateError
from hlwasm.logs import WARNING, log
from hlwasm.sandbox.pool.exports import export_of

if TYPE_CHECKING:
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.wit.model import Function

LOGGER = "hlwasm.pool"

COUNTS = ("borrowed", "errors", "created", "restores", "replaced")


class Token:
    """Identifies a borrower, as long as it lives."""

    __slots__ = ("__weakref__",)


class Slot:
    """A place for a sandbox. Who holds it may use all but ``holder``, ``owner`` and ``lost``.

    Args:
        forgotten: called with the slot when the token that holds it has died.

    Attributes:
        sandbox: None where there is none yet.
        functions: exports that were called, by index.
        dirty: it is to be restored before it is used.
        holder: reference to the borrower's token, None while it is idle.
        owner: ident of the thread that has it, or had it last.
        lost: it was abandoned: nobody will use it again.
        borrowed, errors, created, restores, replaced: counts.
    """

    __slots__ = (
        "borrowed", "created", "dirty", "errors", "forgotten", "functions", "holder", "lost",
        "owner", "replaced", "restores", "sandbox",
    )  # fmt: skip

    def __init__(self, forgotten: Callable[[Slot, object], None]) -> None:
        self.forgotten = partial(forgotten, self)
        self.sandbox: Sandbox | None = None
        self.functions: dict[int, Callable[..., Any]] = {}
        self.dirty = False
        self.holder: ref[Token] | None = None
        self.owner = 0
        self.lost = False
        self.borrowed = self.errors = self.restores = self.created = self.replaced = 0

    def bind(self, function: Function) -> Callable[..., Any]:
        """The callable of an exported function in this sandbox."""
        assert self.sandbox is not None
        found = self.functions[function.index] = export_of(self.sandbox, function)
        return found

    def free(self) -> None:
        """Closes its sandbox."""
        sandbox, self.sandbox = self.sandbox, None
        self.functions, self.dirty = {}, False
        assert sandbox is not None
        try:
            sandbox.close()
        except SandboxStateError:
            # Its borrower left a call behind in another thread.
            sandbox.cancel()
        except Exception as error:
            log(LOGGER, WARNING, "closing a sandbox: %s: %s", type(error).__name__, error)

    def add(self, other: Slot) -> None:
        """Adds its counts."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Waiter:
    """A borrower in the line, made by its thread."""

    __slots__ = ("bell", "ident", "slot", "token", "worker")

    def __init__(self, token: Token, worker: bool) -> None:
        self.token = token
        self.worker = worker
        self.ident = get_ident()
        self.slot: Slot | None = None
        # Released when there is a slot, or when there will be none.
        self.bell = allocate_lock()
        self.bell.acquire()
