"""The package ``wasi:io``; its resources are in ``streams`` and ``polling``."""

from __future__ import annotations

from collections.abc import Sequence

from hlwasm.wasi.interface import Interface
from hlwasm.wasi.polling import Pollable


class Poll(Interface):
    """``wasi:io/poll``."""

    __slots__ = ()

    def poll(self, in_: Sequence[Pollable]) -> list[int]:
        """Blocks until one of the pollables is ready; answers the indices of all that are.

        Raises:
            Trap: the list is empty.
            TypeError: a host function of the user gave the guest a pollable of another kind.
        """
        if not in_:
            raise self._trap("poll", "the list of pollables is empty")
        for pollable in in_:
            if not isinstance(pollable, Pollable):
                raise TypeError(
                    f"{self._name}#poll: {type(pollable).__name__} is not a subclass of "
                    "hlwasm.wasi.polling.Pollable"
                )
        return self._host.waiter.wait(in_)
