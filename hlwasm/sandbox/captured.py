"""How a host resource is kept in a snapshot."""

from __future__ import annotations

from typing import Any

from hlwasm.frozen import Frozen


class Captured(Frozen):
    """How to make a host resource again.

    Attributes:
        token: what it is made from. Immutable, and picklable where it is to go into a file.
        fixed: the object has no state that changes, so that a restore may leave it where it
            is; one that has is made again at each restore.
    """

    token: Any
    fixed: bool = False


class HostResources(Frozen):
    """The resources of a sandbox at one moment; see :meth:`ResourceTable.capture`.

    Attributes:
        host: type index, rep and index into ``tokens`` of each host resource, oldest first.
        tokens: what the host resources are made from.
        fixed: all of them may stay where they are, see :class:`Captured`.
        next_rep: the first rep to try for the next host resource.
        guest: the guest resources that Python objects held: number → type index and handle.
        garbage: numbers of those whose object was garbage and not dropped yet.
        origin: the table that those objects belong to; None where the state is from a file:
            another process has none of the objects.
    """

    host: tuple[tuple[int, int, int], ...] = ()
    tokens: tuple[Any, ...] = ()
    fixed: bool = True
    next_rep: int = 1
    guest: tuple[tuple[int, tuple[int, int]], ...] = ()
    garbage: tuple[int, ...] = ()
    origin: object = None
