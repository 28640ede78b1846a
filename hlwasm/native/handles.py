"""The owner of a native sandbox."""

from __future__ import annotations

from _thread import RLock
from collections.abc import Sequence
from typing import Any

from hlwasm.errors import SandboxClosed, SnapshotError
from hlwasm.frozen import Frozen
from hlwasm.native.library import load_library
from hlwasm.native.status import last_error, os_error, raise_status

# The signal of kicks counts from SIGRTMIN; see native_vmm/src/kick/signal.rs.
_KICK_SIGNAL = 11
# Longer than any process lives, in nanoseconds.
_FOREVER = 1 << 62


class Counters(Frozen):
    """What a sandbox has done since it was made; each is a count."""

    exits: int
    host_calls: int
    page_faults: int
    access_faults: int
    exceptions: int
    protects: int
    interrupts: int
    restores: int
    restored_pages: int
    restore_scans: int


class Usage(Frozen):
    """What a sandbox takes and has done.

    Attributes:
        private_memory: bytes of its own pages: written to since it was made or restored, and
            not shared with its snapshot, other sandboxes or a file.
        linear_memory: bytes of the component's memories, as far as they have grown.
        slot_memory: bytes of guest-physical memory. Costs nothing in this process until it is
            used; the kernel takes about 0.3 % of it for its tables.
        counters: what it has done since it was made.
    """

    private_memory: int
    linear_memory: int
    slot_memory: int
    counters: Counters


class Configuration(Frozen):
    """What a native sandbox is made of.

    Attributes:
        window_bytes: capacity of each window, in bytes.
        ram_bytes: the guest's RAM, in bytes.
        artifact_fd: descriptor of the artifact; stays the caller's.
        artifact_bytes: length of the artifact, in bytes.
        total_memory_bytes: most bytes of all windows but the transfer windows together, 0
            for no limit.
        scripted: use the scripted driver (tests without a hypervisor).
    """

    window_bytes: Sequence[int]
    ram_bytes: int
    artifact_fd: int
    artifact_bytes: int
    total_memory_bytes: int = 0
    scripted: bool = False

    def to_native(self, ffi: Any, lib: Any) -> tuple[Any, Any]:
        """The ``hlw_config *``, and what has to stay alive with it."""
        windows = ffi.new("uint64_t[]", list(self.window_bytes))
        config = ffi.new(
            "hlw_config *",
            {
                "driver": lib.HLW_DRIVER_SCRIPTED if self.scripted else lib.HLW_DRIVER_KVM,
                "window_count": len(self.window_bytes),
                "window_bytes": windows,
                "ram_bytes": self.ram_bytes,
                "artifact_fd": self.artifact_fd,
                "artifact_bytes": self.artifact_bytes,
                "total_memory_bytes": self.total_memory_bytes,
            },
        )
        return config, windows


class NativeSnapshot:
    """Owns an ``hlw_snapshot``: a guest that waits for a command, saved. Any thread may use it.

    Attributes:
        pointer: the ``hlw_snapshot *``.
    """

    __slots__ = ("_owner", "ffi", "lib", "pointer")

    def __init__(self, ffi: Any, lib: Any, owner: Any) -> None:
        self.ffi, self.lib = ffi, lib
        self._owner = owner
        self.pointer = owner[0]

    @classmethod
    def load(
        cls, configuration: Configuration, fd: int, position: int, size: int, record: bytes
    ) -> NativeSnapshot:
        """Takes a part of a file as a snapshot.

        Args:
            configuration: of the sandboxes to be made.
            fd: descriptor of the file; stays the caller's.
            position: where the part begins.
            size: its length, in bytes.
            record: what :meth:`save` returned with it.

        Raises:
            SnapshotError: damaged, or of another configuration or machine.
            NativeError: a system call failed.
        """
        ffi, lib = load_library()
        config, _alive = configuration.to_native(ffi, lib)
        owner = ffi.gc(ffi.new("hlw_snapshot **"), lib.hlw_snapshot_release)
        data = ffi.from_buffer(record)
        status = lib.hlw_snapshot_load(config, fd, position, size, data, len(record), owner)
        if status == lib.HLW_ERROR_INPUT:
            raise SnapshotError(last_error(ffi, lib))
        if status < 0:
            raise_status(ffi, lib, status)
        return cls(ffi, lib, owner)

    def save(self, fd: int, position: int) -> tuple[int, bytes]:
        """Writes the pages to a file from a position on; returns their size and a record.

        Raises:
            OSError: the file cannot be written.
        """
        size, record = self.ffi.new("uint64_t *"), self.ffi.new("hlw_buffer *")
        status = self.lib.hlw_snapshot_save(self.pointer, fd, position, size, record)
        if status < 0:
            raise os_error(self.ffi, self.lib)
        try:
            return size[0], bytes(self.ffi.buffer(record.data, record.length))
        finally:
            self.lib.hlw_buffer_free(record[0])

    @property
    def size(self) -> int:
        """Bytes of memory, or of its file, that it holds."""
        size: int = self.lib.hlw_snapshot_bytes(self.pointer)
        return size


