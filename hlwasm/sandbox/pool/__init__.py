"""Pools of sandboxes.

::

    Pool ─────────┬── Tasks      submit: threads, their queue, deadlines      tasks.py
                  └── Store      which sandbox is whose, who waits            store.py
    AsyncPool ───────────────── likewise for one event loop, without locks    async_pool.py
    both ────────── Recipe       how a sandbox is made                        recipe.py
                    pooled_exports, PoolStatistics                            exports.py, …

A sandbox is restored when it comes back, by the thread that called: another one would have to
look for the pages that were written to, which takes longer than restoring them.
"""

from hlwasm.sandbox.pool.async_pool import AsyncPool
from hlwasm.sandbox.pool.pool import Pool
from hlwasm.sandbox.pool.statistics import PoolStatistics

__all__ = ["AsyncPool", "Pool", "PoolStatistics"]
