"""What a pool has done and has."""

from __future__ import annotations

from hlwasm.frozen import Frozen


class PoolStatistics(Frozen):
    """What a pool has done and has. Read without stopping anybody, so that counts may be of
    slightly different moments.

    Attributes:
        size: most sandboxes that are in use at the same time.
        idle: sandboxes that wait to be borrowed.
        busy: sandboxes that are borrowed, or are being made or restored.
        waiting: borrowers that wait for one.
        pending: tasks that were submitted and wait for a thread.
        threads: threads that run tasks.
        abandoned: sandboxes whose task was given up at its deadline and has not come back yet.
        borrowed: how often a sandbox was borrowed, for a call or for longer.
        errors: how many of those ended with an exception.
        created: sandboxes made.
        restores: restores.
        replaced: sandboxes given up because they could not be restored.
        waits: how often a borrower had to wait.
        wait_time: how long all of them waited together, in seconds.
    """

    size: int
    idle: int
    busy: int
    waiting: int
    pending: int
    threads: int
    abandoned: int
    borrowed: int
    errors: int
    created: int
    restores: int
    replaced: int
    waits: int
    wait_time: float
