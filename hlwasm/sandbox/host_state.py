"""The host's side of a snapshot: the resource table, and what providers such as WASI keep.

What belongs to the host functions of the user is the user's: closures, objects behind
imports and open files are what they are after a restore too. Only objects that the guest
holds as resources are made again. An object takes part by a method::

    class Cursor:
        def __hlwasm_capture__(self) -> Callable[[], Cursor]:
            return partial(Cursor, self.path, self.position)

What it returns makes the object as it was, at each restore and in each clone, from any
thread. It must be picklable where the snapshot goes into a file. For an object that has no
state it may answer the same object each time, which is then not closed by a restore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.errors import SnapshotError
from hlwasm.frozen import Frozen
from hlwasm.sandbox.captured import Captured, HostResources

if TYPE_CHECKING:
    from hlwasm.sandbox.providers import Provider
    from hlwasm.sandbox.resources import ResourceTable


class HostState(Frozen):
    """What is captured of the host's side. Immutable; any number of sandboxes may restore it.

    Attributes:
        resources: of the resource table.
        providers: of each provider, in order.
    """

    resources: HostResources
    providers: tuple[Any, ...] = ()

    @property
    def is_initial(self) -> bool:
        """Whether a new sandbox is in this state anyway."""
        return not self.providers and not self.resources.host and self.resources.next_rep == 1


class HostSide:
    """Captures and restores the host's side of one sandbox.

    Its methods are called by who holds the sandbox, when nothing runs in it.

    Args:
        table: the sandbox's.
        providers: the sandbox's, in order.
        is_given: whether the user serves the interface that a resource type belongs to, by
            type index.
    """

    def __init__(
        self,
        table: ResourceTable,
        providers: Sequence[Provider],
        is_given: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._table = table
        self._providers = tuple(providers)
        self._is_given = is_given
        self._restores = tuple([provider.restore for provider in providers])

    def capture(self) -> HostState:
        """What there is now.

        Raises:
            SnapshotError: something cannot be captured; says what, and what to do about it.
        """
        resources = self._table.capture(self._capture_object)
        return HostState(resources, tuple([p.capture() for p in self._providers]))

    def restore(self, state: HostState, closings: list[Callable[[], Any]] | None = None) -> None:
        """Puts it back, or sets up that of a new sandbox; next to free if nothing has changed.

        Args:
            state: what was captured.
            closings: takes what closes the user's objects that are not part of the state; by
                default they are closed here, as those of providers always are.

        After an exception the host's side fits no guest: the sandbox must stay poisoned until
        another restore succeeds.

        Raises:
            SnapshotError: the state does not fit the providers.
            Exception: what a maker of a host resource, or the ``close`` of one that is not
                part of the state, raised.
        """
        if not self._restores and self._table.is_at(state.resources) and not state.providers:
            return
        states = state.providers
        if len(self._restores) != len(states):
            raise SnapshotError(
                f"the snapshot has the state of {len(states)} providers of imports, "
                f"and the sandbox has {len(self._restores)}"
            )
        try:
            if not self._table.is_at(state.resources):
                self._check_origin(state.resources)
                # Closing may wait for somebody to read the guest's output.
                for provider in self._providers:
                    provider.clear_interrupt()
                # First, because it closes streams, which are the providers' to put back.
                self._table.restore(
                    state.resources,
                    self._restore_object,
                    None if closings is None else partial(self._close_later, closings),
                )
        finally:
            for index, restore in enumerate(self._restores):
                restore(states[index])

    def _close_later(
        self, closings: list[Callable[[], Any]], kind: int, close: Callable[[], Any]
    ) -> None:
        if self._is_given(kind):
            closings.append(close)
        else:
            close()

    def _check_origin(self, resources: HostResources) -> None:
        """What is a provider's, as a file says, does not get to functions of the user, for
        whom the guest could perhaps not get such an object.
        """
        if resources.origin is not None:
            return
        for kind, _, index in resources.host:
            if resources.tokens[index][0] is not None and self._is_given(kind):
                raise SnapshotError(
                    f"the snapshot holds a {self._table.type_name(kind)} of WASI, and its "
                    "interface is given as an import: grant what the saved sandbox was granted"
                )

    def _capture_object(self, value: Any) -> Captured | None:
        for index, provider in enumerate(self._providers):
            captured = provider.capture_resource(value)
            if captured is not None:
                return Captured((index, captured.token), captured.fixed)
        kind = type(value)
        capture = getattr(kind, "__hlwasm_capture__", None)
        if capture is None:
            return None
        make = capture(value)
        if not callable(make):
            raise SnapshotError(
                f"{kind.__qualname__}.__hlwasm_capture__ must return a function that makes "
                f"the object again, not {make!r}"
            )
        return Captured((None, make))

    def _restore_object(self, token: tuple[int | None, Any]) -> Any:
        index, data = token
        return data() if index is None else self._providers[index].restore_resource(data)
