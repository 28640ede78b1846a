"""Resources: handles in the guest, objects in Python.

A host resource crosses as a number (its rep) that only this table gives a meaning.
A guest resource is an index into the export bridge's handle table, held by a
:class:`HeldResource`.

A snapshot holds the table too. Restoring one follows these rules:

* Host resources are made again from what was captured of them, one new object for each
  that was captured, also where it was held under several reps. Objects without state may
  stay as they are, and a maker may answer the same object each time. Whatever was in the
  table and is not part of the restored state is closed, as if the guest had dropped it.
* Guest resources live in the guest's memory, which is restored. Objects that held one at
  the snapshot hold it again, unless they were dropped or given away since: that is not
  undone. Objects made since hold nothing any more, not even for their finaliser: their
  handles now mean something else, or nothing. A handle that no object holds any more stays
  in the guest, undropped; there are never more of them than the snapshot had.
* In another sandbox, or another process, no object holds any of the guest's handles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hlwasm.errors import GuestDataError, SnapshotError, WitTypeError, WitValueError
from hlwasm.logs import WARNING, log
from hlwasm.sandbox.captured import Captured, HostResources
from hlwasm.wit.model import Description, Resource

if TYPE_CHECKING:
    import weakref

# Reps are u32; the top bit stays free.
REP_LIMIT = 1 << 31
TABLE_LIMIT = 1 << 20


class HeldResource:
    """A resource that lives in the component; one that is garbage is dropped before the
    sandbox's next call.
    """

    __slots__ = ("__weakref__", "_finalizer", "_handle", "_number", "_owner", "_type_index")

    _finalizer: weakref.finalize[..., HeldResource]
    _handle: int | None
    # Under which the table knows what this object holds; never used twice.
    _number: int
    _owner: ResourceTable
    _type_index: int

    def __new__(cls, *_: Any, **__: Any) -> HeldResource:
        """Resources come from the component; a class whose WIT has a constructor overrides this."""
        raise TypeError(f"{cls.__name__} has no constructor in its WIT")

    @classmethod
    def _from_handle(cls, owner: ResourceTable, type_index: int, handle: int) -> HeldResource:
        self = object.__new__(cls)
        self._owner = owner
        self._type_index = type_index
        self._number = owner.new_number()
        self._hold(handle)
        return self

    def _hold(self, handle: int) -> None:
        # Only here: most components give no resources to the host.
        import weakref

        self._handle = handle
        self._owner.hold_guest(self._number, self._type_index, handle)
        self._finalizer = weakref.finalize(self, self._owner.forget_guest, self._number)
        self._finalizer.atexit = False

    def _give_up(self) -> bool:
        """Gives up the handle, which the table still holds; False where it was before."""
        handle, self._handle = self._handle, None
        if handle is None:
            return False
        self._finalizer.detach()
        return True

    def __repr__(self) -> str:
        name = self._owner.type_name(self._type_index)
        if self._handle is None:
            state = "dropped or moved"
        elif not self._owner.holds_guest(self._number):
            state = "restored away"
        else:
            state = f"handle {self._handle}"
        return f"<{name} {state}>"


class GuestResource(HeldResource):
    """A guest resource of a :class:`~hlwasm.Sandbox`. Close it with ``drop()`` or ``with``."""

    __slots__ = ()

    def drop(self) -> None:
        """Gives the resource back; its destructor runs in the guest. Idempotent."""
        if self._give_up():
            self._owner.drop_guest(self._number)

    def __enter__(self) -> GuestResource:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


class AsyncGuestResource(HeldResource):
    """A guest resource of an :class:`~hlwasm.AsyncSandbox`. Close it with ``await drop()`` or
    ``async with``.
    """

    __slots__ = ()

    async def drop(self) -> None:
        """Gives the resource back; its destructor runs in the guest. Idempotent."""
        if self._give_up():
            await self._owner.drop_guest(self._number)

    async def __aenter__(self) -> AsyncGuestResource:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()


class ResourceTable:
    """The resources of one sandbox; converts between handles and objects for the codecs.

    Args:
        description: the component's.
        drop: drops the guest resource of this number, which it then asks :meth:`release` for.
        classes: Python classes of guest resources by type index, where there are any.

    Attributes:
        drop_guest: drops a guest resource now: ``drop``, or an asynchronous one.
        plain_class: of guest resources that have no class of their own.
        on_closed: given what each ``close`` returned that a restore called.
    """

    def __init__(
        self,
        description: Description,
        drop: Callable[[int], Any],
        classes: dict[int, type[HeldResource]],
    ) -> None:
        self._description = description
        self.drop_guest = drop
        self.plain_class: type[HeldResource] = GuestResource
        self.on_closed: Callable[[Any], object] | None = None
        self._classes = classes
        self._host: dict[tuple[int, int], Any] = {}
        self._lent: set[tuple[int, int]] = set()
        self._next = 1
        # Type index and handle of each guest resource that an object holds, by number.
        self._held: dict[int, tuple[int, int]] = {}
        self._last_number = 0
        # Numbers of guest resources whose Python object is garbage; a finaliser may run on any
        # thread at any time, so it only appends here (list.append is atomic). What is appended
        # after a restore took the handle away is without effect: see `release`.
        self.garbage: list[int] = []
        # What marks the objects of this table in a snapshot.
        self._origin = object()
        # The state that the table is in unless `_changed`; None where it must be made again.
        self._at: HostResources | None = None
        self._changed = True

    def type_name(self, type_index: int) -> str:
        """WIT name of a resource type."""
        return self._resource(type_index).name or "resource"

    def _resource(self, type_index: int) -> Resource:
        kind = self._description.types[type_index]
        assert isinstance(kind, Resource)
        return kind

    # Codec side -----------------------------------------------------------------

    def lower_own(self, type_index: int, value: Any) -> int:
        """Gives a resource away: a host object gets a rep, a guest resource is moved."""
        if self._resource(type_index).side == "host":
            return self._insert(type_index, value)
        handle = self._guest_handle(type_index, value)
        value._handle = None
        value._finalizer.detach()
        self.release(value._number)
        return handle

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        """Undoes :meth:`lower_own`: the call that the resource was for was not made."""
        if self._resource(type_index).side == "host":
            self._host.pop((type_index, handle), None)
        else:
            value._hold(handle)

    def lower_borrow(self, type_index: int, value: Any) -> int:
        """Lends a resource for the length of the call."""
        if self._resource(type_index).side == "host":
            rep = self._insert(type_index, value)
            self._lent.add((type_index, rep))
            return rep
        return self._guest_handle(type_index, value)

    def lift_own(self, type_index: int, handle: int) -> Any:
        """Takes a resource that the guest gives."""
        if self._resource(type_index).side == "host":
            return self._take(type_index, handle)
        kind = self._classes.get(type_index, self.plain_class)
        return kind._from_handle(self, type_index, handle)

    def lift_borrow(self, type_index: int, handle: int) -> Any:
        """Looks at a resource that the guest lends."""
        try:
            return self._host[type_index, handle]
        except KeyError:
            raise self._unknown(type_index, handle) from None

    # Host resources -------------------------------------------------------------

    def _insert(self, type_index: int, value: Any) -> int:
        if len(self._host) >= TABLE_LIMIT:
            raise GuestDataError(
                f"the component holds {TABLE_LIMIT} host resources and asks for another"
            )
        rep = self._next
        while (type_index, rep) in self._host:
            rep = rep % (REP_LIMIT - 1) + 1
        self._next = rep % (REP_LIMIT - 1) + 1
        self._changed = True
        self._host[type_index, rep] = value
        return rep

    def _take(self, type_index: int, rep: int) -> Any:
        key = type_index, rep
        # What is lent is the host's: the guest can neither give it away nor drop it.
        if key not in self._host or key in self._lent:
            raise self._unknown(type_index, rep)
        self._changed = True
        return self._host.pop(key)

    def _unknown(self, type_index: int, rep: int) -> GuestDataError:
        return GuestDataError(f"the guest passed an unknown {self.type_name(type_index)}: {rep}")

    def destroy_host(self, type_index: int, rep: int) -> Any:
        """The guest dropped a host resource: calls its ``close`` where it has one.

        Returns:
            What ``close`` returned: something to await where it is asynchronous.
        """
        return close_host(self._take(type_index, rep))

    def end_call(self) -> None:
        """Takes back what was lent for the call."""
        for key in self._lent:
            self._host.pop(key, None)
        self._lent.clear()

    def has_lent(self) -> bool:
        """Whether :meth:`end_call` has work to do."""
        return bool(self._lent)

    def close(self) -> None:
        """Closes the host resources that the guest still holds, newest first.

        Raises:
            BaseException: the first that a ``close`` raised; all are called.
        """
        _close_all(self.take_all()).reraise()

    def take_all(self) -> list[Any]:
        """The host resources that the guest still holds, newest first; it holds none now."""
        self.end_call()
        self._changed = True
        values = list(reversed(self._host.values()))
        self._host.clear()
        return values

    # Snapshots ------------------------------------------------------------------

    def capture(self, capture_object: Callable[[Any], Captured | None]) -> HostResources:
        """What the table holds, for a sandbox in which nothing runs.

        Args:
            capture_object: how to make a host resource again; None where nobody can.

        Raises:
            SnapshotError: the guest holds a host resource that nobody can make again.
        """
        self.end_call()
        indices: dict[int, int] = {}
        captured: list[Captured] = []
        for (type_index, rep), value in self._host.items():
            if id(value) in indices:
                continue
            made = capture_object(value)
            if made is None:
                raise self._not_captured(type_index, rep, value)
            indices[id(value)] = len(captured)
            captured.append(made)
        state = HostResources(
            host=tuple([(*key, indices[id(value)]) for key, value in self._host.items()]),
            tokens=tuple([made.token for made in captured]),
            fixed=all(made.fixed for made in captured),
            next_rep=self._next,
            guest=tuple(self._held.items()),
            garbage=tuple(self.garbage),
            origin=self._origin,
        )
        self._settle(state)
        return state

    def is_at(self, state: HostResources) -> bool:
        """Whether :meth:`restore` has nothing to do: this is asked after each call."""
        return state is self._at and not self._changed and not self.garbage

    def restore(self, state: HostResources, restore_object: Callable[[Any], Any]) -> None:
        """Puts the table back.

        Args:
            state: captured from this table, or from one of another sandbox of the component.
            restore_object: makes a host resource from its token.

        Raises:
            Exception: what ``restore_object`` raised, and nothing is restored; or the first
                that a ``close`` raised, and all is restored.
        """
        made: list[Any] = []
        try:
            for token in state.tokens:
                made.append(restore_object(token))
        except BaseException:
            present = {id(value) for value in self._host.values()}
            _close_all([value for value in reversed(made) if id(value) not in present])
            raise
        # In case of an interrupt in between.
        self._changed = True
        self.end_call()
        kept = {id(value) for value in made}
        gone = [value for value in reversed(self._host.values()) if id(value) not in kept]
        self._host.clear()
        self._host.update({(kind, rep): made[index] for kind, rep, index in state.host})
        self._next = state.next_rep
        ours = state.origin is self._origin
        self._held.clear()
        self._held.update(state.guest if ours else ())
        self.garbage[:] = state.garbage if ours else ()
        self._settle(state)
        _close_all(gone, self.on_closed).reraise()

    def _settle(self, state: HostResources) -> None:
        """The table is in this state now."""
        self._at = state if state.fixed else None
        self._changed = False

    def _not_captured(self, type_index: int, rep: int, value: Any) -> SnapshotError:
        resource = self._resource(type_index)
        name = self.type_name(type_index)
        where = f"{resource.interface}#{name}" if resource.interface else name
        kind = type(value)
        return SnapshotError(
            f"the guest holds a host resource that cannot be captured: {where} {rep}, "
            f"a {kind.__module__}.{kind.__qualname__}. Give its class a method "
            "__hlwasm_capture__() that returns a function which makes the object again, "
            "or take the snapshot when the guest does not hold it"
        )

    # Guest resources ------------------------------------------------------------

    def _guest_handle(self, type_index: int, value: Any) -> int:
        name = self.type_name(type_index)
        if not isinstance(value, HeldResource) or value._type_index != type_index:
            raise WitTypeError(f"expected a {name} of this component, got {value!r}")
        if value._owner is not self:
            raise WitValueError(f"this {name} belongs to another sandbox")
        if value._handle is None:
            raise WitValueError(f"this {name} was dropped or given away")
        if value._number not in self._held:
            raise WitValueError(f"this {name} belongs to a state that was restored away")
        return value._handle

    def new_number(self) -> int:
        """The number of a new guest resource."""
        self._last_number += 1
        return self._last_number

    def hold_guest(self, number: int, type_index: int, handle: int) -> None:
        """An object holds a handle from now on."""
        self._changed = True
        self._held[number] = type_index, handle

    def holds_guest(self, number: int) -> bool:
        """Whether there is a handle in the present guest that is held under this number."""
        return number in self._held

    def release(self, number: int) -> tuple[int, int] | None:
        """Ends holding; called by who holds the sandbox.

        Returns:
            Type index and handle, None where a restore took the handle away.
        """
        self._changed = True
        return self._held.pop(number, None)

    def forget_guest(self, number: int) -> None:
        """Finaliser of a :class:`HeldResource`; see ``garbage``."""
        self.garbage.append(number)


def close_host(value: Any) -> Any:
    """Closes a host resource where it can be; returns what its ``close`` returned."""
    close = getattr(value, "close", None)
    return close() if callable(close) else None


class Closing:
    """Several closings, each in a ``with`` statement: all are done, whatever they raise.

    The first exception is kept, the others are logged.
    """

    def __init__(self) -> None:
        self._first: BaseException | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if error is not None and self._first is not None:
            log(__name__, WARNING, "closing a host resource failed: %r", error)
        elif error is not None:
            self._first = error
        return True

    def reraise(self) -> None:
        """Raises the first exception, if there was one."""
        if self._first is not None:
            raise self._first


def _close_all(values: Iterable[Any], then: Callable[[Any], object] | None = None) -> Closing:
    closing = Closing()
    for value in values:
        with closing:
            closed = close_host(value)
            if then is not None:
                then(closed)
    return closing
