"""What KVM counts of a vCPU of this process (``KVM_GET_STATS_FD``, Linux 5.14)."""

from __future__ import annotations

import os
import struct
from fcntl import ioctl
from pathlib import Path

_GET_STATS_FD = 0xAECE
_HEADER = struct.Struct("<6I")  # flags, bytes of a name, statistics, offsets: id, heads, values
_HEAD = struct.Struct("<IhHII")  # flags, exponent, how many values, offset of the first, bucket


def only_vcpu() -> int:
    """The descriptor of the one vCPU that this process has; it stays its owner's.

    Raises:
        RuntimeError: there is none, or more than one.
    """
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # that of the listing itself
            continue
        if "kvm-vcpu" in target:
            found.append(int(entry.name))
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} vCPUs instead of one")
    return found[0]


def statistics_of(vcpu: int) -> dict[str, int]:
    """All that is one number, by the kernel's names."""
    fd = ioctl(vcpu, _GET_STATS_FD)
    try:
        _, name_bytes, count, _, heads, values = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
        each = _HEAD.size + name_bytes
        table = os.pread(fd, count * each, heads)
        found = {}
        for at in range(0, count * each, each):
            _, _, size, offset, _ = _HEAD.unpack_from(table, at)
            name = table[at + _HEAD.size : at + each].rstrip(b"\0").decode()
            if size == 1:
                (found[name],) = struct.unpack("<Q", os.pread(fd, 8, values + offset))
        return found
    finally:
        os.close(fd)


def page_faults_of(vcpu: int) -> int:
    """Page faults of the guest that the hypervisor has served so far."""
    return statistics_of(vcpu)["pf_taken"]
