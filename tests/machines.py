"""How many micro-VMs and files this process has, apart from the VMs that are kept for later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hlwasm.native.library import load_library


@contextmanager
def _without_kept() -> Iterator[None]:
    """Frees the VMs that nobody uses; the pool keeps none meanwhile."""
    ffi, lib = load_library()
    info = ffi.new("hlw_vm_pool_info *")
    lib.hlw_vm_pool(-1, info)
    limit = info.limit
    lib.hlw_vm_pool(0, info)
    try:
        end = time.monotonic() + 20
        while (info.waiting or info.kept) and time.monotonic() < end:
            time.sleep(0.001)
            lib.hlw_vm_pool(-1, info)
        yield
    finally:
        lib.hlw_vm_pool(limit, ffi.NULL)


def machines() -> int:
    """Micro-VMs of this process."""
    with _without_kept():
        count = 0
        for file in Path("/proc/self/fd").iterdir():
            try:
                count += "kvm-vm" in str(file.readlink())
            except FileNotFoundError:
                continue
        return count


def descriptors() -> int:
    """Open files of this process."""
    with _without_kept():
        return len(list(Path("/proc/self/fd").iterdir()))
