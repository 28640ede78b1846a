"""The VMs that outlive their sandboxes, for the next ones; one pool for the process."""

from __future__ import annotations

from hlwasm.frozen import Frozen
from hlwasm.native.library import load_library
from hlwasm.native.status import raise_status

_KEPT_MAX = (1 << 63) - 1


class VmPool(Frozen):
    """What the process's pool of micro-VMs has done and has; each is a count.

    Attributes:
        made: VMs made for snapshots because none was kept.
        reused: VMs taken from those kept.
        kept: VMs kept now.
        waiting: VMs that wait to be put back or freed.
        limit: the most that are kept.
    """

    made: int
    reused: int
    kept: int
    waiting: int
    limit: int


def vm_pool(limit: int | None = None) -> VmPool:
    """How the process's pool of micro-VMs is, and how many it keeps from now on.

    Making a VM and freeing one take the kernel longer than all else that a sandbox needs. So
    the VM of a closed sandbox is put back to its snapshot and kept for ten seconds, by a
    thread of its own, and ``Snapshot.instantiate`` takes it. One that is kept needs kernel
    memory in proportion to ``Limits.memory``.

    Args:
        limit: the most VMs that are kept, 16 unless chosen; those that are too many are
            freed. None leaves it.

    Raises:
        ValueError: ``limit`` is negative or makes no sense.

    Example:
        >>> import hlwasm
        >>> before = hlwasm.vm_pool().limit
        >>> hlwasm.vm_pool(limit=64).limit
        64
        >>> hlwasm.vm_pool(limit=before).limit == before
        True
    """
    if limit is not None and (type(limit) is not int or not 0 <= limit <= _KEPT_MAX):
        raise ValueError(f"limit: {limit!r} is neither None nor a number from 0 on")
    ffi, lib = load_library()
    info = ffi.new("hlw_vm_pool_info *")
    status = lib.hlw_vm_pool(-1 if limit is None else limit, info)
    if status < 0:
        raise_status(ffi, lib, status)
    return VmPool(info.made, info.reused, info.kept, info.waiting, info.limit)
