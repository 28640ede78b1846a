"""Sandboxes that are kept from one test to the next, restored in between.

Instantiating a component takes milliseconds, and restoring it microseconds. What implements its
imports may differ from test to test all the same: the sandbox is bound to functions that forward
to whatever the present test has given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hlwasm.errors import SandboxBusy, SandboxClosed, SnapshotError, ViewInUse
from hlwasm.sandbox.imports import Implementation, Linker, Resolver
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.sandbox import Sandbox
from hlwasm.sandbox.state import Status

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.wasi import Wasi

# Sandboxes that wait for a test at the same time; each takes a micro-VM and its memory.
MOST_KEPT = 16


class Switch(Mapping[int, Resolver]):
    """What implements each import: WASI's own, and for the rest whatever is :attr:`current`.

    Attributes:
        current: of the present test.
        called: whether anything of :attr:`current` was called.
    """

    def __init__(self, linker: Linker, links: Mapping[int, Resolver]) -> None:
        self._linker = linker
        self._first = links
        self.current = links
        self.called = False

    def __getitem__(self, index: int) -> Resolver:
        function = self._linker._description.imports_by_index[index]
        if function.interface in self._linker.provided:
            return self._first[index]
        return lambda: self._forward(index)

    def _forward(self, index: int) -> Implementation:
        def forward(*arguments: Any) -> Any:
            self.called = True
            return self.current[index]()(*arguments)

        return forward

    def __iter__(self) -> Iterator[int]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)


class SwitchedSandbox(Sandbox):
    """A sandbox whose imports can be implemented by others later."""

    switch: Switch

    def _link(self, linker: Linker) -> Mapping[int, Resolver]:
        self.switch = Switch(linker, super()._link(linker))
        return self.switch

    def switch_to(self, linker: Linker, links: Mapping[int, Resolver]) -> None:
        """Has others implement the imports, in the same interfaces."""
        self._linker = linker  # which is asked for the classes of host resources
        self.switch.current = links


class KeptSandboxes:
    """The sandboxes of a test session, used by one thread."""

    def __init__(self) -> None:
        # Those that no test uses, with the snapshot that they are at; the oldest first.
        self._idle: dict[object, tuple[SwitchedSandbox, Snapshot]] = {}
        # Those in use: where they go back to, and what they are restored to; None where they
        # cannot be used again.
        self._used: dict[Sandbox, tuple[object, Snapshot | None]] = {}

    def take(
        self, component: Component, imports: Any, wasi: Wasi | None, limits: Limits | None
    ) -> Sandbox:
        """A sandbox in the state right after its instantiation.

        Raises:
            HlwasmError: as :meth:`Component.instantiate`.
        """
        limits = limits or Limits()
        linker = Linker(component.description, imports, component._providers(wasi))
        links = linker.link()
        # Grants are compared by identity; the sandbox holds its own, so there is no other one
        # with the same.
        key = component, wasi, limits, frozenset(linker.provided)
        if key in self._idle:
            sandbox, snapshot = self._idle.pop(key)
            sandbox.switch_to(linker, links)
            self._used[sandbox] = key, snapshot
            return sandbox
        sandbox = SwitchedSandbox(component, imports, wasi, limits)
        found: Snapshot | None = None
        # What a test's own functions answered would be in all later tests' sandboxes.
        if not sandbox.switch.called:
            with suppress(SnapshotError):
                found = sandbox.snapshot()
        self._used[sandbox] = key, found
        return sandbox

    def give_back(self, sandbox: Sandbox) -> None:
        """The test has ended: restores the sandbox, or closes it where that cannot be.

        Raises:
            Exception: what the ``close`` of a host resource that the guest held raised.
        """
        key, snapshot = self._used.pop(sandbox)
        assert isinstance(sandbox, SwitchedSandbox)
        try:
            if snapshot is None:
                sandbox.close()
                return
            sandbox.restore(snapshot)
        except SandboxClosed:
            return
        except ViewInUse:
            # An array of the test's, in a traceback for example; the memory is kept for it.
            sandbox.close()
            return
        except SandboxBusy:
            # A thread that the test has left behind is in it; it cannot be waited for.
            sandbox.cancel()
            return
        except BaseException:
            sandbox.close()
            raise
        self._idle[key] = sandbox, snapshot
        while len(self._idle) > MOST_KEPT:
            self._idle.pop(next(iter(self._idle)))[0].close()

    def close(self) -> None:
        """Closes all that no test uses."""
        while self._idle:
            sandbox, _ = self._idle.popitem()[1]
            if sandbox.status is not Status.CLOSED:
                sandbox.close()
