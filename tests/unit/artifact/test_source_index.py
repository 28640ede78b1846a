"""Known inputs by what their files look like."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hlwasm.artifact.source_index import SourceIndex

A, B = "a" * 64, "b" * 64


def status(number: int = 1, *, age: float = 60.0, **changes: int) -> os.stat_result:
    """Of a file that was changed some seconds ago."""
    then = time.time() - age
    fields = {
        "st_dev": 1, "st_ino": number, "st_size": 5000, "st_mtime": then, "st_ctime": then,
        "st_mtime_ns": 10, "st_ctime_ns": 20, **changes,
    }  # fmt: skip
    return cast("os.stat_result", SimpleNamespace(**fields))


@pytest.fixture
def index(tmp_path: Path) -> SourceIndex:
    return SourceIndex(str(tmp_path / "cache" / "sources.json"))


def test_a_file_is_known_again(index: SourceIndex) -> None:
    assert index.find(status()) is None
    index.add(status(), A)
    assert index.find(status()) == A
    assert SourceIndex(index.path).find(status()) == A
    index.add(status(), B)
    assert index.find(status()) == B
    assert [each.name for each in Path(index.path).parent.iterdir()] == ["sources.json"]
    assert Path(index.path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("field", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_a_file_that_differs_in_anything_is_another(index: SourceIndex, field: str) -> None:
    index.add(status(), A)
    assert index.find(status(**{field: 77})) is None


def test_a_file_that_was_changed_just_now_may_change_again(index: SourceIndex) -> None:
    index.add(status(age=0.5), A)
    assert index.find(status()) is None
    # Also with a clock that is wrong.
    index.add(status(age=-100), A)
    assert index.find(status()) is None


def test_the_index_stays_small(index: SourceIndex) -> None:
    for number in range(200):
        index.add(status(number), A)
    assert index.find(status(0)) is None
    assert index.find(status(199)) == A
    assert Path(index.path).stat().st_size < 20_000


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"[" * 60_000, b"\xff", b'{"x": 3}'])
def test_a_damaged_index_knows_nothing(index: SourceIndex, data: bytes) -> None:
    index.add(status(), A)
    Path(index.path).write_bytes(data)
    assert index.find(status()) is None
    index.add(status(), B)
    assert index.find(status()) == B


@pytest.mark.parametrize("value", ["null", "3", '"abc"', f'"{"A" * 64}"', f'"{"../" * 22}"'])
def test_what_is_no_hash_is_not_taken_for_one(index: SourceIndex, value: str) -> None:
    index.add(status(), A)
    text = Path(index.path).read_text()
    Path(index.path).write_text(text.replace(f'"{A}"', value))
    assert index.find(status()) is None


def test_an_index_that_others_can_write_is_ignored(index: SourceIndex) -> None:
    index.add(status(), A)
    Path(index.path).chmod(0o666)
    assert index.find(status()) is None


def test_where_nothing_can_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory" / "sources.json").mkdir(parents=True)
    for folder in ("file", "directory"):
        index = SourceIndex(str(tmp_path / folder / "sources.json"))
        index.add(status(), A)
        assert index.find(status()) is None
    assert [each.name for each in (tmp_path / "directory").iterdir()] == ["sources.json"]
