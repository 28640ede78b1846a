"""The Python objects that stand for a component's own resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import weakref

    from hlwasm.sandbox.resources import ResourceTable


class HeldResource:
    """A resource that lives in the component; one that is garbage is dropped before the
    sandbox's next call.
    """

    __slots__ = (
        "__weakref__", "_end", "_finalizer", "_handle", "_number", "_owner", "_type_index"
    )  # fmt: skip

    # How the object lost its handle.
    _end: str
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

    def _give_up(self, end: str) -> bool:
        """Gives up the handle, which the table still holds; False where it was before.

        Args:
            end: how: "was dropped", for example.
        """
        handle, self._handle = self._handle, None
        if handle is None:
            return False
        self._end = end
        self._finalizer.detach()
        return True

    def drop(self) -> Any:
        """Gives the resource back; what it returns is awaited where it can be."""
        raise NotImplementedError

    def __reduce_ex__(self, _: object) -> NoReturn:
        """A copy would hold the same handle; and in another process there is none."""
        raise TypeError(
            f"a {self._owner.type_name(self._type_index)} lives in its sandbox: it can be neither "
            "copied nor pickled"
        )

    def __repr__(self) -> str:
        name = self._owner.type_name(self._type_index)
        if self._handle is None:
            state = self._end
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
        if self._give_up("was dropped"):
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
        if self._give_up("was dropped"):
            await self._owner.drop_guest(self._number)

    async def __aenter__(self) -> AsyncGuestResource:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()
