"""The sandbox for asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.codec.functions import bind_async_export, bind_async_import, bind_import
from hlwasm.errors import Err, ProgramExit
from hlwasm.native import _abi
from hlwasm.sandbox import workers
from hlwasm.sandbox.async_calls import AsyncCalls, task_guard
from hlwasm.sandbox.async_closing import AsyncClosing
from hlwasm.sandbox.guest_resources import AsyncGuestResource
from hlwasm.sandbox.sandbox import SandboxBase, exit_code
from hlwasm.sandbox.state import Status

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.native.handles import NativeSandbox
    from hlwasm.sandbox.calls import Serve
    from hlwasm.sandbox.imports import Resolver
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.providers import Provider
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.sandbox.starts import Starts
    from hlwasm.wasi import Wasi
    from hlwasm.wit.model import Function


class Instantiation(AbstractAsyncContextManager["AsyncSandbox"], Awaitable["AsyncSandbox"]):
    """A sandbox that is being made: await it, or use it in an ``async with`` statement.

    Args:
        start: makes the sandbox; called once for each ``await``.
    """

    def __init__(self, start: Callable[[], Coroutine[Any, Any, AsyncSandbox]]) -> None:
        self._start = start
        self._sandbox: AsyncSandbox | None = None

    def __await__(self) -> Generator[Any, Any, AsyncSandbox]:
        return self._start().__await__()

    async def __aenter__(self) -> AsyncSandbox:
        self._sandbox = await self
        return self._sandbox

    async def __aexit__(self, *_: object) -> None:
        assert self._sandbox is not None
        await self._sandbox.aclose()


class AsyncSandbox(SandboxBase):
    """One component running in one micro-VM, for asyncio: exports are coroutine functions.

    Made by :meth:`hlwasm.Component.instantiate_async`. One task may use it at a time; another
    gets :class:`hlwasm.SandboxBusy`. Close it, or use it in an ``async with`` statement.

    The guest runs in a thread of a small pool that all sandboxes of the process share, so the
    event loop goes on meanwhile. Host functions run in the task that made the call, on the
    event loop's thread: what they return is awaited where it can be, and while it is awaited
    the sandbox takes no thread. Those of WASI run in the pool.

    Cancelling the task stops the guest, waits until it has stopped, and poisons the sandbox;
    so does a deadline by ``asyncio.timeout`` or ``asyncio.wait_for``.

    Example:
        >>> import asyncio, hlwasm
        >>> text = '''(component
        ...   (import "fetch" (func $fetch (param "key" u32) (result u32)))
        ...   (core func $lowered (canon lower (func $fetch)))
        ...   (core module $m
        ...     (import "" "fetch" (func $fetch (param i32) (result i32)))
        ...     (func (export "next") (param i32) (result i32)
        ...       (i32.add (call $fetch (local.get 0)) (i32.const 1))))
        ...   (core instance $i (instantiate $m (with "" (instance
        ...     (export "fetch" (func $lowered))))))
        ...   (func (export "next") (param "key" u32) (result u32)
        ...     (canon lift (core func $i "next"))))'''
        >>> async def fetch(key: int) -> int:
        ...     await asyncio.sleep(0.01)
        ...     return 10 * key
        >>> async def main(component: hlwasm.Component) -> int:
        ...     async with component.instantiate_async({"fetch": fetch}) as sandbox:
        ...         return await sandbox.exports.next(4)
        >>> asyncio.run(main(hlwasm.load(text.encode())))
        41
    """

    # What its calls are awaited by.
    calls_class = AsyncCalls

    def __init__(
        self,
        component: Component,
        imports: Any,
        wasi: Wasi | None,
        limits: Limits,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(component, imports, wasi, limits, snapshot)
        self._guard = task_guard()
        self._workers = workers.shared()
        self._native: NativeSandbox | None = None

    async def start(self) -> AsyncSandbox:
        """Boots the micro-VM and instantiates the component; called once."""
        try:
            await self._workers.run(self._boot_and_load)
            await self._instantiate()
            starts = self.component._starts
            if self._start is None and starts is not None and starts.wants(self.limits):
                await self._workers.run(partial(self._keep, starts))
        except GeneratorExit:
            raise  # nothing can be awaited any more
        except BaseException:
            await self.aclose()
            raise
        return self

    def _boot_and_load(self) -> bool:
        self._native = self._boot()
        if self._start is None:
            self._loop.load()
        return True

    def _keep(self, starts: Starts) -> bool:
        starts.keep(self)
        return True

    async def _instantiate(self) -> None:
        assert self._native is not None
        description = self.component.description
        functions = description.imports_by_index
        awaited = self._awaited()
        self._calls = calls = self.calls_class(
            self._loop, self._native, self._workers, self.cancel, awaited, self.limits.deadline
        )
        self._loop.bind_import = {
            **{
                index: partial(self._bind_import, functions[index], calls, resolve)
                for index, resolve in self._linked.items()
            },
            **{
                _abi.TRANSFER_DROP_RESOURCE | each.number: partial(
                    self._bind_destructor, each.resource
                )
                for each in description.resource_destructors
                if _abi.TRANSFER_DROP_RESOURCE | each.number in awaited
            },
        }
        start = self._start
        if start is None:
            await calls.command(*self._loop.instantiation(description))
        elif start.host is not None:
            self._host().restore(start.host)
        self._export(partial(bind_async_export, context=calls), AsyncGuestResource)

    def _awaited(self) -> frozenset[int]:
        """The numbers of the host functions that the user gave: all but those of providers."""
        description, provided = self.component.description, self._linker.provided
        functions = (f.index for f in description.imports if f.interface not in provided)
        drops = (
            _abi.TRANSFER_DROP_RESOURCE | each.number
            for each in description.resource_destructors
            if description.types[each.resource].interface not in provided
        )
        return frozenset((*functions, *drops))

    def _bind_import(self, function: Function, calls: AsyncCalls, resolve: Resolver) -> Any:
        provider = self._linker.provided.get(function.interface)
        if provider is None:
            return bind_async_import(function, calls, resolve())
        serve = bind_import(function, self._loop, resolve())
        if provider.restartable(function.interface or "", function.name):
            return _suspending(serve, provider)
        return serve

    def _bind_destructor(self, type_index: int) -> Any:
        async def destroy(rep: int) -> int:
            closing = self._loop.resources.destroy_host(type_index, rep)
            if isawaitable(closing):
                await closing
            return 0

        return destroy

    def cancel(self) -> None:
        """As :meth:`hlwasm.Sandbox.cancel`; a host coroutine that is awaited is cancelled, too."""
        super().cancel()
        calls: AsyncCalls | None = self.__dict__.get("_calls")
        if calls is not None and self.status is not Status.CLOSED:
            calls.cancel_served()

    async def run(self) -> int:
        """Runs the program: the component's ``wasi:cli/run``.

        Returns:
            The program's exit code.

        Raises:
            HlwasmError: the component is not a command.
            Trap, GuestFault, …: as for any call.
        """
        program = self._program()
        try:
            await program()
        except (ProgramExit, Err) as end:
            return exit_code(end)
        return 0

    async def snapshot(self) -> Snapshot:
        """Saves the state that the sandbox is in; see :meth:`hlwasm.Sandbox.snapshot`.

        Raises:
            SandboxStateError, SnapshotError: see there.
        """
        saved: list[Snapshot] = []

        def save() -> bool:
            saved.append(self._save(host))
            return True

        # Drops what is garbage, which may take host functions of the user.
        await self._calls.begin()
        try:
            # Here, for it calls methods of the user's objects.
            host = self._host().capture()
            await self._workers.run(save)
        finally:
            self._calls.end()
        return saved[0]

    async def restore(self, snapshot: Snapshot) -> None:
        """Puts the sandbox back to a snapshot; see :meth:`hlwasm.Sandbox.restore`.

        Raises:
            SandboxBusy, ReentrantCall, SandboxClosed, SnapshotError: see there.
        """
        closings: list[Callable[[], Any]] = []

        def restore() -> bool:
            self._restore(snapshot, closings)
            return True

        closing = AsyncClosing()
        # Here, where it is known which task this is.
        self._guard.begin_look(end_loan=True)
        try:
            with closing:
                await self._workers.run(restore, always=True)
        finally:
            self._guard.end()
        await closing.close_all(closings)
        closing.reraise()

    def fork(self, imports: Any = None, *, wasi: Wasi | None = None) -> Instantiation:
        """A second sandbox that goes on from the same state: await it, or use it in an
        ``async with`` statement; see :meth:`hlwasm.Sandbox.fork`.

        Raises:
            SandboxStateError, SnapshotError: when it is awaited, as for :meth:`snapshot`.
        """
        given = self._imports if imports is None else imports
        grants = self._wasi if wasi is None else wasi

        async def start() -> AsyncSandbox:
            snapshot = await self.snapshot()
            return await snapshot.instantiate_async(given, wasi=grants)

        return Instantiation(start)

    async def aclose(self) -> None:
        """Frees the micro-VM and closes the host resources that it held. Idempotent.

        Raises:
            SandboxBusy, ReentrantCall: a call is running.
        """
        if not self._guard.close():
            return
        closing = AsyncClosing()
        if self._native is not None:
            # What throws the coroutine away is raised here as well as where it waits.
            with closing:
                await closing.close_all(self._loop.resources.take_all())
        with closing:
            if closing.thrown_away or self._workers.is_foreign():
                self._free()
            else:
                await self._workers.run(self._free, always=True)
        closing.reraise()

    def _free(self) -> bool:
        try:
            if self._native is not None:
                self._loop.close()
        finally:
            for provider in self._providers:
                provider.close()
        return True

    async def __aenter__(self) -> AsyncSandbox:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _suspending(serve: Serve, provider: Provider) -> Serve:
    """A server that may raise Suspended, where ``serve`` would wait."""

    def suspending(pointer: int) -> int:
        provider.suspends = True
        try:
            return serve(pointer)
        finally:
            provider.suspends = False

    return suspending
