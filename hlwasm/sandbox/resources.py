"""Resources: handles in the guest, objects in Python.

A host resource crosses as a number (its rep) that only this table gives a meaning.
A guest resource is an index into the export bridge's handle table, held by a
:class:`HeldResource`.

Who owns what, during a call and after it:

* A host object is closed when the guest has dropped the last handle that it owns of it; the
  same object may be given several times. What is lent is the host's.
* A guest resource that is given away is gone, unless the call that it was for is not made.
  Within one call it is given once, or lent as often as one likes.
* Values that the guest gives are the host's as soon as all of them are read.

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

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.codec.checks import short
from hlwasm.errors import GuestDataError, SnapshotError, WitTypeError, WitValueError
from hlwasm.logs import WARNING, log
from hlwasm.sandbox.guest_resources import GuestResource, HeldResource
from hlwasm.wit.model import Description, Resource
from hlwasm.wit.names import parse_function_name

if TYPE_CHECKING:
    from hlwasm.sandbox.captured import Captured, HostResources

# Reps are u32; the top bit stays free.
REP_LIMIT = 1 << 31
TABLE_LIMIT = 1 << 20

# Stands for a type index in what marks guest resources as given away by the running call.
_GIVEN = -1
# Has what was lent looked through at the end of a call that gave something away.
_SOMETHING_GIVEN = (_GIVEN, 0)


class ResourceTable:
    """The resources of one sandbox; converts between handles and objects for the codecs.

    Args:
        description: the component's.
        drop: drops the guest resource of this number, which it then asks :meth:`release` for.
        classes: Python classes of guest resources by type index, where there are any.

    Attributes:
        drop_guest: drops a guest resource now: ``drop``, or an asynchronous one.
        plain_class: of guest resources that have no class of their own.
        component: name of the component, for messages.
        fits: whether all objects of a class can stand for a host resource, by type index and
            one of its objects; raises a WitTypeError where this one cannot.
        exits: how often the guest has come back so far; None while a call runs in it.
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
        self.component = "the component"
        self.fits: Callable[[int, Any], bool] | None = None
        self.exits: Callable[[], int | None] = lambda: None
        self._classes = classes
        self._host: dict[tuple[int, int], Any] = {}
        # How many handles the guest owns of each host object, by its id.
        self._handles: dict[int, int] = {}
        # Classes whose objects are known to fit, by type index.
        self._fitting: dict[int, set[type]] = {}
        # What the running call was lent: type index, and rep or handle. And the numbers of the
        # guest resources that it was given.
        self._lent: set[tuple[int, int]] = set()
        # What a call that is about to be made takes: type index, object, and rep or handle of
        # each; and what `exits` was before it. What host functions answer is given for good.
        self._given: list[tuple[int, Any, int]] = []
        self._given_at: int | None = None
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
            rep = self._insert(type_index, value)
            self._handles[id(value)] = self._handles.get(id(value), 0) + 1
            self._give(type_index, value, rep)
            return rep
        handle = self._guest_handle(type_index, value)
        if (type_index, handle) in self._lent:
            raise WitValueError(f"this {self.type_name(type_index)} is lent to the same call")
        value._give_up("was given away")
        self.release(value._number)
        self._lent.add((_GIVEN, value._number))
        self._give(type_index, value, handle)
        return handle

    def _give(self, type_index: int, value: Any, handle: int) -> None:
        exits = self.exits()
        if exits is None:
            return
        if not self._given:
            self._given_at = exits
        self._lent.add(_SOMETHING_GIVEN)
        self._given.append((type_index, value, handle))

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        """Undoes :meth:`lower_own`: the call that the resource was for was not made."""
        if self._given:
            kind, given, as_handle = self._given[-1]
            if given is value and (kind, as_handle) == (type_index, handle):
                self._given.pop()
        if self._resource(type_index).side == "host":
            self._take(type_index, handle)
        else:
            self._lent.discard((_GIVEN, value._number))
            value._hold(handle)

    def lower_borrow(self, type_index: int, value: Any) -> int:
        """Lends a resource for the length of the call."""
        if self._resource(type_index).side == "host":
            handle = self._insert(type_index, value)
        else:
            handle = self._guest_handle(type_index, value)
        self._lent.add((type_index, handle))
        return handle

    def lift_own(self, type_index: int, handle: int) -> Any:
        """Takes a resource that the guest gives."""
        if self._resource(type_index).side == "host":
            return self._take(type_index, handle)
        try:
            kind = self._classes[type_index]
        except KeyError:
            kind = self.plain_class
        return kind._from_handle(self, type_index, handle)

    def put_back(self, type_index: int, value: Any, handle: int) -> None:
        """Undoes :meth:`lift_own`: another value of the call is not valid, and nobody gets it."""
        if self._resource(type_index).side == "host":
            self._host[type_index, handle] = value
            self._handles[id(value)] = self._handles.get(id(value), 0) + 1

    def lift_borrow(self, type_index: int, handle: int) -> Any:
        """Looks at a resource that the guest lends."""
        try:
            return self._host[type_index, handle]
        except KeyError:
            raise self._unknown(type_index, handle) from None

    # Host resources -------------------------------------------------------------

    def _insert(self, type_index: int, value: Any) -> int:
        fitting = self._fitting.get(type_index)
        if (fitting is None or type(value) not in fitting) and self._fits(type_index, value):
            self._fitting.setdefault(type_index, set()).add(type(value))
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
        value = self._host.pop(key)
        handles = self._handles.pop(id(value)) - 1
        if handles:
            self._handles[id(value)] = handles
        return value

    def _fits(self, type_index: int, value: Any) -> bool:
        if isinstance(value, HeldResource) and value._owner is self:
            raise WitTypeError(
                f"expected a {self.type_name(type_index)} of the host's, and this "
                f"{self.type_name(value._type_index)} is the component's own"
            )
        return self.fits is None or self.fits(type_index, value)

    def _unknown(self, type_index: int, rep: int) -> GuestDataError:
        return GuestDataError(f"the guest passed an unknown {self.type_name(type_index)}: {rep}")

    def destroy_host(self, type_index: int, rep: int) -> Any:
        """The guest dropped a handle of a host resource, which is closed if it was the last.

        Returns:
            What closing it returned: something to await where it is asynchronous.
        """
        value = self._take(type_index, rep)
        return None if id(value) in self._handles else self._close(type_index, value)

    def _close(self, type_index: int, value: Any) -> Any:
        """Calls ``close`` where the object has one.

        Where the WIT gives the resource a function ``close``, that is one among others, and
        ``__exit__`` is called.
        """
        if isinstance(value, HeldResource):
            return value.drop()
        if type_index in self._closable_by_guest():
            leave = getattr(value, "__exit__", None)
            return leave(None, None, None) if callable(leave) else None
        close = getattr(value, "close", None)
        return close() if callable(close) else None

    def _closable_by_guest(self) -> Container[int]:
        found: set[int] | None = self._description.cache.get("closable")
        if found is None:
            found = self._description.cache["closable"] = {
                function.resource
                for function in self._description.imports
                if function.resource is not None
                and parse_function_name(function.name).name == "close"
            }
        return found

    def end_call(self) -> None:
        """Takes back what was lent for the call; what was given to it is the guest's."""
        for key in self._lent:
            self._host.pop(key, None)
        self._lent.clear()
        self._given.clear()

    def undo_call(self) -> None:
        """The same for a call that may not have been made, in a guest that is whole: it takes
        back what was given, too, if the guest was not entered.
        """
        if self._given and self.exits() == self._given_at:
            while self._given:
                self.take_back(*self._given[-1])
        self.end_call()

    def has_lent(self) -> bool:
        """Whether :meth:`end_call` has work to do."""
        return bool(self._lent)

    def close(self) -> None:
        """Closes the host resources that the guest still holds, newest first.

        Raises:
            BaseException: the first that a ``close`` raised; all are called.
        """
        _close_by(None, self.take_all())

    def take_all(self) -> list[partial[Any]]:
        """What closes the host resources that the guest still holds, newest first; it holds
        none now.
        """
        self.end_call()
        self._changed = True
        closings = self._closings(set())
        self._host.clear()
        self._handles.clear()
        return closings

    def _closings(self, kept: Container[int]) -> list[partial[Any]]:
        """What closes each object in the table, newest first, but those of these ids."""
        objects = {id(value): (key[0], value) for key, value in self._host.items()}
        found = reversed(objects.items())
        return [partial(self._close, *each) for number, each in found if number not in kept]

    # Snapshots ------------------------------------------------------------------

    def capture(self, capture_object: Callable[[Any], Captured | None]) -> HostResources:
        """What the table holds, for a sandbox in which nothing runs.

        Args:
            capture_object: how to make a host resource again; None where nobody can.

        Raises:
            SnapshotError: the guest holds a host resource that nobody can make again.
        """
        # Only here: most sandboxes are never saved.
        from hlwasm.sandbox.captured import HostResources

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

    def restore(
        self,
        state: HostResources,
        restore_object: Callable[[Any], Any],
        close: Callable[[int, Callable[[], Any]], object] | None = None,
    ) -> None:
        """Puts the table back.

        Args:
            state: captured from this table, or from one of another sandbox of the component.
            restore_object: makes a host resource from its token.
            close: called instead of what closes an object, with its type index and that.

        Raises:
            SnapshotError: an object cannot stand for its resource, and nothing is restored.
            Exception: what ``restore_object`` raised, likewise; or the first that a ``close``
                raised, and all is restored.
        """
        made: list[Any] = []
        try:
            for token in state.tokens:
                made.append(restore_object(token))
            for kind, _, index in state.host:
                if type(made[index]) not in self._fitting.get(kind, ()):
                    self._check_made(kind, made[index])
        except BaseException:
            kinds = {index: kind for kind, _, index in state.host}
            present = {id(value) for value in self._host.values()}
            new = [(kinds[i], value) for i, value in enumerate(made) if id(value) not in present]
            with suppress(Exception):  # it is logged
                _close_by(close, [partial(self._close, *each) for each in reversed(new)])
            raise
        # In case of an interrupt in between.
        self._changed = True
        self.end_call()
        gone = self._closings({id(value) for value in made})
        self._host.clear()
        self._handles.clear()
        for kind, rep, index in state.host:
            value = self._host[kind, rep] = made[index]
            self._handles[id(value)] = self._handles.get(id(value), 0) + 1
        self._next = state.next_rep
        ours = state.origin is self._origin
        self._held.clear()
        self._held.update(state.guest if ours else ())
        self.garbage[:] = state.garbage if ours else ()
        self._settle(state)
        _close_by(close, gone)

    def _check_made(self, type_index: int, value: Any) -> None:
        """Host functions count on it wherever an object comes from."""
        try:
            if self._fits(type_index, value):
                self._fitting.setdefault(type_index, set()).add(type(value))
        except WitTypeError as error:
            raise SnapshotError(f"what a host resource is made again as: {error}") from error

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
        if not isinstance(value, HeldResource):
            raise WitTypeError(f"expected a {name} of this component, got {short(value)}")
        theirs = value._owner.type_name(value._type_index)
        if value._owner is not self:
            raise WitValueError(
                f"this {theirs} belongs to another sandbox, one of {value._owner.component}, and "
                f"means nothing in this one of {self.component}: a fork has its own handles, too"
            )
        if value._type_index != type_index:
            raise WitTypeError(f"expected a {name} of this component, got a {theirs}")
        if value._handle is None:
            again = (_GIVEN, value._number) in self._lent
            end = "is given away by another value of the same call" if again else value._end
            raise WitValueError(f"this {name} {end}")
        if value._number not in self._held:
            raise WitValueError(
                f"this {name} belongs to a state that was restored away, or was garbage"
            )
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


class Closing:
    """Several closings, each in a ``with`` statement: all are done, whatever they raise.

    The first exception is kept, but one that is no Exception (KeyboardInterrupt, CancelledError)
    goes before those that are. The others are logged.
    """

    def __init__(self) -> None:
        self._first: BaseException | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if error is None:
            return True
        other = self._first
        if other is None or (isinstance(other, Exception) and not isinstance(error, Exception)):
            self._first, error = error, other
        if error is not None:
            log(__name__, WARNING, "closing a host resource failed: %r", error)
        return True

    def reraise(self) -> None:
        """Raises the exception that was kept, if there was one."""
        if self._first is not None:
            raise self._first


def close_all(closings: Iterable[Callable[[], object]]) -> Closing:
    """Calls all."""
    closing = Closing()
    for close in closings:
        with closing:
            close()
    return closing


def _close_by(
    close: Callable[[int, Callable[[], Any]], object] | None, closings: list[partial[Any]]
) -> None:
    if close is not None:
        closings = [partial(close, each.args[0], each) for each in closings]
    close_all(closings).reraise()
