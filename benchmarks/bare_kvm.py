"""The least that a VM can cost: a loop over /dev/kvm with nothing of hlwasm in it.

Python makes each system call directly, which adds about a microsecond to calls of the kernel
that take hundreds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import time
from fcntl import ioctl

_CREATE_VM, _RUN, _VCPU_MMAP_BYTES = 0xAE01, 0xAE80, 0xAE04
_CREATE_VCPU, _SET_MEMORY = 0xAE41, 0x4020AE46
_GET_CPUID, _SET_CPUID = 0xC008AE05, 0x4008AE90
_GET_SYSTEM_REGISTERS, _SET_SYSTEM_REGISTERS, _SET_REGISTERS = 0x8138AE83, 0x4138AE84, 0x4090AE82
_EXIT_IO = 2

# Guest-physical, and guest-virtual, addresses of what the guest needs.
_TABLES, _TASK, _CODE = 0x1000, 0x4000, 0x5000
_OUT = b"\xef"  # out dx, eax
_LARGE_PAGE, _USER = 0x80, 0b111  # present, writable, for ring 3

# selector, type, privilege, default size, is a code or data segment, long
_CODE_SEGMENT, _DATA_SEGMENT = (0x23, 0xB, 3, 0, 1, 1), (0x1B, 3, 3, 1, 1, 0)
_CPUID_ENTRIES, _CPUID_BYTES = 256, 40


class BareKvm:
    """Makes VMs that execute one ``out`` in ring 3.

    Args:
        slot_bytes: guest memory, in one slot.
    """

    def __init__(self, slot_bytes: int) -> None:
        self._kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        self._run_bytes = ioctl(self._kvm, _VCPU_MMAP_BYTES)
        self._cpuid = bytearray(8 + _CPUID_ENTRIES * _CPUID_BYTES)
        struct.pack_into("<I", self._cpuid, 0, _CPUID_ENTRIES)
        ioctl(self._kvm, _GET_CPUID, self._cpuid)
        self._memory = memory = mmap.mmap(-1, slot_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for level in range(2):
            table = _TABLES + level * 4096
            struct.pack_into("<Q", memory, table, table + 4096 | _USER)
        struct.pack_into("<Q", memory, _TABLES + 2 * 4096, _LARGE_PAGE | _USER)
        # The map of permitted ports lies behind the task's state; all of its bits are zero.
        struct.pack_into("<H", memory, _TASK + 0x66, 0x68)
        memory[_CODE] = _OUT[0]
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._slot = struct.pack("<IIQQQ", 0, 0, 0, slot_bytes, address)
        self._registers = struct.pack("<18Q", *[0] * 16, _CODE, 2)

    def boot(self) -> float:
        """Makes a VM with its slot and vCPU, and runs it to its first exit; then frees it.

        Returns:
            Microseconds that it took, without freeing it.
        """
        opened = []
        started = time.perf_counter_ns()
        try:
            vm = ioctl(self._kvm, _CREATE_VM, 0)
            opened.append(vm)
            vcpu = ioctl(vm, _CREATE_VCPU, 0)
            opened.append(vcpu)
            ioctl(vcpu, _SET_CPUID, self._cpuid)
            run = mmap.mmap(vcpu, self._run_bytes)
            ioctl(vm, _SET_MEMORY, self._slot)
            system = bytearray(312)
            ioctl(vcpu, _GET_SYSTEM_REGISTERS, system)
            ioctl(vcpu, _SET_SYSTEM_REGISTERS, _ring_3(system))
            ioctl(vcpu, _SET_REGISTERS, self._registers)
            ioctl(vcpu, _RUN, 0)
            took = (time.perf_counter_ns() - started) / 1e3
            reason = struct.unpack_from("<I", run, 8)[0]
            run.close()
        finally:
            for descriptor in reversed(opened):
                os.close(descriptor)
        if reason != _EXIT_IO:
            raise RuntimeError(f"the guest ended by exit {reason}, not by its `out`")
        return took

    def close(self) -> None:
        """Frees what all VMs share."""
        os.close(self._kvm)


def _segment(selector: int, kind: int, privilege: int, size: int, usual: int, long: int) -> bytes:
    flags = (kind, 1, privilege, size, usual, long, 1, 0, 0, 0)
    return struct.pack("<QIH10B", 0, 0xFFFFFFFF, selector, *flags)


def _ring_3(fresh: bytearray) -> bytes:
    """A fresh vCPU's system registers, changed to ring 3 in long mode."""
    code, data = _segment(*_CODE_SEGMENT), _segment(*_DATA_SEGMENT)
    task = struct.pack("<QIH10B", _TASK, 0x68 + 0xFF, 0x28, 0xB, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    local = struct.pack("<QIH10B", 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0)
    segments = code + data * 5 + task + local
    tables = struct.pack("<QH6xQH6x", 0, 0, 0, 0)
    control = struct.pack("<6Q", 0x80050033, 0, _TABLES, 0x40620, 0, 0xD01)
    changed = segments + tables + control
    return changed + bytes(fresh[len(changed) :])
