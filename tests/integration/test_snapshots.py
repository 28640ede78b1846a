"""Snapshots, restores and forks of components in micro-VMs."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from tests.stateful import IMPORTS, TEXT

pytestmark = pytest.mark.hypervisor


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture
def sandbox(component: hlwasm.Component) -> Iterator[hlwasm.Sandbox]:
    with component.instantiate(IMPORTS) as made:
        yield made


def fingerprint(sandbox: hlwasm.Sandbox) -> tuple[Any, ...]:
    """All that a component could tell its states apart by."""
    exports = sandbox.exports
    words = [exports.load(4 * index) for index in (0, 1, 5000, 16000)]
    return (exports.size(), *words)


def test_a_restore_brings_all_state_back(sandbox: hlwasm.Sandbox) -> None:
    exports = sandbox.exports
    exports.store(4, 7)
    assert exports.count() == 1
    snapshot = sandbox.snapshot()
    before = fingerprint(sandbox)
    for _ in range(30):
        assert exports.count() == 2
        exports.store(0, 1)
        exports.store(64000, 2)
        assert exports.grow(3) == 1
        exports.store(3 * 65536, 9)
        assert exports.grow_table() == 2
        sandbox.restore(snapshot)
        assert fingerprint(sandbox) == before
        # Memory that grows again is zero.
        assert exports.grow(3) == 1
        assert exports.load(3 * 65536) == 0
        sandbox.restore(snapshot)


@pytest.mark.parametrize("end", ["trap", "overflow", "host", "interrupt", "value"])
def test_a_restore_leads_back_from_whatever_happened(component: hlwasm.Component, end: str) -> None:
    raising: list[BaseException] = []

    def observe(value: int) -> None:
        if raising:
            raise raising.pop()

    with component.instantiate({"observe": observe}) as sandbox:
        snapshot = sandbox.snapshot()
        for _ in range(10):
            if end == "trap":
                with pytest.raises(hlwasm.Trap):
                    sandbox.exports.trap()
            elif end == "overflow":
                with pytest.raises(hlwasm.Trap):
                    sandbox.exports.overflow()
            elif end == "host":
                raising.append(ZeroDivisionError("by the host"))
                with pytest.raises(ZeroDivisionError):
                    sandbox.exports.count()
            elif end == "interrupt":
                raising.append(KeyboardInterrupt())
                with pytest.raises(KeyboardInterrupt):
                    sandbox.exports.count()
            else:
                with pytest.raises(hlwasm.WitValueError):
                    sandbox.exports.load(-1)
            if end != "value":
                assert sandbox.status is hlwasm.Status.POISONED
                with pytest.raises(hlwasm.SandboxPoisoned, match="restore it"):
                    sandbox.exports.count()
            sandbox.restore(snapshot)
            assert sandbox.status is hlwasm.Status.READY
            assert sandbox.poison_reason is None
            assert sandbox.exports.count() == 1
            sandbox.restore(snapshot)


def test_a_restore_after_a_cancel(sandbox: hlwasm.Sandbox) -> None:
    snapshot = sandbox.snapshot()
    for _ in range(5):
        timer = threading.Timer(0.02, sandbox.cancel)
        timer.start()
        with pytest.raises(hlwasm.Cancelled):
            sandbox.exports.spin()
        timer.join()
        sandbox.restore(snapshot)
        assert sandbox.exports.count() == 1


def test_snapshots_are_independent_of_their_sandbox(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        sandbox.exports.store(0, 42)
        snapshot = sandbox.snapshot()
        sandbox.exports.store(0, 43)
    seen: list[int] = []
    with snapshot.instantiate({"observe": seen.append}) as first:
        with snapshot.instantiate(IMPORTS) as second:
            second.exports.store(0, 1)
            assert first.exports.load(0) == 42
        assert first.exports.count() == 1
    assert seen == [1]
    assert snapshot.size > 0


def test_a_fork_goes_on_from_the_same_state(sandbox: hlwasm.Sandbox) -> None:
    sandbox.exports.count()
    with sandbox.fork() as other:
        assert other.exports.count() == 2
        assert other.exports.count() == 3
        assert sandbox.exports.count() == 2
        with other.fork() as third:
            assert third.exports.count() == 4


def test_snapshots_work_from_several_threads(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        sandbox.exports.store(0, 42)
        snapshot = sandbox.snapshot()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with snapshot.instantiate(IMPORTS) as own:
                for value in range(200):
                    assert own.exports.load(0) == 42
                    own.exports.store(0, number + value)
                    own.exports.store(4096 * (value % 15), value)
                    own.restore(snapshot)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_sandbox_that_is_used_by_threads_in_turn_is_restored_completely(
    component: hlwasm.Component,
) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        snapshot = sandbox.snapshot()
        for round_ in range(40):
            thread = threading.Thread(
                target=sandbox.exports.store, args=(4096 * (round_ % 15) + 64, round_ + 1)
            )
            thread.start()
            thread.join()
            sandbox.restore(snapshot)
            assert sandbox.exports.load(4096 * (round_ % 15) + 64) == 0


def test_misuse_is_refused(component: hlwasm.Component) -> None:
    other = hlwasm.load(b'(module (func (export "f")))')
    errors: list[BaseException] = []

    def observe(value: int) -> None:
        for misuse in (sandbox.snapshot, lambda: sandbox.restore(snapshot), sandbox.fork):
            with pytest.raises(hlwasm.ReentrantCall) as caught:
                misuse()
            errors.append(caught.value)

    with component.instantiate({"observe": observe}) as sandbox, other.instantiate() as stranger:
        snapshot = sandbox.snapshot()
        sandbox.exports.count()
        assert len(errors) == 3
        with pytest.raises(hlwasm.SnapshotError, match=r"runs"):
            stranger.restore(snapshot)
        limits = hlwasm.Limits(memory=1 << 20)
        with (
            component.instantiate(IMPORTS, limits=limits) as smaller,
            pytest.raises(hlwasm.SnapshotError, match="other limits"),
        ):
            smaller.restore(snapshot)
        with pytest.raises(hlwasm.Trap):
            sandbox.exports.trap()
        with pytest.raises(hlwasm.SandboxPoisoned):
            sandbox.snapshot()
    with pytest.raises(hlwasm.SandboxClosed):
        sandbox.restore(snapshot)
    with pytest.raises(hlwasm.LinkError, match="observe"):
        snapshot.instantiate()


# Files ---------------------------------------------------------------------------------


def test_a_snapshot_goes_through_a_file(
    component: hlwasm.Component, sandbox: hlwasm.Sandbox, tmp_path: Path
) -> None:
    sandbox.exports.store(5000 * 4, 77)
    sandbox.exports.count()
    file = tmp_path / "counted.snapshot"
    sandbox.snapshot().save(file)
    assert [each.name for each in tmp_path.iterdir()] == ["counted.snapshot"]
    for verify in (True, False):
        loaded = hlwasm.Snapshot.load(file, component, verify=verify)
        with loaded.instantiate(IMPORTS) as other:
            assert other.exports.load(5000 * 4) == 77
            assert other.exports.count() == 2
            other.restore(loaded)
            assert other.exports.count() == 2
        sandbox.restore(loaded)
        assert sandbox.exports.count() == 2
    # A file in use may be replaced or removed.
    with loaded.instantiate(IMPORTS) as other:
        sandbox.snapshot().save(file)
        file.unlink()
        assert other.exports.count() == 2


def test_files_that_do_not_fit_are_refused(
    component: hlwasm.Component, sandbox: hlwasm.Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "a.snapshot"
    sandbox.snapshot().save(file)
    whole = file.read_bytes()

    def refused(data: bytes, match: str, **options: Any) -> None:
        file.write_bytes(data)
        with pytest.raises(hlwasm.SnapshotError, match=match) as caught:
            hlwasm.Snapshot.load(file, component, **options)
        assert str(file) in str(caught.value)

    refused(b"", "not a snapshot file")
    refused(b"\0asm" + whole, "not a snapshot file")
    refused(whole[:100], "cut off")
    refused(whole[:-1], "cut off")
    refused(whole + b"x", "added")
    refused(whole[:9] + b"\x01" + whole[10:], "format 258")
    refused(whole[:40] + b"\x01" + whole[41:], "header")
    refused(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "pages")
    refused(whole[:-10] + b"\x01" + whole[-9:], "describes")
    refused(whole, r"Limits\(memory=", limits=hlwasm.Limits(memory=1 << 20))
    other = hlwasm.load(b'(module (func (export "f")))')
    with pytest.raises(hlwasm.SnapshotError, match="another component"):
        hlwasm.Snapshot.load(file, other)


@pytest.mark.timeout(60)
def test_a_pipe_is_no_snapshot_file(component: hlwasm.Component, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.snapshot")
    with pytest.raises(OSError, match="not a regular file"):
        hlwasm.Snapshot.load(tmp_path / "a.snapshot", component)


def test_saving_fails_without_a_trace(
    sandbox: hlwasm.Sandbox, component: hlwasm.Component, tmp_path: Path
) -> None:
    file = tmp_path / "a.snapshot"
    sandbox.snapshot().save(file)
    before = file.read_bytes()
    sandbox.exports.store(0, 5)
    changed = sandbox.snapshot()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            changed.save(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [each.name for each in tmp_path.iterdir()] == ["a.snapshot"]
    assert file.read_bytes() == before
    hlwasm.Snapshot.load(file, component)
    with pytest.raises(FileNotFoundError):
        changed.save(tmp_path / "missing" / "a.snapshot")


def test_usage_tells_what_a_sandbox_takes(sandbox: hlwasm.Sandbox) -> None:
    snapshot = sandbox.snapshot()
    sandbox.restore(snapshot)
    before = sandbox.usage()
    assert before.linear_memory == 65536
    for page in range(15):
        sandbox.exports.store(4096 * page, 1)
    sandbox.exports.grow(2)
    after = sandbox.usage()
    assert after.linear_memory == 3 * 65536
    assert after.private_memory >= before.private_memory + 10 * 4096
    assert after.slot_memory == before.slot_memory > 1 << 20
    assert after.counters.exits > before.counters.exits
    with pytest.raises(hlwasm.Trap):
        sandbox.exports.trap()
    assert sandbox.usage().counters.exceptions == 1
    sandbox.close()
    with pytest.raises(hlwasm.SandboxClosed):
        sandbox.usage()


def test_what_a_refused_call_of_another_thread_lowered_is_gone_after_a_restore() -> None:
    text = b"""(component
      (core module $m (memory (export "memory") 2)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "take") (param i32 i32 i32)))
      (core instance $i (instantiate $m))
      (func (export "take") (param "data" (list u8)) (param "number" u32)
        (canon lift (core func $i "take")
          (memory $i "memory") (realloc (func $i "realloc")))))"""
    with hlwasm.load(text).instantiate() as sandbox:
        snapshot = sandbox.snapshot()
        take = sandbox.exports.take
        memory = sandbox._loop.export_memory
        for _ in range(20):
            sandbox.restore(snapshot)
            take(b"", 1)
        for _ in range(10):

            def refused() -> None:
                with pytest.raises(hlwasm.WitValueError):
                    take(b"secret" * 5000, -1)

            thread = threading.Thread(target=refused)
            thread.start()
            thread.join()
            assert b"secret" in bytes(memory[:30_000])
            sandbox.restore(snapshot)
            assert b"secret" not in bytes(memory[:40_000])