class NativeSandbox:
    """Owns an ``hlw_sandbox``: one micro-VM with a booted guest.

    Attributes:
        ffi, lib: cffi's objects.
        pointer: the ``hlw_sandbox *``; the hot path passes it to ``lib`` directly.
        exit: the ``hlw_exit`` that each run fills in.
        artifact_bytes: length of the artifact, in bytes.
    """

    __slots__ = (
        "_exits", "_life", "_owner", "artifact_bytes", "exit", "ffi", "lib", "pointer", "views",
    )  # fmt: skip

    def __init__(
        self, configuration: Configuration, snapshot: NativeSnapshot | None = None
    ) -> None:
        """Makes the VM and boots the guest to its first ready, or copies a snapshot.

        Args:
            configuration: what it is made of.
            snapshot: of a sandbox with the same configuration.

        Raises:
            NoHypervisorFound: no usable /dev/kvm.
            NativeError: a system call failed, or an argument is out of range.
        """
        self.ffi, self.lib = ffi, lib = load_library()
        self.views: list[memoryview] = []
        # Held where another thread than the sandbox's uses the pointer, so that it is not
        # freed meanwhile. Reentrant: a signal handler that kicks may interrupt `close`.
        self._life = RLock()
        self.artifact_bytes = configuration.artifact_bytes
        # The owner is there first: KeyboardInterrupt may come as soon as the library returns,
        # and what it made must not be lost then.
        self._owner: Any = ffi.gc(ffi.new("hlw_sandbox **"), lib.hlw_sandbox_release)
        if snapshot is None:
            config, _alive = configuration.to_native(ffi, lib)
            status = lib.hlw_sandbox_new(config, self._owner)
        else:
            status = lib.hlw_sandbox_from_snapshot(snapshot.pointer, self._owner)
        if status < 0:
            raise_status(ffi, lib, status)
        self.pointer: Any = self._owner[0]
        self.exit = lib.hlw_last_exit(self.pointer)
        self._exits = ffi.new("hlw_counters *")

    def limit_time(self, wall: float | None, cpu: float | None) -> None:
        """Limits the time of each command from now on, in seconds."""
        nanoseconds = [
            0 if t is None else max(1, min(round(t * 1e9), _FOREVER)) for t in (wall, cpu)
        ]
        status = self.lib.hlw_limit_time(self.pointer, *nanoseconds)
        if status < 0:
            raise_status(self.ffi, self.lib, status)

    def is_expired(self) -> bool:
        """Whether the wall-clock time of the command that runs is up. Any thread may ask."""
        with self._life:
            return self.pointer is not None and bool(self.lib.hlw_is_expired(self.pointer))

    def snapshot(self) -> NativeSnapshot:
        """Saves the guest, which waits for a command.

        Raises:
            NativeError: there is no memory for it.
        """
        owner = self.ffi.gc(self.ffi.new("hlw_snapshot **"), self.lib.hlw_snapshot_release)
        status = self.lib.hlw_snapshot_take(self.pointer, owner)
        if status < 0:
            raise_status(self.ffi, self.lib, status)
        return NativeSnapshot(self.ffi, self.lib, owner)

    def command(self, command: int, *arguments: int) -> int:
        """Runs a command to its first exit and returns the exit's kind."""
        values = self.ffi.new("uint64_t[]", list(arguments))
        kind: int = self.lib.hlw_command(self.pointer, command, values, len(arguments))
        if kind < 0:
            raise_status(self.ffi, self.lib, kind)
        return kind

    def window(self, index: int) -> memoryview:
        """The usable memory of a transfer window; released by :meth:`close`."""
        size = self.ffi.new("uint64_t *")
        data = self.lib.hlw_window(self.pointer, index, size)
        if data == self.ffi.NULL:
            return memoryview(bytearray())
        view = memoryview(self.ffi.buffer(data, size[0])).cast("B")
        self.views.append(view)
        return view

    def lend(self, index: int) -> Any:
        """The usable memory of a transfer window as a buffer that keeps the memory: where it is
        alive when the VM is closed, the VM is freed with it.
        """
        owner, size = self._owner, self.ffi.new("uint64_t *")
        data = self.lib.hlw_window(self.pointer, index, size)
        # The destructor frees nothing, but refers to the owner for as long as the buffer lives.
        return self.ffi.buffer(self.ffi.gc(data, lambda _, owner=owner: None), size[0])

    def text(self) -> str:
        """The text of the last exit. Bytes that are not UTF-8 are replaced."""
        length = self.exit.text_bytes
        if not length:
            return ""
        raw = bytes(self.ffi.buffer(self.lib.hlw_text(self.pointer), length))
        return raw.decode("utf-8", "replace")

    def fuel_left(self) -> int | None:
        """The fuel that the guest says the last command has left; None where it did not run
        to an end of its own, or the sandbox is closed. Any thread may ask.
        """
        # The exit is the sandbox's memory, too.
        with self._life:
            at = self.exit
            ended = self.lib.HLW_EXIT_DONE, self.lib.HLW_EXIT_FAILED
            return None if at is None or at.kind not in ended else int(at.value1)

    def counters(self) -> Counters:
        """Reads the counters."""
        out = self._read_counters()
        return Counters(*[getattr(out, name) for name in Counters.__match_args__])

    def exits(self) -> int | None:
        """How often the guest has come back since it was made; None while a command runs in it.
        By the sandbox's thread.
        """
        if self.exit.kind != self.lib.HLW_EXIT_DONE:
            return None
        out = self._exits
        self.lib.hlw_counters_read(self.pointer, out)
        return int(out.exits)

    def usage(self) -> Usage:
        """What it takes and has done.

        Raises:
            NativeError: another thread runs it.
        """
        out = self.ffi.new("hlw_memory_usage *")
        status = self.lib.hlw_memory_usage_read(self.pointer, out)
        if status < 0:
            raise_status(self.ffi, self.lib, status)
        return Usage(out.private_bytes, out.linear_bytes, out.slot_bytes, self.counters())

    def steps(self) -> list[tuple[str, float]]:
        """What making it took: name and seconds of each step, in order."""
        out = self._read_counters()
        return [
            ("VM creation", out.create_nanoseconds / 1e9),
            ("guest boot", out.boot_nanoseconds / 1e9),
        ]

    def _read_counters(self) -> Any:
        out = self.ffi.new("hlw_counters *")
        with self._life:
            if self.pointer is None:
                raise SandboxClosed("the sandbox is closed; instantiate a new one")
            self.lib.hlw_counters_read(self.pointer, out)
        return out

    def kick(self) -> None:
        """Makes the running call, or the next one, return early. Any thread may call this."""
        with self._life:
            if self.pointer is not None:
                self.lib.hlw_kick(self.pointer)

    @staticmethod
    def interrupt(thread: int) -> None:
        """Makes the run in that thread return early, as signals do: it can be resumed.

        Without effect where the thread is between two runs. There must be a sandbox, for
        the first one installs the signal's handler.

        Args:
            thread: a Python thread's ident.
        """
        from signal import SIGRTMIN, pthread_kill

        pthread_kill(thread, SIGRTMIN + _KICK_SIGNAL)

    def close(self, lent: bool = False) -> None:
        """Frees the VM. The caller sees to it that no call is running.

        Args:
            lent: a buffer of :meth:`lend` is alive: the VM is freed with the last of them.
        """
        with self._life:
            if self.pointer is None:
                return
            for view in self.views:
                view.release()
            self.views.clear()
            self.pointer = self.exit = None
            if not lent:
                self.ffi.release(self._owner)
            self._owner = None
