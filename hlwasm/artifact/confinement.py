"""What the worker process takes away from itself before it sees untrusted input.

===================  ============================================================
parent-death signal  it does not outlive the process that waits for it
resource limits      memory, CPU time, file size, no core dumps
Landlock             no files but those that are open already, no TCP
seccomp              no sockets, programs, processes, tracing or signals to others
===================  ============================================================

The first two always hold. The last two are for the case that hostile input takes over
the compiler: older kernels lack them, and work goes on without.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_MIB = 1 << 20
# Address space that holds no data: libraries, stacks and reservations of allocators.
_ADDRESS_SPACE_SLACK = 4096 * _MIB

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the line above.
        os._exit(1)


def limit_resources(*, memory_bytes: int, cpu_seconds: int, file_bytes: int) -> None:
    """Sets limits that this process cannot raise again.

    A limit that is lower already stays: nothing here may fail on a restricted machine.
    """
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _ADDRESS_SPACE_SLACK),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))


def close_doors() -> None:
    """Landlock and seccomp, as far as the kernel has them.

    Everything is imported and opened by now; from here on the worker computes, writes to
    open files, and starts threads.
    """
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _landlock()
    _seccomp()


# Landlock -----------------------------------------------------------------------

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_QUERY_VERSION = 1
# Version of Landlock → number of kinds of file access that it knows.
_FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_ACCESSES_LATEST = 16


def _landlock() -> None:
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_QUERY_VERSION)
    if version < 1:
        return
    files = (1 << _FILE_ACCESSES.get(version, _FILE_ACCESSES_LATEST)) - 1
    # Everything that is named here and allowed by no rule is denied. TCP bind and connect
    # since version 4; abstract sockets and signals to processes outside since 6.
    ruleset = struct.pack("<Q", files)
    if version >= 4:
        ruleset += struct.pack("<Q", 0b11)
    if version >= 6:
        ruleset += struct.pack("<Q", 0b11)
    fd = _libc.syscall(_LANDLOCK_CREATE_RULESET, ruleset, len(ruleset), 0)
    if fd >= 0:
        _libc.syscall(_LANDLOCK_RESTRICT_SELF, fd, 0)
        os.close(fd)


# seccomp ------------------------------------------------------------------------

_SECCOMP = 317
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_ALL_THREADS = 1
_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000
_CLONE = 56
_CLONE3 = 435
_CLONE_THREAD = 0x10000

# Numbers of x86-64; the answer to each is EPERM.
_DENIED = (
    # Processes and programs: fork, vfork, execve, execveat.
    *(57, 58, 59, 322),
    # Other processes: kill, tkill, ptrace, process_vm_readv, process_vm_writev,
    # pidfd_send_signal, pidfd_open, pidfd_getfd.
    *(62, 200, 101, 310, 311, 424, 434, 438),
    # Sockets: socket, connect, accept, sendto, sendmsg, bind, listen, socketpair, accept4.
    *(41, 42, 43, 44, 46, 49, 50, 53, 288),
    # The machine: pivot_root, chroot, mount, umount2, init_module, finit_module, unshare,
    # setns, open_by_handle_at, fsopen, open_tree, move_mount.
    *(155, 161, 165, 166, 175, 313, 272, 308, 304, 430, 428, 429),
    # Kernel interfaces with a record of holes: add_key, request_key, keyctl,
    # perf_event_open, bpf, userfaultfd, io_uring_setup, io_uring_enter, io_uring_register.
    *(248, 249, 250, 298, 321, 323, 425, 426, 427),
)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
# Offsets in the kernel's record of a system call.
_NUMBER, _ARCH, _ARGUMENT_0 = 0, 4, 16


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter() -> bytes:
    """The program: instructions of code, jump if true, jump if false, value."""
    program = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # The x32 numbering would go past the list below.
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        # Flags of clone3 are out of reach; without it the C library uses clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ENOSYS),
    ]
    for number in _DENIED:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    program += [
        (_EQUAL, 1, 0, _CLONE),
        (_RETURN, 0, 0, _ALLOW),
        # Threads, but no processes.
        (_LOAD, 0, 0, _ARGUMENT_0),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _seccomp() -> None:
    if os.uname().machine != "x86_64":
        return
    instructions = _filter()
    program = _Program(len(instructions) // 8, instructions)
    _libc.syscall(_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_ALL_THREADS, ctypes.byref(program))
