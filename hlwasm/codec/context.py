"""What a codec needs from a sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hlwasm.errors import GuestDataError


class ResourceConverter(Protocol):
    """Turns resource objects into handles and back.

    ``type_index`` is the index of the resource type (kind ``resource``) in the
    description. Lowering raises a :class:`~hlwasm.errors.ConversionError` without a
    path for a wrong object (the codec adds the path); lifting raises
    :class:`~hlwasm.errors.GuestDataError` for a handle that was never given out.
    Lowering or lifting a *borrow* twice must do no harm; an *own* is converted once. Where
    another value of the call turns out wrong, it is taken back, or put back.
    """

    def lower_own(self, type_index: int, value: Any) -> int: ...
    def take_back(self, type_index: int, value: Any, handle: int) -> None: ...
    def lower_borrow(self, type_index: int, value: Any) -> int: ...
    def lift_own(self, type_index: int, handle: int) -> Any: ...
    def put_back(self, type_index: int, value: Any, handle: int) -> None: ...
    def lift_borrow(self, type_index: int, handle: int) -> Any: ...


# Makes a view of some bytes, as elements of a struct format.
ViewMaker = Callable[[memoryview, str], memoryview]


class Loan(Protocol):
    """Views of a result, which end when the sandbox is used again.

    Attributes:
        memory: the export memory, read-only.
    """

    @property
    def memory(self) -> memoryview: ...
    @property
    def view(self) -> ViewMaker: ...


class Context(Protocol):
    """One sandbox, as codecs see it: all but how it is run.

    A guest call is ``begin``, lower, ``invoke``, lift, ``end``; ``end`` is called
    exactly when ``begin`` returned. The memories are read anew for each call, between
    ``begin`` and ``end``. Both are flat byte views (format ``B``), writable, at least 64
    bytes long, and hold what the guest can change at any time.
    """

    @property
    def export_memory(self) -> memoryview: ...
    @property
    def import_memory(self) -> memoryview: ...
    @property
    def resources(self) -> ResourceConverter: ...

    @property
    def count_bytes(self) -> Callable[[int], None] | None:
        """Counts bytes of a host call, and raises where there are too many; None does not.

        Called by a host function's codec with what it has read, before the function runs,
        and with what it has written.
        """

    def lend(self) -> Loan:
        """Lends the memory that has the result; called after ``invoke``, before ``end``."""

    def poison(self, error: GuestDataError) -> None:
        """The result of a guest call was not valid; called before ``end``."""

    def end(self) -> None:
        """Ends the guest call, however it went."""


class CallContext(Context, Protocol):
    """A sandbox that runs while the caller waits."""

    def begin(self) -> None:
        """Starts a guest call; raises a SandboxStateError if there can be none now."""

    def invoke(self, index: int) -> None:
        """Runs ``call-index`` to its end, serving host calls; raises what ended it."""


class AsyncCallContext(Context, Protocol):
    """A sandbox whose calls are awaited."""

    async def begin(self) -> None:
        """As :meth:`CallContext.begin`."""

    async def invoke(self, index: int) -> None:
        """As :meth:`CallContext.invoke`."""
