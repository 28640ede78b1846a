"""The cache on disk: entries, order, damage, housekeeping."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from hlwasm.artifact.cache import SNAPSHOT, Cache, default_root
from hlwasm.artifact.file_format import write_trailer
from hlwasm.errors import ArtifactError

from .files import add_entry, artifact_file, code_of, metadata

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def _keys(cache: Cache) -> list[str]:
    return [entry.key for entry in cache.entries()]


def test_an_entry_is_found_again(cache: Cache) -> None:
    assert cache.find(A) is None
    path = add_entry(cache, A, 5000)
    found = cache.find(A)
    assert found is not None
    with found:
        assert (found.key, found.path, found.cached, found.code_bytes) == (A, path, True, 5000)
    assert cache.find(B) is None


def test_a_directory_that_does_not_exist_is_an_empty_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "nowhere")
    assert cache.entries() == []
    assert cache.clear() == []
    assert list(cache.verify()) == []
    assert cache.size() == 0
    assert not cache.root.exists()


def test_only_the_user_can_look_into_the_cache(cache: Cache) -> None:
    path = add_entry(cache, A)
    assert cache.root.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o400


def test_finding_counts_as_use(cache: Cache) -> None:
    for key, used in ((A, 100.0), (B, 200.0)):
        add_entry(cache, key, used=used)
    assert _keys(cache) == [A, B]
    found = cache.find(A)
    assert found is not None
    found.close()
    assert _keys(cache) == [B, A]


def test_pruning_removes_the_least_recently_used(cache: Cache) -> None:
    for key, used in ((A, 300.0), (B, 100.0), (C, 200.0)):
        add_entry(cache, key, 1000, used=used)
    one = cache.entries()[0].size
    removed = cache.prune(2 * one)
    assert [entry.key for entry in removed] == [B]
    assert _keys(cache) == [C, A]
    assert [entry.key for entry in cache.prune(0)] == [C, A]
    assert cache.size() == 0


def test_a_new_entry_prunes_the_cache_but_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=4000)
    add_entry(cache, A, 3000, used=100.0)
    add_entry(cache, B, 3000)
    assert _keys(cache) == [B]
    add_entry(cache, C, 50_000)
    assert _keys(cache) == [C]


def test_what_a_crashed_process_left_is_removed_later(cache: Cache) -> None:
    add_entry(cache, A)
    fd, left = cache.create()
    os.close(fd)
    cache.prune()
    assert left.exists(), "it may be in use"
    old = time.time() - 7200
    os.utime(left, (old, old))
    cache.prune()
    assert not left.exists()
    assert _keys(cache) == [A]


def test_a_running_artifact_survives_clearing(cache: Cache) -> None:
    add_entry(cache, A, 5000)
    found = cache.find(A)
    assert found is not None
    assert [entry.key for entry in cache.clear()] == [A]
    assert cache.find(A) is None
    with found:
        found.verify()


@pytest.mark.parametrize("at", [0, -1, -30, -100])
def test_a_damaged_entry_is_removed_at_use(
    cache: Cache, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = add_entry(cache, A)
    _flip(path, at)
    with caplog.at_level(logging.WARNING, "hlwasm.cache"):
        assert cache.find(A) is None
    assert not path.exists()
    assert "damaged" in caplog.text or "not an hlwasm artifact" in caplog.text


def test_a_truncated_entry_is_removed_at_use(cache: Cache) -> None:
    path = add_entry(cache, A, 5000)
    path.chmod(0o600)
    os.truncate(path, 3000)
    assert cache.find(A) is None
    assert not path.exists()


def test_an_entry_under_a_wrong_name_is_not_used(cache: Cache) -> None:
    add_entry(cache, A).rename(cache.path_of(B))
    assert cache.find(B) is None


def test_an_entry_that_others_can_write_is_not_used(cache: Cache) -> None:
    add_entry(cache, A).chmod(0o666)
    assert cache.find(A) is None


def test_a_new_entry_is_what_was_written_whatever_has_its_name(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = artifact_file(tmp_path / "other", code_of(77), key=A)
    other.chmod(0o666)
    assert cache.prepare()
    fd, path = cache.create()

    def replaced(fd: int) -> None:
        other.rename(path)

    monkeypatch.setattr(os, "fsync", replaced)
    code = code_of(5000)
    os.write(fd, code)
    write_trailer(fd, len(code), "{}", metadata(A))
    try:
        with cache.commit(fd, path, A) as made:
            assert os.pread(made.fd, 5000, 0) == code
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(made.fd, b"x")
    finally:
        cache.discard(fd, path)
    # What is there under its name now is another user's.
    assert cache.find(A) is None


def test_a_new_entry_has_its_key(cache: Cache) -> None:
    assert cache.prepare()
    fd, path = cache.create()
    try:
        code = code_of(100)
        os.write(fd, code)
        write_trailer(fd, len(code), "{}", metadata(B))
        with pytest.raises(ArtifactError, match="another key"):
            cache.commit(fd, path, A)
    finally:
        cache.discard(fd, path)
    assert cache.entries() == []


@pytest.mark.timeout(20)
def test_pipes_in_the_place_of_files_block_nothing(cache: Cache) -> None:
    places = cache.path_of(A), cache.path_of(A, SNAPSHOT), cache.root / "sources.json"
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(place)
    assert [problem is None for _, problem in cache.verify()] == [False, False]
    for place in places[:2]:
        assert not place.exists()
        os.mkfifo(place)
    assert cache.find(A) is None
    assert cache.open_snapshot(A) is None
    assert cache.sources().find(cache.root.stat()) is None


def test_verify_finds_damaged_code(cache: Cache) -> None:
    add_entry(cache, A, 5000, used=100.0)
    damaged = add_entry(cache, B, 5000, used=200.0)
    _flip(damaged, 2500)
    found = cache.find(B)
    assert found is not None, "the code's checksum is not part of finding"
    found.close()
    results = {entry.key: problem for entry, problem in cache.verify()}
    assert results[A] is None
    assert "code does not match" in (results[B] or "")
    assert _keys(cache) == [A]


def test_works_without_where_it_cannot_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    cache = Cache(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING, "hlwasm.cache"):
        assert not cache.prepare()
    assert "works without a cache" in caplog.text
    assert cache.find(A) is None


def test_the_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLWASM_CACHE_DIR", "/one")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    monkeypatch.setenv("HOME", "/three")
    assert default_root() == "/one"
    monkeypatch.delenv("HLWASM_CACHE_DIR")
    assert default_root() == "/two/hlwasm"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_root() == "/three/.cache/hlwasm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == "/three/.cache/hlwasm"


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(0o400)
