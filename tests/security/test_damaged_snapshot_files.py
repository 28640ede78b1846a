"""Snapshot files with anything in them, checksums right: errors of ours, and nothing worse.

A checksum keeps nobody out who writes files, so all mutations here are followed by new ones:
what is tested is what stands behind them.
"""

from __future__ import annotations

import copy
import random
import resource
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from tests.scale import scaled
from tests.security.snapshot_files import LIMITS, SnapshotFile, packed
from tests.stateful import IMPORTS, TEXT

pytestmark = pytest.mark.hypervisor

ROUNDS = scaled(1500, 50_000)
# Sandboxes are made from so many of the files that are accepted: this takes longest.
TRIED = 120

HOSTILE: list[Any] = [
    None, True, False, -1, 0, 1, 4095, 4096, 1 << 20, 1 << 31, 1 << 32, (1 << 48) - 4096,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 4096, (1 << 64) - 1, 1 << 64, 1 << 200, -(1 << 63), 0.5,
    1e308, "", "\0", "../../etc/passwd", "é" * 1000, [], {}, [[]], [0, 0, 0], {"a": [1]},
    list(range(1000)), [[[[[[[[1]]]]]]]],
]  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values inside a value."""
    found = [path] if path else []
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        found += leaves(inner, (*path, key))
    return found


def change(trailer: dict[str, Any], chance: random.Random) -> None:
    """Changes one value of the record or of the host's state, wherever it is."""
    part = chance.choice(
        [part for part in ("record", "record", "host") if part in trailer] or ["key"]
    )
    *path, last = chance.choice(leaves({part: trailer[part]}))
    place: Any = trailer
    for key in path:
        place = place[key]
    old = place[last]
    kind = chance.randrange(6)
    if kind == 0 and isinstance(old, int):
        place[last] = old + chance.choice([-4096, -1, 1, 4096, 1 << 21, 1 << 32])
    elif kind == 1 and isinstance(old, list) and old:
        old.append(copy.deepcopy(chance.choice(old)))
    elif kind == 2 and isinstance(old, list) and old:
        del old[chance.randrange(len(old))]
    elif kind == 3 and isinstance(old, list):
        chance.shuffle(old)
    elif kind == 4 and isinstance(place, dict):
        del place[last]
    else:
        place[last] = copy.deepcopy(chance.choice(HOSTILE))


def scrambled(text: bytes, chance: random.Random) -> bytes:
    """Text of which a few bytes are others."""
    data = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at] = chance.choice(b'0123456789,:[]{}"\\-e.')
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            del data[at : at + chance.randrange(1, 30)]
        else:
            data[at:at] = chance.choice([b"9" * 20, b"[" * 5000, b"null", b'"', b"1e999", b"NaN"])
    return bytes(data)


def write_mutation(file: SnapshotFile, chance: random.Random) -> None:
    trailer = file.trailer()
    kind = chance.randrange(10)
    if kind < 5:
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            change(trailer, chance)
        file.write(packed(trailer))
    elif kind < 7:
        file.write(scrambled(packed(trailer), chance))
    elif kind < 9:
        file.write(packed(trailer), pages=file.random_pages(chance))
    elif chance.randrange(2):
        sizes = [chance.choice([0, 1, 4096, 1 << 40, (1 << 64) - 4096, (1 << 64) - 1])] * 3
        file.write(packed(trailer), sizes=(sizes[0], sizes[1], sizes[2]))
    else:
        file.write(packed(trailer), size=chance.randrange(0, 1 << 20))


class User:
    """Makes sandboxes of snapshots, and calls them."""

    def start(self, snapshot: hlwasm.Snapshot) -> hlwasm.Sandbox:
        return snapshot.instantiate(IMPORTS)

    def use(self, sandbox: hlwasm.Sandbox) -> None:
        sandbox.exports.count()
        sandbox.exports.load(0)
        sandbox.exports.grow(1)

    def try_out(self, snapshot: hlwasm.Snapshot) -> None:
        """Whatever the guest is, it ends, and so does its sandbox."""
        with suppress(hlwasm.HlwasmError, OSError), self.start(snapshot) as sandbox:
            for _ in range(2):
                with suppress(hlwasm.HlwasmError, OSError):
                    self.use(sandbox)
                sandbox.restore(snapshot)


class WasiUser(User):
    def start(self, snapshot: hlwasm.Snapshot) -> hlwasm.Sandbox:
        return snapshot.instantiate(wasi=WASI)

    def use(self, sandbox: hlwasm.Sandbox) -> None:
        sandbox.run()


WASI = hlwasm.Wasi(stdin=b"some words\n")


def fuzz(snapshot: hlwasm.Snapshot, path: Path, user: User, seed: int) -> None:
    component = snapshot.component
    snapshot.save(path)
    file = SnapshotFile(path)
    chance = random.Random(seed)
    ends: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for number in range(ROUNDS):
            write_mutation(file, chance)
            try:
                loaded = hlwasm.Snapshot.load(path, component, limits=LIMITS, verify=False)
            except (hlwasm.SnapshotError, OSError) as error:
                ends[type(error).__name__] += 1
            except BaseException as error:
                raise AssertionError(f"mutation {number}: {error!r}") from error
            else:
                ends["loaded"] += 1
                if ends["loaded"] <= TRIED:
                    user.try_out(loaded)
        # The file is good again, and so is everything else.
        file.write(packed(file.trailer()))
        loaded = hlwasm.Snapshot.load(path, component, limits=LIMITS, verify=False)
        with user.start(loaded) as sandbox:
            for _ in range(100):
                # A machine that is busy may take longer than allowed.
                with suppress(hlwasm.DeadlineExceeded):
                    user.use(sandbox)
                    break
                sandbox.restore(loaded)
            assert sandbox.status is hlwasm.Status.READY
    finally:
        file.close()
    assert ends["SnapshotError"] > ROUNDS // 3 and ends["loaded"] > ROUNDS // 20, ends
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10, f"{grown} KiB"


@pytest.mark.parametrize("seed", [1, 2])
def test_anything_in_a_file_ends_in_errors_of_ours(tmp_path: Path, seed: int) -> None:
    component = hlwasm.load(TEXT.encode())
    with component.instantiate(IMPORTS, limits=LIMITS) as sandbox:
        sandbox.exports.count()
        sandbox.exports.grow(2)
        sandbox.exports.store(2 << 16, 5)
        snapshot = sandbox.snapshot()
    fuzz(snapshot, tmp_path / "a.snapshot", User(), seed)


@pytest.mark.toolchain("ziglang")
def test_anything_in_the_state_of_wasi(
    tmp_path: Path, component_path: Callable[[str], Path]
) -> None:
    component = hlwasm.load(component_path("wordcount_c"))
    with component.instantiate(wasi=WASI, limits=LIMITS) as sandbox:
        snapshot = sandbox.snapshot()
    fuzz(snapshot, tmp_path / "a.snapshot", WasiUser(), 3)
