"""What is lent of a sandbox's memory to its user: views that a later use of it ends.

A view cannot be taken back from who made something else of it: a NumPy array, or a slice, holds
the memory by itself. So all views of a loan come from one buffer, and while that is alive somebody
can still read the memory; then nothing may write there, and it may not be freed.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any
from weakref import ref

from hlwasm.errors import ViewInUse

if TYPE_CHECKING:
    from hlwasm.sandbox.state import Guard


class Loan:
    """Read-only views of one result. Made by the call that has it, before it ends.

    Args:
        buffer: the transfer memory; nobody else has this object, and it keeps the memory.
        guard: the sandbox's, which asks for the views back when the sandbox is used again.

    Attributes:
        memory: all of it, flat bytes, read-only.
    """

    __slots__ = ("__weakref__", "_buffer", "_guard", "_views", "memory")

    def __init__(self, buffer: Any, guard: Guard) -> None:
        self._buffer = ref(buffer)
        self._guard = guard
        self.memory = memoryview(buffer).cast("B").toreadonly()
        self._views = [self.memory]

    def view(self, part: memoryview, format: str) -> memoryview:
        """Lends a part of :attr:`memory`, as elements of a ``struct`` format."""
        if format != "B":
            part = part.cast(format)  # type: ignore[call-overload]
        self._views.append(part)
        return part

    def release(self) -> bool:
        """Ends the views; False where something made of them is alive. Called by the holder of
        the guard, any number of times.
        """
        self._views = [view for view in self._views if not _released(view)]
        return self._buffer() is None

    def collect(self) -> None:
        """Ends the views, or says that it cannot be.

        Raises:
            ViewInUse: something made of them is alive.
        """
        if self.release():
            return
        # What is garbage, but in a cycle, is nobody's; an array in an old traceback, for example.
        gc.collect()
        if not self.release():
            raise ViewInUse(
                "a NumPy array, slice or other object made of a view of an earlier result still "
                "uses the sandbox's memory: delete it before the sandbox is used again, or copy "
                "what you keep"
            )

    def end(self) -> None:
        """Ends the views, unless a later use of the sandbox has done so.

        Raises:
            ViewInUse: something made of them is alive.
        """
        self._guard.end_loan(self)


def _released(view: memoryview) -> bool:
    try:
        view.release()
    except BufferError:
        return False
    return True
