"""The pool for threads."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.errors import PoolError, PoolTimeout
from hlwasm.sandbox.pool import life
from hlwasm.sandbox.pool.exports import find, pooled_exports
from hlwasm.sandbox.pool.futures import PoolFuture, cancel_all
from hlwasm.sandbox.pool.recipe import Recipe, check_size, check_timeout
from hlwasm.sandbox.pool.slot import Slot, Token
from hlwasm.sandbox.pool.statistics import PoolStatistics
from hlwasm.sandbox.pool.store import Store
from hlwasm.sandbox.pool.tasks import Tasks, Work

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.wasi import Wasi
    from hlwasm.wit.model import Function

MAX_PENDING = 1024
# Attribute of the callables of exports: the store that they borrow from, and the function.
_EXPORT = "_hlwasm_export"
_NO_EXPORT: tuple[Any, Any] = (None, None)


class Pool(Executor):
    """Several sandboxes of one component, for many threads: each use begins in the same state.

    A sandbox that comes back is restored to what it was after instantiation, or to the
    snapshot that the pool was made of, whatever happened in it. So nothing of one use is
    visible to the next, and a trap or a deadline ends one use only. When all sandboxes are
    out, borrowers wait their turn.

    Any thread may use a pool, also from inside of a host function. Close it, or use it in a
    ``with`` statement.

    Args:
        source: a component; or a snapshot, to begin from there.
        size: most sandboxes that exist at the same time. More than twice the cores are of
            use only where host functions wait.
        min_size: how many are made at once; the others are made when they are needed. The
            first one is instantiated, all others are made from its snapshot.
        imports: what serves the imports, as for :meth:`hlwasm.Component.instantiate`. All
            sandboxes share it, and several threads may be in it at the same time.
        imports_factory: called without arguments for each sandbox, to make what serves its
            imports; instead of ``imports``.
        wasi: what the component's WASI imports may reach, shared likewise.
        limits: of each sandbox; a snapshot has its own.
        stateless: False lets sandboxes keep their state from one use to the next, and
            restores them only after failures. Which sandbox a use gets is not defined.
        warm_up: called with the first sandbox before its state is saved, to do once what every
            use would do first: what the component works out at its first call is then there.
        timeout: seconds to wait for a sandbox, or for room in the queue; None for as long as
            it takes, 0 for not at all.
        max_pending: most tasks that wait for a thread after :meth:`submit`.

    Attributes:
        exports: the component's exports, as those of a sandbox, for stateless calls:
            ``pool.exports.ops.add(2, 3)``. Resources need a sandbox of their own.

    Raises:
        TypeError, ValueError: an argument makes no sense.
        HlwasmError: with ``min_size``, as for :meth:`hlwasm.Component.instantiate`, and
            SnapshotError where the state after instantiation cannot be saved.

    What runs in a forked child is refused there (PoolClosed): its VMs and threads are the
    parent's. At interpreter exit calls that run are cancelled, and so are queued tasks.

    Example:
        >>> import hlwasm
        >>> text = '''(component
        ...   (core module $m (global $n (mut i32) (i32.const 0))
        ...     (func (export "add") (param i32) (result i32)
        ...       (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))
        ...   (core instance $i (instantiate $m))
        ...   (func (export "add") (param "n" u32) (result u32)
        ...     (canon lift (core func $i "add"))))'''
        >>> component = hlwasm.load(text.encode())
        >>> with hlwasm.Pool(component, size=2) as pool:
        ...     print(pool.call("add", 5), pool.exports.add(6))
        ...     with pool.sandbox() as sandbox:
        ...         print(sandbox.exports.add(1), sandbox.exports.add(1))
        ...     future = pool.submit("add", 7)
        ...     print(future.result(), list(pool.map("add", [1, 2, 3])))
        ...     pool.submit(lambda sandbox, n: sandbox.exports.add(n) * 10, 4).result()
        5 6
        1 2
        7 [1, 2, 3]
        40
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
        warm_up: Callable[[Sandbox], object] | None = None,
        timeout: float | None = None,
        max_pending: int = MAX_PENDING,
    ) -> None:
        check_size("size", size, 1)
        check_size("min_size", min_size, 0)
        check_size("max_pending", max_pending, 1)
        check_timeout(timeout)
        recipe = Recipe(source, imports, imports_factory, wasi, limits, warm_up)
        self.component = recipe.component
        self.limits = recipe.limits
        self._timeout = timeout
        self._store = store = Store(recipe, size, stateless)
        self._tasks = Tasks(store, size, max_pending, recipe.limits.deadline)
        # Threads that are inside themselves, and close: they do not wait for each other.
        self._closers: set[int] = set()
        self._functions: dict[str, Callable[..., Any]] = {}
        self.exports = pooled_exports(recipe.component.description, self._bind)
        life.register(self, self._tasks, store)
        try:
            self._make(min(min_size, size))
        except BaseException:
            self.close(cancel=True)
            raise

    def _make(self, count: int) -> None:
        held: list[tuple[Token, Slot | None]] = []
        try:
            for _ in range(count):
                token = Token()
                held.append((token, None))
                held[-1] = (token, self._store.take(token))
        finally:
            for token, slot in held:
                self._store.give(token, slot)

    def _bind(self, function: Function) -> Callable[..., Any]:
        index, take, give = function.index, self._store.take, self._store.give
        timeout = self._timeout

        def call(*arguments: Any, **named: Any) -> Any:
            token = Token()
            slot = None
            try:
                slot = take(token, timeout)
                export = slot.functions.get(index) or slot.bind(function)
                return export(*arguments, **named) if named else export(*arguments)
            except BaseException:
                if slot is not None:
                    slot.errors += 1
                raise
            finally:
                give(token, slot)

        # For `submit`, which lends a sandbox by itself.
        setattr(call, _EXPORT, (self._store, function))
        return call

    def _find(self, name: str) -> Callable[..., Any]:
        found = self._functions[name] = find(self.exports, name)
        return found

    # Calls ------------------------------------------------------------------------

    def call(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """One stateless call, in this thread.

        Args:
            name: the function: ``"add"`` for one of the world, ``"ops.add"`` for one of an
                interface.
            arguments, named: the function's.

        Raises:
            PoolTimeout, PoolClosed: see there.
            AttributeError, KeyError: there is no such function.
            Exception: what the function raises, as in a sandbox.
        """
        call = self._functions.get(name) or self._find(name)
        return call(*arguments, **named) if named else call(*arguments)

    def sandbox(self, timeout: float | None = None) -> Borrowed:
        """Borrows a sandbox for several calls, in a ``with`` statement; afterwards it must not
        be used. The same thread uses it from the beginning to the end where it can be: that
        is faster.

        Args:
            timeout: seconds to wait for one, by default the pool's; ``float("inf")`` for as
                long as it takes.

        Raises (on entering):
            PoolTimeout, PoolClosed: see there.
            HlwasmError: a sandbox cannot be made; see :meth:`hlwasm.Component.instantiate`.
        """
        check_timeout(timeout)
        return Borrowed(self._store, self._timeout if timeout is None else timeout)

    # Executor ---------------------------------------------------------------------

    def submit(self, fn: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> PoolFuture:
        """Runs a function in a sandbox, by one of the pool's threads.

        Where ``max_pending`` tasks wait already, this waits for room, for at most the pool's
        ``timeout``; in the thread of an event loop, and from inside of a task, it does not.

        A task whose call passes ``Limits.deadline`` fails at that time even if a host function
        blocks. Its thread and sandbox are given up then, and others take their place. Callbacks
        of futures should not block: at a deadline the thread that watches all runs them.

        Args:
            fn: name of an export, as for :meth:`call`; or a callable, which gets the sandbox
                before the other arguments and must not keep it.

        Raises:
            PoolTimeout: there is no room.
            PoolClosed: see there.
            AttributeError, KeyError: there is no such function.
        """
        return self._tasks.submit(self._work(fn, args, kwargs), self._timeout)

    def _work(
        self, fn: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Work:
        if isinstance(fn, str):
            fn = self._functions.get(fn) or self._find(fn)
        store, function = getattr(fn, _EXPORT, _NO_EXPORT)
        if store is not self._store:
            return lambda slot: fn(slot.sandbox, *args, **kwargs)
        index = function.index
        return lambda slot: (slot.functions.get(index) or slot.bind(function))(*args, **kwargs)

    def map(
        self,
        fn: str | Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """The results of :meth:`submit` for each of the arguments, in their order.

        Args:
            fn: as for :meth:`submit`.
            iterables: the arguments; read at once, as far as the queue has room.
            timeout: seconds from now in which all results must be there.
            chunksize: for other executors.

        Raises:
            PoolTimeout, PoolClosed: as for :meth:`submit`. What was submitted before is
                cancelled, but for the tasks that run.
        """
        submitter = _Submitter(self)
        function: Any = fn  # Executor knows no names
        try:
            return submitter.map(function, *iterables, timeout=timeout, chunksize=chunksize)
        except BaseException:
            # Nobody will get the results.
            cancel_all(submitter.submitted, queued=True)
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As for any executor: no more tasks and borrowers; with ``wait``, what is queued is
        done first, and the sandboxes are closed; without, that follows later.
        """
        reason = "the pool is closed"
        self._tasks.refuse(reason, cancel_futures)
        self._store.refuse(reason)
        if wait:
            self._finish(None)
        else:
            self._tasks.when_ended(self._store.finish_quietly)

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> None:
        """Ends the pool: nobody is let in any more, those inside finish, and so does what was
        submitted; then all sandboxes are closed. Idempotent.

        A sandbox that this thread has borrowed itself is closed when it is given back. Tasks and
        borrowers that close the pool do not wait for each other.

        Args:
            cancel: queued tasks are cancelled, and calls that run raise
                :class:`hlwasm.Cancelled`.
            timeout: seconds to wait for those inside; what comes back later is closed then.

        Raises:
            PoolTimeout: some are still inside.
            Exception: what closing the host resources of a sandbox raised.
        """
        check_timeout(timeout)
        reason = "the pool is closed"
        self._tasks.refuse(reason, cancel)
        self._store.refuse(reason)
        if cancel:
            self._store.cancel()
        self._finish(timeout)

    def _finish(self, timeout: float | None) -> None:
        end = None if timeout is None else monotonic() + timeout
        ended, me, parts = True, get_ident(), (self._tasks, self._store)
        inside = any(part.has(me) for part in parts)
        try:
            if inside:
                self._closers.add(me)
                for part in parts:
                    part.look_again()
            for part in parts:
                left = None if end is None else max(0.0, end - monotonic())
                ended = part.wait(left, self._closers if inside else ()) and ended
        finally:
            self._closers.discard(me)
        self._tasks.fail_rest()
        self._store.finish()
        if not ended:
            raise PoolTimeout(f"calls still run in the pool after {timeout} s; they were left")

    # Numbers ----------------------------------------------------------------------

    def statistics(self) -> PoolStatistics:
        """What the pool has done and has. Any thread may ask at any time."""
        counts: dict[str, Any] = self._store.counts()
        return PoolStatistics(
            pending=self._tasks.pending(), threads=self._tasks.threads(), **counts
        )

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Who leaves by an exception does not want the rest of a long queue done first.
        self.close(cancel=error is not None)

    def __repr__(self) -> str:
        counts = self._store.counts()
        return f"<Pool of {self.component.name}: {counts['busy']} of {counts['size']} busy>"


class _Submitter(Executor):
    """Submits for :meth:`Pool.map`, and remembers what."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.submitted: list[PoolFuture] = []

    def submit(self, fn: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> PoolFuture:
        future = self._pool.submit(fn, *args, **kwargs)
        self.submitted.append(future)
        return future


class Borrowed:
    """A sandbox that is borrowed in a ``with`` statement; made by :meth:`Pool.sandbox`."""

    __slots__ = ("_slot", "_store", "_timeout", "_token")

    def __init__(self, store: Store, timeout: float | None) -> None:
        self._store = store
        self._timeout = timeout
        self._token: Token | None = None
        self._slot: Slot | None = None

    def __enter__(self) -> Sandbox:
        if self._token is not None:
            raise PoolError("borrow a sandbox again by calling pool.sandbox() again")
        self._token = token = Token()
        try:
            self._slot = slot = self._store.take(token, self._timeout)
        except BaseException:
            self._store.give(token, None)
            raise
        assert slot.sandbox is not None
        return slot.sandbox

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        slot, self._slot = self._slot, None
        assert self._token is not None
        if slot is not None and error is not None:
            slot.errors += 1
        self._store.give(self._token, slot)
