"""`hlwasm cache` on real entries."""

from __future__ import annotations

import json
from pathlib import Path

from hlwasm.artifact.cache import Cache
from tests.unit.artifact.files import add_entry

from .running import CommandLine


def test_an_empty_cache(fresh: CommandLine) -> None:
    done = fresh("cache")
    assert done.code == 0
    assert str(fresh.cache) in done.stdout
    assert "entries    0" in done.stdout
    assert not fresh.cache.exists(), "looking makes nothing"
    assert fresh("cache", "clear").stdout == "removed 0 entries, 0 bytes\n"


def test_what_is_in_it(fresh: CommandLine) -> None:
    cache = Cache(fresh.cache)
    add_entry(cache, "a" * 64, 3 << 20, used=1.0)
    add_entry(cache, "b" * 64, 1 << 10)
    text = fresh("cache").stdout
    assert "entries    2" in text
    assert "3.0 MiB of 2.0 GiB" in text
    assert text.index("b" * 16) < text.index("a" * 16), "last used first"
    report = json.loads(fresh("cache", "info", "--json").stdout)
    assert report["directory"] == str(fresh.cache)
    assert report["bytes"] == cache.size()
    assert [entry["key"][0] for entry in report["entries"]] == ["a", "b"]


def test_prune_and_clear(fresh: CommandLine) -> None:
    cache = Cache(fresh.cache)
    for number, letter in enumerate("abc"):
        add_entry(cache, letter * 64, 1 << 20, used=100.0 + number)
    done = fresh("cache", "prune", "--limit", "2.5M")
    assert (done.code, done.stdout) == (0, "removed 1 entry, 1.0 MiB\n")
    assert [entry.key[0] for entry in cache.entries()] == ["b", "c"]
    done = fresh("cache", "clear")
    assert (done.code, done.stdout) == (0, "removed 2 entries, 2.0 MiB\n")
    assert cache.entries() == []


def test_verify_removes_damaged_entries(fresh: CommandLine) -> None:
    cache = Cache(fresh.cache)
    add_entry(cache, "a" * 64, 5000)
    damaged = add_entry(cache, "b" * 64, 5000)
    _damage(damaged)
    done = fresh("cache", "verify")
    assert done.code == 1
    assert done.stdout == "1 entry good, 1 damaged\n"
    assert f"removed {damaged.name}: the artifact is damaged" in done.stderr
    done = fresh("cache", "verify")
    assert (done.code, done.stdout) == (0, "1 entry good, 0 damaged\n")


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2500] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(0o400)
