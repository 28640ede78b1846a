"""The owner of a native sandbox."""

from __future__ import annotations

from _thread import RLock
from collections.abc import Sequence
from typing import Any

from hlwasm.errors import SandboxClosed
from hlwasm.frozen import Frozen
from hlwasm.native.library import load_library
from hlwasm.native.status import raise_status


class Counters(Frozen):
    """What a sandbox has done since it was made; each is a count."""

    exits: int
    host_calls: int
    page_faults: int
    access_faults: int
    exceptions: int
    protects: int
    interrupts: int


class NativeSandbox:
    """Owns an ``hlw_sandbox``: one micro-VM with a booted guest.

    Attributes:
        ffi, lib: cffi's objects.
        pointer: the ``hlw_sandbox *``; the hot path passes it to ``lib`` directly.
        exit: the ``hlw_exit`` that each run fills in.
        artifact_bytes: length of the artifact, in bytes.
    """

    __slots__ = ("_life", "artifact_bytes", "exit", "ffi", "lib", "pointer", "views")

    def __init__(
        self,
        *,
        window_bytes: Sequence[int],
        ram_bytes: int,
        artifact_fd: int,
        artifact_bytes: int,
        total_memory_bytes: int = 0,
        scripted: bool = False,
    ) -> None:
        """Makes the VM and boots the guest to its first ready.

        Args:
            window_bytes: capacity of each window, in bytes.
            ram_bytes: the guest's RAM, in bytes.
            artifact_fd: descriptor of the artifact; stays the caller's.
            artifact_bytes: length of the artifact, in bytes.
            total_memory_bytes: most bytes of all windows but the transfer windows
                together, 0 for no limit.
            scripted: use the scripted driver (tests without a hypervisor).

        Raises:
            NoHypervisorFound: no usable /dev/kvm.
            NativeError: a system call failed, or an argument is out of range.
        """
        self.ffi, self.lib = ffi, lib = load_library()
        self.views: list[memoryview] = []
        # Held where another thread than the sandbox's uses the pointer, so that it is not
        # freed meanwhile. Reentrant: a signal handler that kicks may interrupt `close`.
        self._life = RLock()
        self.artifact_bytes = artifact_bytes
        windows = ffi.new("uint64_t[]", list(window_bytes))
        config = ffi.new(
            "hlw_config *",
            {
                "driver": lib.HLW_DRIVER_SCRIPTED if scripted else lib.HLW_DRIVER_KVM,
                "window_count": len(window_bytes),
                "window_bytes": windows,
                "ram_bytes": ram_bytes,
                "artifact_fd": artifact_fd,
                "artifact_bytes": artifact_bytes,
                "total_memory_bytes": total_memory_bytes,
            },
        )
        out = ffi.new("hlw_sandbox **")
        status = lib.hlw_sandbox_new(config, out)
        if status < 0:
            raise_status(ffi, lib, status)
        self.pointer = ffi.gc(out[0], lib.hlw_sandbox_free)
        self.exit = lib.hlw_last_exit(self.pointer)

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

    def text(self) -> str:
        """The text of the last exit. Bytes that are not UTF-8 are replaced."""
        length = self.exit.text_bytes
        if not length:
            return ""
        raw = bytes(self.ffi.buffer(self.lib.hlw_text(self.pointer), length))
        return raw.decode("utf-8", "replace")

    def counters(self) -> Counters:
        """Reads the counters."""
        out = self._read_counters()
        return Counters(*[getattr(out, name) for name in Counters.__match_args__])

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

    def close(self) -> None:
        """Frees the VM. The caller sees to it that no call is running."""
        with self._life:
            if self.pointer is None:
                return
            for view in self.views:
                view.release()
            self.views.clear()
            pointer: Any = self.pointer
            self.pointer = self.exit = None
            self.ffi.release(pointer)
