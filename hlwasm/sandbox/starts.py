"""States right after instantiation, kept so that later sandboxes of a component start there.

The first sandbox with some limits pays nothing; at the second one the component is likely to
be instantiated for each request, and its state is kept. That is done only where nobody could
tell the difference: where instantiating called no host function, or only functions of WASI
that answer the same (:mod:`hlwasm.wasi.repeatable`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hlwasm.errors import HlwasmError
from hlwasm.native import _abi

if TYPE_CHECKING:
    from hlwasm.native.handles import NativeSnapshot
    from hlwasm.sandbox.calls import CallLoop
    from hlwasm.sandbox.host_state import HostState
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.providers import Provider
    from hlwasm.sandbox.sandbox import SandboxBase

# Each takes as much memory as the component has written to while it was instantiated.
MOST_KEPT = 4


class Start:
    """One state, and who may start from it.

    Args:
        native: the guest.
        host: the host's side, None where it is that of any new sandbox.
        interfaces: those that were called while it was made.
        answers: what their providers answer, None where nothing was called.
    """

    __slots__ = ("answers", "host", "interfaces", "native")

    def __init__(
        self,
        native: NativeSnapshot,
        host: HostState | None = None,
        interfaces: frozenset[str | None] = frozenset(),
        answers: object = None,
    ) -> None:
        self.native = native
        self.host = host
        self.interfaces = interfaces
        self.answers = answers

    def fits(self, provided: Mapping[str | None, Provider], providers: Sequence[Provider]) -> bool:
        """Whether instantiating would call the same functions and get the same answers.

        Args:
            provided: the interfaces that come from providers, as the linker found them.
            providers: the sandbox's, in order.
        """
        if not self.interfaces:
            return True
        return self.interfaces <= provided.keys() and self.answers == answers_of(providers)


def answers_of(providers: Sequence[Provider]) -> object:
    """All that repeatable functions of these providers can answer."""
    return tuple([provider.repeatable_answers() for provider in providers])


def repeatable_interfaces(
    loop: CallLoop, provided: Mapping[str | None, Provider]
) -> frozenset[str | None] | None:
    """The interfaces that a sandbox has called so far; None where a call was such that the
    state can stand for no other sandbox's.
    """
    # What `fuel_used` says of instantiating is in no snapshot, and a log line is output.
    if loop.fuel is not None or loop.logged:
        return None
    called = loop.called()
    if not called:
        return frozenset()
    functions = {function.index: function for function in loop.description.imports}
    interfaces: set[str | None] = set()
    for number in called:
        if number & _abi.TRANSFER_DROP_RESOURCE:
            return None
        function = functions[number]
        provider = provided.get(function.interface)
        if provider is None or not provider.repeatable(function.interface or "", function.name):
            return None
        interfaces.add(function.interface)
    return frozenset(interfaces)


class Starts:
    """The states that are kept of one component, by limits. Any thread may use it."""

    def __init__(self) -> None:
        # Limits that one sandbox was made with.
        self._once: dict[Limits, bool] = {}
        # None: the state can stand for no other sandbox's, or could not be saved.
        self._kept: dict[Limits, Start | None] = {}

    def find(
        self,
        limits: Limits,
        provided: Mapping[str | None, Provider],
        providers: Sequence[Provider],
    ) -> Start | None:
        """The state that a sandbox may start from, None where it has to be instantiated."""
        start = self._kept.get(limits)
        return start if start is not None and start.fits(provided, providers) else None

    def wants(self, limits: Limits) -> bool:
        """Whether to :meth:`keep` the state of a sandbox that was just instantiated."""
        if limits in self._kept:
            return False
        if self._once.pop(limits, False):
            return True
        _make_room(self._once)
        self._once[limits] = True
        return False

    def put(self, limits: Limits, start: Start) -> None:
        """Has sandboxes with these limits start from a state."""
        _make_room(self._kept)
        self._kept[limits] = start

    def keep(self, sandbox: SandboxBase) -> None:
        """Keeps the state of a sandbox that was just instantiated, if it can stand for others'."""
        start = None
        # Without memory for it, for example: then all goes on as before.
        with suppress(HlwasmError):
            start = start_of(sandbox)
        _make_room(self._kept)
        self._kept[sandbox.limits] = start


def start_of(sandbox: SandboxBase) -> Start | None:
    """The state of a sandbox that was just instantiated; None where it can stand for no
    other's.

    Raises:
        SnapshotError, NativeError: it cannot be saved.
    """
    interfaces = repeatable_interfaces(sandbox._loop, sandbox._linker.provided)
    if interfaces is None:
        return None
    guard = sandbox._guard
    guard.begin()
    try:
        start = sandbox._save()._start
    finally:
        guard.end()
    if not interfaces:
        # Nobody has called the host: there is nothing to restore.
        return Start(start.native)
    return Start(start.native, start.host, interfaces, answers_of(sandbox._providers))


def _make_room(kept: dict[Limits, Any]) -> None:
    # Another thread may be at the same; then one more stays, or less.
    with suppress(RuntimeError, StopIteration):
        while len(kept) >= MOST_KEPT:
            kept.pop(next(iter(kept)), None)
