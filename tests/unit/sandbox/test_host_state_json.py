"""The host's side of a snapshot as bytes: what comes back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hlwasm.errors import SnapshotError
from hlwasm.sandbox.host_state import HostSide, HostState
from hlwasm.sandbox.host_state_json import decode, encode
from hlwasm.wasi import Wasi, WasiHost
from tests.unit.sandbox.resource_tables import GUEST, HOST, OTHER, WORLD, table_of


class Cursor:
    def __init__(self, position: int = 0) -> None:
        self.position = position

    def __hlwasm_capture__(self) -> Callable[[], Cursor]:
        return partial(Cursor, self.position)


def side_with(*values: object, **grants: Any) -> tuple[HostSide, WasiHost]:
    table, wasi = table_of([]), WasiHost(Wasi(**grants))
    for value in values:
        table.lower_own(HOST, getattr(wasi, value) if isinstance(value, str) else value)
    return HostSide(table, [wasi]), wasi


def test_there_and_back() -> None:
    side, wasi = side_with("stdin", "stdout", "stdin", stdin=b"abcdef")
    wasi.stdin.read(2)
    state = side.capture()
    again = decode(encode(state), WORLD)
    assert again.resources.host == state.resources.host
    assert again.resources.next_rep == 4
    assert again.providers == state.providers

    table, clone = table_of([]), WasiHost(Wasi(stdin=b"abXYZ"))
    other = HostSide(table, [clone])
    other.restore(again)
    assert table.is_at(again.resources)
    assert table.lift_borrow(HOST, 1) is table.lift_borrow(HOST, 3) is clone.stdin
    assert clone.stdin.read(9) == b"XYZ"


def test_objects_of_the_user_need_trust() -> None:
    state = side_with("stdout", Cursor(7))[0].capture()
    data = encode(state)
    with pytest.raises(SnapshotError, match="runs code of the file's choice"):
        decode(data, WORLD)
    table = table_of([])
    trusted = decode(data, WORLD, trusted=True)
    HostSide(table, [WasiHost()]).restore(trusted)
    assert table.lift_borrow(HOST, 2).position == 7
    assert not table.is_at(trusted.resources)


def test_what_cannot_be_pickled_is_named() -> None:
    class Local(Cursor):
        def __hlwasm_capture__(self) -> Callable[[], Cursor]:
            return lambda: Local(1)

    state = side_with(Local())[0].capture()
    with pytest.raises(SnapshotError, match=r"lambda.*cannot be pickled for a file"):
        encode(state)


def test_guest_resources_stay_behind() -> None:
    table = table_of([])
    kept = table.lift_own(GUEST, 5)
    state = HostSide(table, []).capture()
    assert state.resources.guest
    assert decode(encode(state), WORLD) == HostState(decode(encode(state), WORLD).resources)
    assert decode(encode(state), WORLD).resources.guest == ()
    del kept


def changed(path: list[Any], value: object) -> bytes:
    """A good file with one value replaced; the last of an empty path is the whole."""
    plain = json.loads(encode(side_with("stdin", "stdout")[0].capture()))
    if not path:
        return json.dumps(value).encode()
    at = plain
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(plain).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ([], None),
        ([], []),
        ([], {"resources": {}, "providers": []}),
        (["providers"], {}),
        (["providers", 0], {"closed": 1}),
        (["providers"], []),
        (["resources"], 5),
        (["resources", "host"], None),
        (["resources", "host", 0], [HOST, 1]),
        (["resources", "host", 0], [GUEST, 1, 0]),
        (["resources", "host", 0], [99, 1, 0]),
        (["resources", "host", 0], [-1, 1, 0]),
        (["resources", "host", 0], [HOST, 0, 0]),
        (["resources", "host", 0], [HOST, 1 << 31, 0]),
        (["resources", "host", 0], [HOST, 1, 2]),
        (["resources", "host", 0], [HOST, 1, -1]),
        (["resources", "host", 0], [HOST, 2, 0]),  # twice
        (["resources", "host", 0], [OTHER, 1, 1]),  # a token is left over
        (["resources", "host", 0], ["x", 1, 0]),
        (["resources", "next_rep"], 0),
        (["resources", "next_rep"], 1 << 31),
        (["resources", "next_rep"], "1"),
        (["resources", "fixed"], 1),
        (["resources", "tokens", 0], [1, ["stdin"]]),
        (["resources", "tokens", 0], [-1, ["stdin"]]),
        (["resources", "tokens", 0], ["0", ["stdin"]]),
        (["resources", "tokens", 0], [0]),
    ],
)
def test_damaged_files_are_refused(path: list[Any], value: object) -> None:
    with pytest.raises(SnapshotError, match=r"damaged|not valid"):
        decode(changed(path, value), WORLD)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b'{"resources": NaN}']
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="damaged"):
        decode(data, WORLD)


@pytest.mark.parametrize("pickled", ["", "AAAA", "not base64!", "gARLAy4="])
def test_damaged_objects_are_refused_though_trusted(pickled: str) -> None:
    data = changed(["resources", "tokens", 0], [None, pickled])
    with pytest.raises(SnapshotError, match=r"cannot be unpickled|3 makes no resource"):
        decode(data, WORLD, trusted=True)


def test_a_token_that_wasi_does_not_know_is_found_at_the_restore() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    state = decode(changed(["resources", "tokens", 0], [0, {"stdin": deep}]), WORLD)
    with pytest.raises(SnapshotError, match="does not know"):
        HostSide(table_of([]), [WasiHost()]).restore(state)
