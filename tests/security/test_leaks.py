"""Nothing grows: memory, descriptors, threads and mappings after many of everything.

Quick here, and 10,000 cycles and 1,000,000 calls with ``HLWASM_STRESS=1``.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

import hlwasm
from hlwasm.native.library import load_library
from tests.scale import scaled
from tests.stateful import IMPORTS, TEXT

pytestmark = pytest.mark.hypervisor

CYCLES = scaled(1_000, 10_000)
CALLS = scaled(100_000, 1_000_000)
# What allocators keep for themselves, and Python's own caches.
SLACK_KIB = 6 << 10


class Usage(NamedTuple):
    """What the process has."""

    memory_kib: int
    descriptors: int
    threads: int
    mappings: int

    @classmethod
    def now(cls) -> Usage:
        gc.collect()
        process = Path("/proc/self")
        rollup = (process / "smaps_rollup").read_text()
        memory = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        return cls(
            int(memory.split()[1]),
            len(list((process / "fd").iterdir())),
            len(list((process / "task").iterdir())),
            (process / "maps").read_text().count("\n"),
        )


def vm_pool(kept: int) -> int:
    """Chooses how many VMs are kept, and says how many wait to be kept or freed."""
    ffi, lib = load_library()
    info = ffi.new("hlw_vm_pool_info *")
    lib.hlw_vm_pool(kept, info)
    waiting: int = info.waiting
    return waiting


def settled(kept: int) -> Usage:
    """When all VMs that nobody uses are freed, those that are kept too."""
    end = time.monotonic() + 20
    while vm_pool(0):
        assert time.monotonic() < end
        time.sleep(0.001)
    usage = Usage.now()
    vm_pool(kept)
    return usage


def assert_nothing_grows(work: Callable[[], object], times: int, warm: int, kept: int = 2) -> None:
    """Does it so often to warm up, then so often more."""
    for _ in range(warm):
        work()
    before = settled(kept)
    for _ in range(times):
        work()
    # What is still on its way needs a moment.
    for _ in range(50):
        after = settled(kept)
        if after.descriptors <= before.descriptors and after.threads <= before.threads:
            break
        time.sleep(0.1)
    assert after.descriptors <= before.descriptors, (before, after)
    assert after.threads <= before.threads, (before, after)
    assert after.mappings <= before.mappings + 16, (before, after)
    assert after.memory_kib <= before.memory_kib + SLACK_KIB, (before, after)


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture(params=[2, 0], ids=["kept", "freed"])
def pool(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many VMs are kept to be used again."""
    kept: int = request.param
    vm_pool(kept)
    yield kept
    vm_pool(16)


def dirty(sandbox: hlwasm.Sandbox) -> None:
    sandbox.exports.count()
    sandbox.exports.grow(2)
    sandbox.exports.store(2 << 16, 5)


def test_sandboxes(component: hlwasm.Component, pool: int) -> None:
    def work() -> None:
        with component.instantiate(IMPORTS, limits=hlwasm.Limits(deadline=100)) as sandbox:
            dirty(sandbox)

    assert_nothing_grows(work, CYCLES // 5, 30, pool)


def test_sandboxes_of_a_snapshot(component: hlwasm.Component, pool: int) -> None:
    with component.instantiate(IMPORTS) as first:
        snapshot = first.snapshot()

    def work() -> None:
        with snapshot.instantiate(IMPORTS) as sandbox:
            dirty(sandbox)
            with suppress(hlwasm.Trap):
                sandbox.exports.trap()

    assert_nothing_grows(work, CYCLES, 50, pool)


def test_calls(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        load, count = sandbox.exports.load, sandbox.exports.count

        def work() -> None:
            for _ in range(100):
                load(0)
            count()

        assert_nothing_grows(work, CALLS // 102, 20)


def test_restores_by_turns(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        first = sandbox.snapshot()
        dirty(sandbox)
        second = sandbox.snapshot()
        turns = itertools.cycle([first, second, second, first, first])

        def work() -> None:
            sandbox.restore(next(turns))
            dirty(sandbox)
            with suppress(hlwasm.Trap):
                sandbox.exports.overflow()

        assert_nothing_grows(work, CYCLES, 50)


def test_snapshots(component: hlwasm.Component, pool: int) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        empty = sandbox.snapshot()

        def work() -> None:
            dirty(sandbox)
            snapshot = sandbox.snapshot()
            with snapshot.instantiate(IMPORTS) as other:
                other.exports.count()
            sandbox.restore(empty)

        assert_nothing_grows(work, CYCLES // 4, 30, pool)


def test_snapshot_files(component: hlwasm.Component, tmp_path: Path, pool: int) -> None:
    file = tmp_path / "a.snapshot"
    with component.instantiate(IMPORTS) as sandbox:
        dirty(sandbox)
        snapshot = sandbox.snapshot()

    def work() -> None:
        snapshot.save(file)
        loaded = hlwasm.Snapshot.load(file, component)
        with loaded.instantiate(IMPORTS) as other:
            other.exports.count()
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        file.write_bytes(damaged)
        with suppress(hlwasm.SnapshotError):
            hlwasm.Snapshot.load(file, component)

    assert_nothing_grows(work, CYCLES // 10, 20, pool)
