"""Snapshot files that somebody wrote with intent: what is of another type, much, or long.

They are loaded without trust; see ``test_damaged_snapshot_files`` for what is there by chance.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox.captured import HostResources
from hlwasm.sandbox.host_state import HostState
from hlwasm.sandbox.host_state_json import ELEMENTS_MAX
from hlwasm.sandbox.snapshot_file import DESCRIPTION_MAX, HOST_MAX, RECORD_MAX
from tests.security.snapshot_files import LIMITS, SnapshotFile, joined, packed
from tests.stateful import IMPORTS, TEXT

pytestmark = pytest.mark.hypervisor


@pytest.fixture(scope="module")
def small() -> hlwasm.Snapshot:
    with hlwasm.load(TEXT.encode()).instantiate(IMPORTS, limits=LIMITS) as sandbox:
        return sandbox.snapshot()


# Types -----------------------------------------------------------------


class Blob:
    """A resource of the user's."""

    def name(self) -> str:
        return "mine"

    def __hlwasm_capture__(self) -> Callable[[], Blob]:
        return Blob


def refused(snapshot: hlwasm.Snapshot, path: Path, tokens: list[Any]) -> None:
    """The file is not loaded with other tokens, whoever is said to make the objects."""
    snapshot.save(path)
    file = SnapshotFile(path)
    for token in tokens:
        trailer = file.trailer()
        assert len(trailer["host"]["resources"]["host"]) == 1
        trailer["host"]["resources"]["tokens"] = [token]
        file.write(packed(trailer))
        with pytest.raises(hlwasm.SnapshotError, match="cannot stand for"):
            hlwasm.Snapshot.load(path, snapshot.component, limits=LIMITS, verify=False)
    file.close()


WASI_TOKENS: list[Any] = [
    ["stdin"], ["stdout"], ["stderr"], ["pollable", "stdin"], ["ready"], ["timer", 0],
    ["instant", 0], ["error", "x", None], ["terminal"],
]  # fmt: skip


def test_nothing_of_wasi_stands_for_a_resource_of_the_user(tmp_path: Path) -> None:
    component = hlwasm.load(BLOBS.encode())
    with component.instantiate({"a:b/c": {"make": Blob}}, limits=LIMITS) as sandbox:
        sandbox.exports.make()
        snapshot = sandbox.snapshot()
    refused(snapshot, tmp_path / "a.snapshot", [[0, token] for token in WASI_TOKENS])


def test_nothing_of_wasi_stands_for_another_type_of_wasi(tmp_path: Path) -> None:
    component = hlwasm.load(TIMERS.encode())
    with component.instantiate(limits=LIMITS) as sandbox:
        sandbox.exports.make()
        snapshot = sandbox.snapshot()
    wrong = [token for token in WASI_TOKENS if token[0] in ("stdin", "stdout", "error", "terminal")]
    refused(snapshot, tmp_path / "a.snapshot", [[0, token] for token in wrong])


def test_functions_of_the_user_get_nothing_of_wasi_from_a_file(tmp_path: Path) -> None:
    class Mine:
        def block(self) -> None: ...

    component = hlwasm.load(TIMERS.encode())
    with component.instantiate(limits=LIMITS) as sandbox:
        sandbox.exports.make()
        sandbox.snapshot().save(tmp_path / "a.snapshot")
    loaded = hlwasm.Snapshot.load(tmp_path / "a.snapshot", component, limits=LIMITS)
    loaded.instantiate().close()
    with pytest.raises(hlwasm.SnapshotError, match=r"pollable of WASI.*given as an import"):
        loaded.instantiate({"wasi:io/poll": {"pollable": Mine}})


# Imports WASI, too, so that there is a provider.
BLOBS = """(component
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "s" (result))))))
  (import "a:b/c" (instance $c
    (export "blob" (type $b (sub resource))) (export "make" (func (result (own $b))))))
  (core func $make (canon lower (func $c "make")))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $m
    (import "" "make" (func $make (result i32))) (import "" "exit" (func (param i32)))
    (func (export "make") (drop (call $make))))
  (core instance $i (instantiate $m
    (with "" (instance (export "make" (func $make)) (export "exit" (func $exit))))))
  (func (export "make") (canon lift (core func $i "make"))))"""
