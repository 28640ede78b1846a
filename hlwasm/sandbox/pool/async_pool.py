"""The pool for asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from os import getpid
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.errors import Cancelled, PoolClosed, PoolError, PoolTimeout
from hlwasm.logs import WARNING, log
from hlwasm.sandbox.pool.exports import export_of, find, pooled_exports
from hlwasm.sandbox.pool.first import made_by_this_call, not_made_in_time
from hlwasm.sandbox.pool.futures import FORKED
from hlwasm.sandbox.pool.recipe import Recipe, check_size, check_timeout
from hlwasm.sandbox.pool.slot import LOGGER
from hlwasm.sandbox.pool.statistics import PoolStatistics
from hlwasm.sandbox.resources import Closing
from hlwasm.sandbox.state import Status

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.async_sandbox import AsyncSandbox
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.wasi import Wasi
    from hlwasm.wit.model import Function


class _Place:
    """A place for a sandbox; ``dirty`` where it is to be restored before it is used."""

    __slots__ = ("dirty", "sandbox")

    def __init__(self) -> None:
        self.sandbox: AsyncSandbox | None = None
        self.dirty = False


class AsyncPool:
    """Several sandboxes of one component, for the tasks of one event loop.

    As :class:`hlwasm.Pool`, whose arguments it takes, with :class:`hlwasm.AsyncSandbox`:
    waiting for a sandbox does not block the event loop, and while a host coroutine is awaited
    no thread is taken. Close it, or use it in an ``async with`` statement.

    Where a task is cancelled, its guest is stopped, and its sandbox is restored and comes back.
    Restoring is done in the background; no use begins before it.

    Args:
        source, size, imports, imports_factory, wasi, limits, stateless, timeout: see
            :class:`hlwasm.Pool`. Functions in imports, and ``warm_up``, may be coroutine
            functions.
        min_size: how many are made on entering the ``async with`` statement.

    Attributes:
        exports: the component's exports, as coroutine functions for stateless calls.

    Example:
        >>> import asyncio, hlwasm
        >>> text = '''(component
        ...   (core module $m (global $n (mut i32) (i32.const 0))
        ...     (func (export "add") (param i32) (result i32)
        ...       (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))
        ...   (core instance $i (instantiate $m))
        ...   (func (export "add") (param "n" u32) (result u32)
        ...     (canon lift (core func $i "add"))))'''
        >>> async def main() -> None:
        ...     async with hlwasm.AsyncPool(hlwasm.load(text.encode()), size=2) as pool:
        ...         print(await pool.call("add", 5), await pool.exports.add(6))
        ...         async with pool.sandbox() as sandbox:
        ...             print(await sandbox.exports.add(1), await sandbox.exports.add(1))
        ...         print(await asyncio.gather(*[pool.call("add", n) for n in range(5)]))
        >>> asyncio.run(main())
        5 6
        1 2
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        source: Component | Snapshot,
        *,
        size: int = 4,
        min_size: int = 0,
        imports: Any = None,
        imports_factory: Callable[[], Any] | None = None,
        wasi: Wasi | None = None,
        limits: Limits | None = None,
        stateless: bool = True,
        warm_up: Callable[[AsyncSandbox], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        check_size("size", size, 1)
        check_size("min_size", min_size, 0)
        check_timeout(timeout)
        self._recipe = recipe = Recipe(source, imports, imports_factory, wasi, limits, warm_up)
        self.component = recipe.component
        self.limits = recipe.limits
        self.size = size
        self._min_size = min(min_size, size)
        self._stateless = stateless
        self._timeout = timeout
        self._process = getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._maker: asyncio.Task[Any] | None = None  # who makes the first sandbox
        self._made: asyncio.Future[None] | None = None  # done when it no longer does
        self._empty = [_Place() for _ in range(size)]
        self._idle: list[_Place] = []  # the one that came back last is taken first
        self._out: set[_Place] = set()
        self._waiters: deque[asyncio.Future[_Place]] = deque()
        self._cleaners: set[asyncio.Task[None]] = set()
        self._all_back: asyncio.Future[None] | None = None
        self._closed = self._cancelled = False
        self._borrowed = self._errors = self._created = self._restores = self._replaced = 0
        self._waits, self._wait_time = 0, 0.0
        self._functions: dict[str, Callable[..., Awaitable[Any]]] = {}
        self.exports = pooled_exports(recipe.component.description, self._bind)

    def _bind(self, function: Function) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            async with self.sandbox() as sandbox:
                return await export_of(sandbox, function)(*arguments, **named)

        return call

    async def call(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """One stateless call; see :meth:`hlwasm.Pool.call`.

        Raises:
            PoolTimeout, PoolClosed: see there.
            AttributeError, KeyError: there is no such function.
            Exception: what the function raises, as in a sandbox.
        """
        call = self._functions.get(name)
        if call is None:
            call = self._functions[name] = find(self.exports, name)
        return await call(*arguments, **named)

    def sandbox(self, timeout: float | None = None) -> AbstractAsyncContextManager[AsyncSandbox]:
        """Borrows a sandbox for several calls, in an ``async with`` statement; afterwards it
        must not be used.

        Args:
            timeout: seconds to wait for one, by default the pool's; ``float("inf")`` for as
                long as it takes.

        Raises (on entering):
            PoolTimeout, PoolClosed: see there.
            PoolError: the pool is used by another event loop.
            HlwasmError: a sandbox cannot be made.
        """
        check_timeout(timeout)
        return self._borrow(self._timeout if timeout is None else timeout)

    @asynccontextmanager
    async def _borrow(self, timeout: float | None) -> AsyncIterator[AsyncSandbox]:
        end = None if timeout is None else monotonic() + timeout
        place = await self._take(timeout)
        try:
            sandbox = await self._prepare(place, end)
            self._borrowed += 1
            yield sandbox
        except BaseException:
            self._errors += 1
            raise
        finally:
            self._give(place)

    # Places -----------------------------------------------------------------------

    async def _take(self, timeout: float | None) -> _Place:
        self._check_usable()
        if self._idle or self._empty:
            place = (self._idle or self._empty).pop()
        elif timeout is not None and timeout <= 0:
            raise self._timed_out(timeout)
        else:
            place = await self._wait(timeout)
        self._out.add(place)
        return place

    def _check_usable(self) -> None:
        if self._process != getpid():
            raise PoolClosed(FORKED)
        if self._closed:
            raise PoolClosed("the pool is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise PoolError("the pool is used by another event loop: make one in this one")
        if self._maker is not None and self._maker is asyncio.current_task():
            raise made_by_this_call()

    async def _wait(self, timeout: float | None) -> _Place:
        assert self._loop is not None
        waiter: asyncio.Future[_Place] = self._loop.create_future()
        self._waiters.append(waiter)
        started = monotonic()
        try:
            finite = timeout is not None and timeout != float("inf")
            await asyncio.wait([waiter], timeout=timeout if finite else None)
            if not waiter.done():
                assert timeout is not None
                raise self._timed_out(timeout)
            return waiter.result()
        except BaseException:
            # It may have been given a place at the same moment.
            if not waiter.cancel() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise
        finally:
            self._waits += 1
            self._wait_time += monotonic() - started
            with suppress(ValueError):
                self._waiters.remove(waiter)

    def _timed_out(self, timeout: float) -> PoolTimeout:
        return PoolTimeout(
            f"all {self.size} sandboxes were in use for {timeout} s: "
            "raise size= or timeout=, or ask for less at a time"
        )

    async def _prepare(self, place: _Place, end: float | None) -> AsyncSandbox:
        if place.dirty:
            await self._clean(place)
        if place.sandbox is None:
            if self._recipe.snapshot is None:
                place.sandbox = await self._make_first(end)
            else:
                place.sandbox = await self._recipe.make_async()
            self._created += 1
        if self._cancelled:
            raise Cancelled("the pool was closed with cancel=True")
        return place.sandbox

    async def _make_first(self, end: float | None) -> AsyncSandbox:
        """Or the second, where another task makes the first."""
        assert self._loop is not None
        while self._made is not None and self._recipe.snapshot is None:
            left = None if end is None or end == float("inf") else max(0.0, end - monotonic())
            done, _ = await asyncio.wait([self._made], timeout=left)
            if not done:
                raise not_made_in_time()
        if self._recipe.snapshot is not None:
            return await self._recipe.make_async()
        self._made = made = self._loop.create_future()
        try:
            self._maker = asyncio.current_task()
            return await self._recipe.make_async()
        finally:
            self._maker = self._made = None
            made.set_result(None)

    def _give(self, place: _Place) -> None:
        """Cannot be interrupted: what has to be awaited is done by a task of its own."""
        sandbox = place.sandbox
        if sandbox is None or (not self._stateless and sandbox.status is Status.READY):
            self._pass_on(place)
            return
        place.dirty = True
        if self._loop is None or self._loop.is_closed():
            return  # nobody will use it again
        cleaner = self._loop.create_task(self._clean_and_pass_on(place))
        # The event loop has no strong reference of its own.
        self._cleaners.add(cleaner)
        cleaner.add_done_callback(self._cleaners.discard)

    async def _clean_and_pass_on(self, place: _Place) -> None:
        try:
            await self._clean(place)
        finally:
            self._pass_on(place)

    async def _clean(self, place: _Place) -> None:
        sandbox, snapshot = place.sandbox, self._recipe.snapshot
        assert sandbox is not None and snapshot is not None
        try:
            await sandbox.restore(snapshot)
            self._restores += 1
            place.dirty = False
        except Exception as error:
            log(LOGGER, WARNING, "a sandbox is replaced: %s: %s", type(error).__name__, error)
            self._replaced += 1
            place.sandbox, place.dirty = None, False
            try:
                await sandbox.aclose()
            except Exception as failure:
                sandbox.cancel()
                kind = type(failure).__name__
                log(LOGGER, WARNING, "closing a sandbox: %s: %s", kind, failure)

    def _pass_on(self, place: _Place) -> None:
        self._out.discard(place)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._out.add(place)
                waiter.set_result(place)
                return
        (self._empty if place.sandbox is None else self._idle).append(place)
        if self._all_back is not None and not self._out and not self._all_back.done():
            self._all_back.set_result(None)

    # The end ----------------------------------------------------------------------

    async def aclose(self, *, cancel: bool = False) -> None:
        """Ends the pool: nobody is let in any more, those inside finish, then all sandboxes
        are closed. Idempotent. Not to be called by a task that has borrowed one.

        Args:
            cancel: calls that run raise :class:`hlwasm.Cancelled`.

        Raises:
            Exception: what closing the host resources of a sandbox raised.
        """
        self._closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(PoolClosed("the pool is closed"))
        if self._process != getpid():
            return
        if cancel:
            self._cancelled = True
            for place in self._out:
                if place.sandbox is not None:
                    place.sandbox.cancel()
        while self._out:
            if self._all_back is None or self._all_back.done():
                self._all_back = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_back)
        closing = Closing()
        while self._idle:
            place = self._idle.pop()
            sandbox, place.sandbox = place.sandbox, None
            self._empty.append(place)
            if sandbox is not None:
                with closing:
                    await sandbox.aclose()
        closing.reraise()

    def statistics(self) -> PoolStatistics:
        """What the pool has done and has. It has neither a queue nor threads of its own."""
        return PoolStatistics(
            size=self.size,
            idle=len(self._idle),
            busy=len(self._out),
            waiting=len(self._waiters),
            pending=0,
            threads=0,
            abandoned=0,
            borrowed=self._borrowed,
            errors=self._errors,
            created=self._created,
            restores=self._restores,
            replaced=self._replaced,
            waits=self._waits,
            wait_time=self._wait_time,
        )

    async def __aenter__(self) -> AsyncPool:
        self._check_usable()
        try:
            async with AsyncExitStack() as borrowed:
                for _ in range(self._min_size):
                    await borrowed.enter_async_context(self.sandbox())
        except BaseException:
            await self.aclose(cancel=True)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(cancel=error is not None)

    def __repr__(self) -> str:
        return f"<AsyncPool of {self.component.name}: {len(self._out)} of {self.size} busy>"
