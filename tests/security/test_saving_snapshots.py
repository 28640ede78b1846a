"""Snapshots that are saved by a process that is killed, and to a disk that is full."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

import hlwasm
from tests.conftest import without
from tests.scale import scaled
from tests.stateful import IMPORTS, TEXT

# Newer Pythons warn of forks where there are threads, which is what is tested here.
pytestmark = [
    pytest.mark.hypervisor,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

KILLS = scaled(100, 1000)


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture(scope="module")
def snapshots(component: hlwasm.Component) -> tuple[hlwasm.Snapshot, hlwasm.Snapshot]:
    """A small and a large one."""
    with component.instantiate(IMPORTS) as sandbox:
        sandbox.exports.store(0, 1)
        small = sandbox.snapshot()
        sandbox.exports.store(0, 2)
        sandbox.exports.grow(64)
        for page in range(0, 64 << 16, 4096):
            sandbox.exports.store(65536 + page, page + 1)
        return small, sandbox.snapshot()


def state(snapshot: hlwasm.Snapshot) -> int:
    """Which one it is."""
    with snapshot.instantiate(IMPORTS) as sandbox:
        number: int = sandbox.exports.load(0)
        if number == 2:
            assert all(
                sandbox.exports.load(65536 + page) == page + 1
                for page in range(0, 64 << 16, 11 * 4096)
            )
        return number


def save_for_ever(snapshots: tuple[hlwasm.Snapshot, ...], file: Path) -> NoReturn:
    # No pytest in the child, whatever happens.
    try:
        while True:
            for snapshot in snapshots:
                snapshot.save(file)
    finally:
        os._exit(1)


def test_a_process_that_is_killed_while_it_saves(
    component: hlwasm.Component,
    snapshots: tuple[hlwasm.Snapshot, hlwasm.Snapshot],
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.snapshot"
    started = time.monotonic()
    for snapshot in reversed(snapshots):
        snapshot.save(file)
    # Long enough to get as far as the second one, also on a machine that is busy.
    patience = max(0.05, 4 * (time.monotonic() - started))
    chance = random.Random(9)
    found, left = set(), 0
    for number in range(KILLS):
        child = os.fork()
        if child == 0:
            save_for_ever(snapshots, file)
        time.sleep(chance.random() * patience)
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        # Whole, each time, whatever it is.
        loaded = hlwasm.Snapshot.load(file, component)
        if number % 4 == 0:
            found.add(state(loaded))
        left = len(list(tmp_path.iterdir())) - 1
        assert left <= number + 1
    assert found == {1, 2}
    assert left > 0, "no kill came while a file was being written"
    # What is left is taken for abandoned when it is old, and not before.
    snapshots[0].save(file)
    assert len(list(tmp_path.iterdir())) == left + 1
    for each in tmp_path.iterdir():
        os.utime(each, (0, time.time() - 7200))
    (tmp_path / ".b.snapshot.new-other").touch()
    os.utime(tmp_path / ".b.snapshot.new-other", (0, 0))
    snapshots[0].save(file)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == [".b.snapshot.new-other", "a.snapshot"]


@pytest.mark.parametrize("name", ["[ab].snapshot", "*", "a?"])
def test_names_with_a_meaning_to_shells(
    snapshots: tuple[hlwasm.Snapshot, hlwasm.Snapshot], tmp_path: Path, name: str
) -> None:
    old, other = tmp_path / f".{name}.new-killed", tmp_path / ".other.new-killed"
    for file in (old, other):
        file.touch()
        os.utime(file, (0, 0))
    snapshots[0].save(tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, other.name])


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={size}".encode()
    if libc.mount(b"none", bytes(place), b"tmpfs", 0, options) != 0:
        without("HLWASM_REQUIRE_KVM", f"mounting a tmpfs: {os.strerror(ctypes.get_errno())}")
    try:
        yield place
    finally:
        assert libc.umount2(bytes(place), 2) == 0


def test_a_disk_that_is_full(
    component: hlwasm.Component,
    snapshots: tuple[hlwasm.Snapshot, hlwasm.Snapshot],
    tmp_path: Path,
) -> None:
    small, large = snapshots
    small.save(tmp_path / "measured")
    # What it takes on the disk: zeros take nothing.
    needed = 512 * (tmp_path / "measured").stat().st_blocks
    with small_disk(tmp_path, 2 * needed + (64 << 10)) as disk:
        file = disk / "a.snapshot"
        small.save(file)
        whole = file.read_bytes()
        for _ in range(3):
            with pytest.raises(OSError, match="No space left") as caught:
                large.save(file)
            assert caught.value.errno == errno.ENOSPC
            assert [each.name for each in disk.iterdir()] == ["a.snapshot"]
            assert file.read_bytes() == whole
        # There is room for it beside the old one, and for no byte more: at every step.
        for taken in range(0, needed, max(needed // 40, 1)):
            filler = disk / "filler"
            with suppress(OSError):
                filler.write_bytes(bytes(taken))
            try:
                small.save(file)
            except OSError as error:
                assert error.errno == errno.ENOSPC
            filler.unlink()
            assert [each.name for each in disk.iterdir()] == ["a.snapshot"]
            assert file.read_bytes()[4096:] == whole[4096:]
        small.save(file)
        # Last, for a VM that is kept keeps the file that it was made from.
        assert state(hlwasm.Snapshot.load(file, component)) == 1


def test_a_disk_without_a_file_to_spare(
    snapshots: tuple[hlwasm.Snapshot, hlwasm.Snapshot], tmp_path: Path
) -> None:
    with small_disk(tmp_path, 4096) as disk:
        with pytest.raises(OSError, match="No space left"):
            snapshots[0].save(disk / "a.snapshot")
        assert list(disk.iterdir()) == []
