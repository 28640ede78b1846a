"""Snapshots: a sandbox between two calls, saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlwasm.frozen import Shared
from hlwasm.sandbox.starts import Start

if TYPE_CHECKING:
    import os

    from hlwasm.component import Component
    from hlwasm.native.handles import NativeSnapshot
    from hlwasm.sandbox.async_sandbox import Instantiation
    from hlwasm.sandbox.host_state import HostState
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.wasi import Wasi


class Snapshot(Shared):
    """The state of a sandbox between two calls: memory, registers, and what the host knew.

    Made by :meth:`hlwasm.Sandbox.snapshot`, or from a file by :meth:`load`. It never changes;
    any thread may use it, also at the same time as others, and it outlives the sandbox. Its
    memory is freed when neither it nor a sandbox made from it is left, nor a VM that is kept for
    sandboxes to come (ten seconds at most; see :func:`hlwasm.vm_pool`).

    What the component drew at random before the snapshot is the same in all sandboxes made
    from it; what it draws afterwards is not, for WASI asks the host each time.

    Attributes:
        component: what runs in it.
        limits: those of the sandbox that it was taken of, and of all made from it.

    Example:
        >>> import hlwasm
        >>> text = '''(component
        ...   (core module $m (global $n (mut i32) (i32.const 0))
        ...     (func (export "next") (result i32)
        ...       (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        ...   (core instance $i (instantiate $m))
        ...   (func (export "next") (result u32) (canon lift (core func $i "next"))))'''
        >>> with hlwasm.load(text.encode()).instantiate() as sandbox:
        ...     print(sandbox.exports.next())
        ...     snapshot = sandbox.snapshot()
        ...     print(sandbox.exports.next())
        ...     sandbox.restore(snapshot)
        ...     print(sandbox.exports.next())
        1
        2
        2
        >>> with snapshot.instantiate() as other:
        ...     other.exports.next()
        2
    """

    _instead = "save() writes it to a file"

    def __init__(
        self, component: Component, limits: Limits, native: NativeSnapshot, host: HostState
    ) -> None:
        self.component = component
        self.limits = limits
        self._native = native
        self._host = host
        self._start = Start(native, None if host.is_initial else host)

    @property
    def size(self) -> int:
        """Bytes of memory, or of its file, that it holds."""
        return self._native.size

    def instantiate(self, imports: Any = None, *, wasi: Wasi | None = None) -> Sandbox:
        """Makes a sandbox that goes on from here. Nothing boots, so it takes about as long as
        the hypervisor needs for an empty VM, and far less where one is kept in the pool.

        Args:
            imports: as for :meth:`hlwasm.Component.instantiate`.
            wasi: likewise.

        Raises:
            LinkError: imports are missing or do not fit, all of them named.
            NoHypervisorFound: no usable /dev/kvm.
            SnapshotError: what the host knew does not fit these imports.
        """
        make = self.component.sandbox_class
        return make(self.component, imports, wasi, self.limits, self)

    def instantiate_async(self, imports: Any = None, *, wasi: Wasi | None = None) -> Instantiation:
        """As :meth:`instantiate`, for asyncio: ``await`` it, or use it in an ``async with``
        statement.
        """
        from hlwasm.sandbox.async_sandbox import AsyncSandbox, Instantiation

        async def start() -> AsyncSandbox:
            return await AsyncSandbox(self.component, imports, wasi, self.limits, self).start()

        return Instantiation(start)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the snapshot to a file, which appears as a whole or not at all.

        Raises:
            OSError: the file cannot be written.
            SnapshotError: an object of a host function cannot be pickled.
        """
        from hlwasm.sandbox.snapshot_file import save

        save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        component: Component,
        *,
        limits: Limits | None = None,
        verify: bool = True,
        trusted: bool = False,
    ) -> Snapshot:
        """Opens a snapshot file. Its pages are read when they are needed, so it is to stay as
        it is; replacing it, as :meth:`save` does, or removing it does no harm.

        A file may come from anybody: at worst the sandboxes made from it behave as a hostile
        component would.

        Args:
            path: the file.
            component: the one that the snapshot is of.
            limits: those of the sandbox that was saved.
            verify: compare all of the pages with their checksum, which reads the whole file.
            trusted: objects of host functions that are in the file may be unpickled, which
                runs code of the file's choice.

        Raises:
            OSError: the file cannot be read, or is a folder, pipe or device.
            SnapshotError: damaged, or of another machine, version, component or limits; or it
                needs ``trusted``.
        """
        from hlwasm.sandbox.limits import Limits
        from hlwasm.sandbox.snapshot_file import load

        return load(path, component, limits or Limits(), verify=verify, trusted=trusted)

    def __repr__(self) -> str:
        return f"<Snapshot of {self.component.name}: {self.size:,} bytes>"
