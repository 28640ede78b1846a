"""Resources: handles in the guest, objects in Python.

A host resource crosses as a number (its rep) that only this table gives a meaning.
A guest resource is an index into the export bridge's handle table, held by a
:class:`GuestResource`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlwasm.errors import GuestDataError, WitTypeError, WitValueError
from hlwasm.wit.model import Description, Resource

if TYPE_CHECKING:
    import weakref

# Reps are u32; the top bit stays free.
_REP_LIMIT = 1 << 31
_TABLE_LIMIT = 1 << 20


class GuestResource:
    """A resource that lives in the component.

    Close it with ``drop()`` or ``with``; one that is garbage is dropped before the
    sandbox's next call.
    """

    __slots__ = ("__weakref__", "_finalizer", "_handle", "_owner", "_type_index")

    _finalizer: weakref.finalize[..., GuestResource]
    _handle: int | None
    _owner: ResourceTable
    _type_index: int

    def __new__(cls, *_: Any, **__: Any) -> GuestResource:
        """Resources come from the component; a class whose WIT has a constructor overrides this."""
        raise TypeError(f"{cls.__name__} has no constructor in its WIT")

    @classmethod
    def _from_handle(cls, owner: ResourceTable, type_index: int, handle: int) -> GuestResource:
        self = object.__new__(cls)
        self._owner = owner
        self._type_index = type_index
        self._hold(handle)
        return self

    def _hold(self, handle: int) -> None:
        # Only here: most components give no resources to the host.
        import weakref

        self._handle = handle
        self._finalizer = weakref.finalize(self, self._owner.forget_guest, self._type_index, handle)
        self._finalizer.atexit = False

    def drop(self) -> None:
        """Gives the resource back; its destructor runs in the guest. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._finalizer.detach()
            self._owner.drop_guest(self._type_index, handle)

    def __enter__(self) -> GuestResource:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def __repr__(self) -> str:
        name = self._owner.type_name(self._type_index)
        state = "dropped or moved" if self._handle is None else f"handle {self._handle}"
        return f"<{name} {state}>"


class ResourceTable:
    """The resources of one sandbox; converts between handles and objects for the codecs.

    Args:
        description: the component's.
        drop: drops a guest handle: (type index, handle).
        classes: Python classes of guest resources by type index, where there are any.
    """

    def __init__(
        self,
        description: Description,
        drop: Callable[[int, int], None],
        classes: dict[int, type[GuestResource]],
    ) -> None:
        self._description = description
        self._drop = drop
        self._classes = classes
        self._host: dict[tuple[int, int], Any] = {}
        self._lent: set[tuple[int, int]] = set()
        self._next = 1
        # Guest handles whose Python object is garbage; a finaliser may run on any thread
        # at any time, so it only appends here (list.append is atomic).
        self.garbage: list[tuple[int, int]] = []

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
        kind = self._classes.get(type_index, GuestResource)
        return kind._from_handle(self, type_index, handle)

    def lift_borrow(self, type_index: int, handle: int) -> Any:
        """Looks at a resource that the guest lends."""
        try:
            return self._host[type_index, handle]
        except KeyError:
            raise self._unknown(type_index, handle) from None

    # Host resources -------------------------------------------------------------

    def _insert(self, type_index: int, value: Any) -> int:
        if len(self._host) >= _TABLE_LIMIT:
            raise GuestDataError(
                f"the component holds {_TABLE_LIMIT} host resources and asks for another"
            )
        rep = self._next
        while (type_index, rep) in self._host:
            rep = rep % (_REP_LIMIT - 1) + 1
        self._next = rep % (_REP_LIMIT - 1) + 1
        self._host[type_index, rep] = value
        return rep

    def _take(self, type_index: int, rep: int) -> Any:
        key = type_index, rep
        # What is lent is the host's: the guest can neither give it away nor drop it.
        if key not in self._host or key in self._lent:
            raise self._unknown(type_index, rep)
        return self._host.pop(key)

    def _unknown(self, type_index: int, rep: int) -> GuestDataError:
        return GuestDataError(f"the guest passed an unknown {self.type_name(type_index)}: {rep}")

    def destroy_host(self, type_index: int, rep: int) -> None:
        """The guest dropped a host resource: its ``close`` is called where it has one."""
        value = self._take(type_index, rep)
        close = getattr(value, "close", None)
        if callable(close):
            close()

    def end_call(self) -> None:
        """Takes back what was lent for the call."""
        for key in self._lent:
            self._host.pop(key, None)
        self._lent.clear()

    def has_lent(self) -> bool:
        """Whether :meth:`end_call` has work to do."""
        return bool(self._lent)

    def close(self) -> None:
        """Closes the host resources that the guest still holds, newest first."""
        self.end_call()
        values = list(self._host.values())
        self._host.clear()
        for value in reversed(values):
            close = getattr(value, "close", None)
            if callable(close):
                close()

    # Guest resources ------------------------------------------------------------

    def _guest_handle(self, type_index: int, value: Any) -> int:
        name = self.type_name(type_index)
        if not isinstance(value, GuestResource) or value._type_index != type_index:
            raise WitTypeError(f"expected a {name} of this component, got {value!r}")
        if value._owner is not self:
            raise WitValueError(f"this {name} belongs to another sandbox")
        if value._handle is None:
            raise WitValueError(f"this {name} was dropped or given away")
        return value._handle

    def drop_guest(self, type_index: int, handle: int) -> None:
        """Drops a guest resource now."""
        self._drop(type_index, handle)

    def forget_guest(self, type_index: int, handle: int) -> None:
        """Finaliser of a :class:`GuestResource`; see ``garbage``."""
        self.garbage.append((type_index, handle))
