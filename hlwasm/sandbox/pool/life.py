"""The ends that pools do not choose: interpreter exit, a fork, being forgotten."""

from __future__ import annotations

import atexit
import os
import weakref
from _thread import start_new_thread
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from hlwasm.sandbox.pool.futures import FORKED

if TYPE_CHECKING:
    from hlwasm.sandbox.pool.pool import Pool
    from hlwasm.sandbox.pool.store import Store
    from hlwasm.sandbox.pool.tasks import Tasks

# How long the end of the process waits for guests to stop, in seconds. Stopping takes a
# millisecond, but for a host function that nothing ends.
_EXIT_PATIENCE = 1.0

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def register(pool: Pool, tasks: Tasks, store: Store) -> None:
    """Has the pool ended properly, whatever happens."""
    _pools.add(pool)
    # Tasks that were submitted are done; then the threads end, which hold all the rest.
    weakref.finalize(pool, _forget, tasks, store).atexit = False


def _forget(tasks: Tasks, store: Store) -> None:
    # The garbage collector calls this in a thread that may hold locks, those of this pool or of
    # another: what takes some is done by a thread that has none. (threading takes one itself.)
    with suppress(RuntimeError):  # no more threads
        start_new_thread(_end, (tasks, store))


def _end(tasks: Tasks, store: Store) -> None:
    reason = "the pool was forgotten"
    tasks.refuse(reason, cancel=False)
    store.refuse(reason)
    tasks.when_ended(store.finish_quietly)


def _at_exit() -> None:
    pools = [(pool._tasks, pool._store) for pool in list(_pools)]
    reason = "the process ends"
    for tasks, store in pools:
        tasks.refuse(reason, cancel=True)
        store.refuse(reason)
        store.cancel()
    end = monotonic() + _EXIT_PATIENCE
    for tasks, store in pools:
        for part in (tasks, store):
            part.wait(max(0.0, end - monotonic()))


def _in_child() -> None:
    for pool in list(_pools):
        pool._tasks.start_anew(FORKED)
        pool._store.start_anew(FORKED)


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
