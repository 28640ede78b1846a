"""The host's side of a snapshot as bytes: what comes back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hlwasm.errors import SnapshotError
from hlwasm.sandbox.captured import HostResources
from hlwasm.sandbox.host_state import HostSide, HostState
from hlwasm.sandbox.host_state_json import ELEMENTS_MAX, decode, encode
from hlwasm.sandbox.resources import ResourceTable
from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.cli import Terminal
from hlwasm.wasi.polling import Pollable
from hlwasm.wasi.streams import Error, InputStream, OutputStream
from tests.unit.sandbox.worlds import description

IN, GUEST, OUT, BLOB, POLL, ERROR, TERMINAL_IN, TERMINAL_OUT = range(8)
_NAMES = (
    ("wasi:io/streams@0.2.6", "input-stream"),
    ("a:b/d", "cursor"),
    ("wasi:io/streams@0.2.6", "output-stream"),
    ("a:b/c", "blob"),
    ("wasi:io/poll@0.2.0", "pollable"),
    ("wasi:io/error@0.2.6", "error"),
    ("wasi:cli/terminal-input@0.2.6", "terminal-input"),
    ("wasi:cli/terminal-output@0.2.6", "terminal-output"),
    # Not WASI's, though they are called so.
    ("a:b/c", "input-stream"),
    (None, "input-stream"),
    ("wasi:io/streams@0.3.0", "input-stream"),
    ("a:b/c", None),
)
WORLD = description(
    types=[
        {
            "kind": "resource",
            "name": name,
            "interface": interface,
            "side": "guest" if index == GUEST else "host",
        }
        for index, (interface, name) in enumerate(_NAMES)
    ]
)
# All that WASI captures, and the types that it does so of.
TOKENS: list[tuple[list[Any], set[int]]] = [
    (["stdin"], {IN}),
    (["stdout"], {OUT}),
    (["stderr"], {OUT}),
    (["pollable", "stdin"], {POLL}),
    (["ready"], {POLL}),
    (["timer", 5], {POLL}),
    (["instant", 5], {POLL}),
    (["error", "broken", None], {ERROR}),
    (["error", "broken", [5, "text"]], {ERROR}),
    (["terminal"], {TERMINAL_IN, TERMINAL_OUT}),
    (["unknown"], set()),
    ([], set()),
    ([["stdin"]], set()),
]


CLASSES: dict[int, type] = {
    IN: InputStream,
    OUT: OutputStream,
    POLL: Pollable,
    ERROR: Error,
    TERMINAL_IN: Terminal,
    TERMINAL_OUT: Terminal,
}


def table_of() -> ResourceTable:
    return ResourceTable(WORLD, lambda number: None, {})


class Cursor:
    def __init__(self, position: int = 0) -> None:
        self.position = position

    def __hlwasm_capture__(self) -> Callable[[], Cursor]:
        return partial(Cursor, self.position)


def side_with(*values: object, **grants: Any) -> tuple[HostSide, WasiHost]:
    table, wasi = table_of(), WasiHost(Wasi(**grants))
    kinds = {"stdin": IN, "stdout": OUT}
    for value in values:
        if isinstance(value, str):
            table.lower_own(kinds[value], getattr(wasi, value))
        else:
            table.lower_own(BLOB, value)
    return HostSide(table, [wasi]), wasi


def test_there_and_back() -> None:
    side, wasi = side_with("stdin", "stdout", "stdin", stdin=b"abcdef")
    wasi.stdin.read(2)
    state = side.capture()
    again = decode(encode(state, WORLD), WORLD)
    assert again.resources.host == state.resources.host
    assert again.resources.next_rep == 4
    assert again.providers == state.providers

    table, clone = table_of(), WasiHost(Wasi(stdin=b"abXYZ"))
    other = HostSide(table, [clone])
    other.restore(again)
    assert table.is_at(again.resources)
    assert table.lift_borrow(IN, 1) is table.lift_borrow(IN, 3) is clone.stdin
    assert clone.stdin.read(9) == b"XYZ"


def test_objects_of_the_user_need_trust() -> None:
    state = side_with("stdout", Cursor(7))[0].capture()
    data = encode(state, WORLD)
    with pytest.raises(SnapshotError, match="runs code of the file's choice"):
        decode(data, WORLD)
    table = table_of()
    trusted = decode(data, WORLD, trusted=True)
    HostSide(table, [WasiHost()]).restore(trusted)
    assert table.lift_borrow(BLOB, 2).position == 7
    assert not table.is_at(trusted.resources)


def test_what_cannot_be_pickled_is_named() -> None:
    class Local(Cursor):
        def __hlwasm_capture__(self) -> Callable[[], Cursor]:
            return lambda: Local(1)

    state = side_with(Local())[0].capture()
    with pytest.raises(SnapshotError, match=r"lambda.*cannot be pickled for a file"):
        encode(state, WORLD)


def test_guest_resources_stay_behind() -> None:
    table = table_of()
    kept = table.lift_own(GUEST, 5)
    state = HostSide(table, []).capture()
    assert state.resources.guest
    assert decode(encode(state, WORLD), WORLD) == HostState(
        decode(encode(state, WORLD), WORLD).resources
    )
    assert decode(encode(state, WORLD), WORLD).resources.guest == ()
    del kept


def changed(path: list[Any], value: object) -> bytes:
    """A good file with one value replaced; the last of an empty path is the whole."""
    plain = json.loads(encode(side_with("stdin", "stdout")[0].capture(), WORLD))
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
        (["resources", "host", 0], [IN, 1]),
        (["resources", "host", 0], [GUEST, 1, 0]),
        (["resources", "host", 0], [99, 1, 0]),
        (["resources", "host", 0], [-1, 1, 0]),
        (["resources", "host", 0], [IN, 0, 0]),
        (["resources", "host", 0], [IN, 1 << 31, 0]),
        (["resources", "host", 0], [IN, 1, 2]),
        (["resources", "host", 0], [IN, 1, -1]),
        (["resources", "host", 0], [OUT, 2, 0]),  # twice
        (["resources", "host", 0], [OUT, 1, 1]),  # a token is left over
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


@pytest.mark.parametrize(
    ("kind", "token"),
    [(POLL, ["timer", -1]), (POLL, ["instant", "5"]), (IN, ["stdin", 1]), (ERROR, ["error", 5])],
)
def test_a_token_that_wasi_does_not_know_is_found_at_the_restore(
    kind: int, token: list[Any]
) -> None:
    state = decode(one(kind, token), WORLD)
    with pytest.raises(SnapshotError, match="does not know"):
        HostSide(table_of(), [WasiHost()]).restore(state)


def one(kind: int, token: object) -> bytes:
    """A file with one resource."""
    wasi = {"closed": [], "stdin_position": 0, "stdin_digest": ""}
    tokens = [[0, token]]
    resources = {"host": [[kind, 1, 0]], "next_rep": 2, "fixed": True, "tokens": tokens}
    return json.dumps({"resources": resources, "providers": [wasi]}).encode()


@pytest.mark.parametrize(("token", "kinds"), TOKENS)
def test_what_wasi_makes_stands_for_its_own_types_alone(token: list[Any], kinds: set[int]) -> None:
    for kind in range(len(_NAMES)):
        if kind not in kinds:
            with pytest.raises(SnapshotError):
                decode(one(kind, token), WORLD)
            continue
        table = table_of()
        HostSide(table, [WasiHost()]).restore(decode(one(kind, token), WORLD))
        assert isinstance(table.lift_borrow(kind, 1), CLASSES[kind])


@pytest.mark.parametrize("token", [None, "stdin", 5, {"stdin": 1}, {}])
def test_what_is_no_token_stands_for_nothing(token: object) -> None:
    with pytest.raises(SnapshotError, match="cannot stand for"):
        decode(one(IN, token), WORLD)


def test_a_file_gives_nothing_of_wasi_to_functions_of_the_user() -> None:
    captured = side_with("stdin")[0].capture()
    loaded = decode(encode(captured, WORLD), WORLD)
    table, wasi = table_of(), WasiHost()
    side = HostSide(table, [wasi], {IN}.__contains__)
    with pytest.raises(SnapshotError, match=r"input-stream of WASI.*given as an import"):
        side.restore(loaded)
    # What this process captured was given by a host function.
    side.restore(captured)
    assert table.lift_borrow(IN, 1) is wasi.stdin
    HostSide(table, [wasi], {OUT}.__contains__).restore(loaded)


def test_an_object_of_wasi_as_another_type_stays_out_of_files() -> None:
    side = side_with(Pollable())[0]
    state = side.capture()
    side.restore(state)
    with pytest.raises(SnapshotError, match="cannot stand for a blob in a snapshot file"):
        encode(state, WORLD)


def test_more_than_a_file_may_have_is_not_encoded() -> None:
    def holding(count: int) -> HostState:
        entries = tuple([(BLOB, number, 0) for number in range(1, count + 1)])
        return HostState(HostResources(entries, ((None, Cursor),), False, count + 1))

    most = holding(ELEMENTS_MAX // 4 - 10)
    assert decode(encode(most, WORLD), WORLD, trusted=True).resources == most.resources
    with pytest.raises(SnapshotError, match="holds 65536 host resources, too many"):
        encode(holding(ELEMENTS_MAX // 4), WORLD)


def test_more_than_is_encoded_is_not_decoded() -> None:
    for data in (b'{"x":[' + b"[]," * ELEMENTS_MAX + b"0]}", '{"é":1}'.encode()):
        with pytest.raises(SnapshotError, match="too many parts, or other characters"):
            decode(data, WORLD)