TIMERS = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $q)) (export "pollable" (type $r (eq $q)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $r))))))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $sub (canon lower (func $clock "subscribe-duration")))
  (core module $m
    (import "" "block" (func (param i32)))
    (import "" "sub" (func $sub (param i64) (result i32)))
    (func (export "make") (drop (call $sub (i64.const 1000)))))
  (core instance $i (instantiate $m
    (with "" (instance (export "block" (func $block)) (export "sub" (func $sub))))))
  (func (export "make") (canon lift (core func $i "make"))))"""


# Memory and messages ----------------------------------------------------


def filled(start: str, item: str, end: str, most: int) -> bytes:
    """As many items between start and end as have room."""
    count = (most - len(start) - len(end)) // len(item)
    return (start + item * count + end).encode()


def host_with(item: str, last: str, items: int = 0) -> bytes:
    """The state of a host with a member that nobody knows."""
    start, end = '{"resources":{"x":[', f'{last}]}},"providers":[]}}'
    most = len(start) + len(end) + items * len(item) if items else HOST_MAX
    return filled(start, item, end, most)


MANY_OBJECTS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "description": lambda p: [filled('{"x":[', "{},", "{}]}", DESCRIPTION_MAX), p[1], p[2]],
    "description, too long": lambda p: [filled('{"x":[', "{},", "{}]}", 60 << 20), p[1], p[2]],
    "host": lambda p: [p[0], host_with("{},", "{}"), p[2]],
    "host, few enough": lambda p: [p[0], host_with("{},", "{}", ELEMENTS_MAX // 2 - 9), p[2]],
    "host, members": lambda p: [p[0], host_with('{"":0},', "{}", ELEMENTS_MAX // 2 - 9), p[2]],
    "host, a text": lambda p: [p[0], host_with("a", '"').replace(b"[a", b'["'), p[2]],
    "host, wide text": lambda p: [
        p[0], host_with("a", '\\ud83d\\ude00"').replace(b"[a", b'["'), p[2]
    ],
    "record": lambda p: [p[0], p[1], filled('{"x":[', "{},", "{}]}", RECORD_MAX)],
    "record, too long": lambda p: [p[0], p[1], filled('{"x":[', "{},", "{}]}", 60 << 20)],
}  # fmt: skip


@pytest.mark.parametrize("part", MANY_OBJECTS)
def test_a_trailer_takes_little_memory_whatever_is_in_it(
    small: hlwasm.Snapshot, tmp_path: Path, part: str
) -> None:
    path = tmp_path / "a.snapshot"
    small.save(path)
    file = SnapshotFile(path)
    file.write(joined(*MANY_OBJECTS[part](file.parts())))
    file.close()
    tracemalloc.start()
    try:
        with pytest.raises(hlwasm.SnapshotError) as caught:
            hlwasm.Snapshot.load(path, small.component, limits=LIMITS, verify=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20
    assert len(str(caught.value)) < 1000 + len(str(path))


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


LONG = "y\x1b[2J" * 7000


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "x", "component": LONG},
        {"key": LONG, "component": [LONG]},
        {"limits": dict.fromkeys(LIMITS.as_dict(), LONG[:2000])},
        {"limits": LONG},
        {"limits": {"memory": nested(900)}},
        {"abi": LONG},
        {"host": {LONG: LONG}},
        {"host": LONG},
        {"host": {"resources": {}, "providers": [{"closed": [LONG]}]}},
        {"record": {LONG * 100: 1}},
        {"record": LONG * 100},
        ("cpu", LONG * 100),
    ],
)
def test_texts_of_a_file_are_short_in_messages(
    small: hlwasm.Snapshot, tmp_path: Path, changes: Any
) -> None:
    path = tmp_path / "a.snapshot"
    small.save(path)
    file = SnapshotFile(path)
    trailer = file.trailer()
    if isinstance(changes, tuple):
        trailer["record"][changes[0]] = changes[1]
    else:
        trailer.update(changes)
    file.write(packed(trailer))
    file.close()
    with pytest.raises(hlwasm.SnapshotError) as caught:
        hlwasm.Snapshot.load(path, small.component, limits=LIMITS, verify=False)
    assert len(str(caught.value)) < 2000 + len(str(path))
    assert "\x1b" not in str(caught.value)


def test_what_is_too_much_for_a_file_is_not_saved(small: hlwasm.Snapshot, tmp_path: Path) -> None:
    resources = HostResources((), ((None, partial(str, "x" * HOST_MAX)),))
    large = hlwasm.Snapshot(small.component, small.limits, small._native, HostState(resources, ()))
    with pytest.raises(hlwasm.SnapshotError, match="too much of the host"):
        large.save(tmp_path / "a.snapshot")
    assert list(tmp_path.iterdir()) == []
