"""What a sandbox does with snapshots of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlwasm.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hlwasm.component import Component
    from hlwasm.sandbox.calls import CallLoop
    from hlwasm.sandbox.host_state import HostSide, HostState
    from hlwasm.sandbox.imports import Linker
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.providers import Provider
    from hlwasm.sandbox.snapshot import Snapshot


class Saving:
    """The part of a sandbox that saves and restores it."""

    component: Component
    limits: Limits
    _loop: CallLoop
    _linker: Linker
    _providers: Sequence[Provider]
    _host_side: HostSide | None = None

    def _save(self, host: HostState | None = None) -> Snapshot:
        """See :meth:`Sandbox.snapshot`; called between ``begin`` and ``end``.

        Args:
            host: the host's side, if it is captured already.
        """
        from hlwasm.sandbox.snapshot import Snapshot

        if host is None:
            host = self._host().capture()
        return Snapshot(self.component, self.limits, self._loop.snapshot(), host)

    def _restore(self, snapshot: Snapshot, closings: list[Callable[[], Any]] | None = None) -> None:
        """See :meth:`Sandbox.restore`.

        Args:
            snapshot: likewise.
            closings: a worker restores for a task, which has entered the sandbox and leaves it,
                and calls what this takes; see :meth:`HostSide.restore`.
        """
        try:
            native, host = snapshot._native, snapshot._host
        except AttributeError:
            raise TypeError(f"expected a hlwasm.Snapshot, not {type(snapshot).__name__}") from None
        if snapshot.component is not self.component or snapshot.limits is not self.limits:
            self._check_compatible(snapshot)
        loop = self._loop
        loop.restore(native, closings is not None)
        try:
            (self._host_side or self._host()).restore(host, closings)
        except BaseException as error:
            loop.poison_restored(error)
            raise
        finally:
            if closings is None:
                loop.end()

    def _host(self) -> HostSide:
        if self._host_side is None:
            # Only here: most sandboxes are never saved.
            from hlwasm.sandbox.host_state import HostSide

            self._host_side = HostSide(self._loop.resources, self._providers, self._linker.is_given)
        return self._host_side

    def _check_compatible(self, snapshot: Snapshot) -> None:
        ours, theirs = self.component.artifact, snapshot.component.artifact
        if ours is not theirs and ours.key != theirs.key:
            raise SnapshotError(
                f"the snapshot is of {snapshot.component.name}, and the sandbox runs "
                f"{self.component.name}: restore it to a snapshot of the same component"
            )
        if snapshot.limits != self.limits:
            raise SnapshotError(
                "the snapshot was taken under other limits: give both sandboxes the same "
                "Limits, or use snapshot.instantiate()"
            )
