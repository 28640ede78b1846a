"""The host's side of a snapshot as a whole: table and providers together, with real WASI."""

from __future__ import annotations

import io
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from hlwasm.errors import Cancelled, GuestDataError, SnapshotError
from hlwasm.sandbox.host_state import HostSide, HostState
from hlwasm.sandbox.resources import ResourceTable
from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.polling import Pollable, Timer
from tests.unit.sandbox.resource_tables import HOST, OTHER, table_of


class Rig:
    """A table, WASI and what joins them, as a sandbox has them."""

    def __init__(self, **grants: Any) -> None:
        self.table: ResourceTable = table_of([])
        self.wasi = WasiHost(Wasi(**grants))
        self.side = HostSide(self.table, [self.wasi])

    def hold(self, value: object, kind: int = HOST) -> int:
        return self.table.lower_own(kind, value)

    def held(self, rep: int, kind: int = HOST) -> Any:
        return self.table.lift_borrow(kind, rep)


@pytest.fixture
def make() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(**grants: Any) -> Rig:
        rigs.append(Rig(**grants))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.wasi.close()


class Cursor:
    """A user's resource with the protocol."""

    def __init__(self, position: int = 0) -> None:
        self.position = position

    def __hlwasm_capture__(self) -> Callable[[], Cursor]:
        return partial(Cursor, self.position)


def test_streams_of_wasi_and_objects_with_the_protocol(make: Callable[..., Rig]) -> None:
    rig = make(stdin=b"0123456789")
    cursor = Cursor(3)
    stdin, ours = rig.hold(rig.wasi.stdin), rig.hold(cursor, OTHER)
    rig.wasi.stdin.read(2)
    state = rig.side.capture()
    cursor.position = 8
    assert rig.wasi.stdin.read(3) == b"234"
    rig.side.restore(state)
    assert rig.held(ours, OTHER).position == 3
    assert rig.held(stdin) is rig.wasi.stdin
    assert rig.wasi.stdin.read(3) == b"234"


def test_a_clone_in_another_process(make: Callable[..., Rig]) -> None:
    rig = make(stdin=b"0123456789")
    reps = rig.hold(rig.wasi.stdin), rig.hold(rig.wasi.stdout), rig.hold(Cursor(3), OTHER)
    rig.wasi.stdin.read(2)
    state: HostState = pickle.loads(pickle.dumps(rig.side.capture()))
    written: list[bytes] = []
    clone = make(stdin=b"01anders", stdout=written.append)
    clone.side.restore(state)
    assert clone.held(reps[0]) is clone.wasi.stdin
    assert clone.held(reps[0]).read(10) == b"anders"
    clone.held(reps[1]).write(b"x")
    assert written == [b"x"]
    assert clone.held(reps[2], OTHER).position == 3


@pytest.mark.parametrize("value", [object(), Cursor, type("Mine", (Pollable,), {})()])
def test_objects_without_the_protocol_are_refused(make: Callable[..., Rig], value: object) -> None:
    rig = make()
    rig.hold(value)  # a class that has it is not one of its objects
    with pytest.raises(SnapshotError, match=rf"a:b/c#file 1, a .*{type(value).__name__}"):
        rig.side.capture()


def test_a_protocol_that_answers_no_function_is_refused(make: Callable[..., Rig]) -> None:
    class Wrong:
        def __hlwasm_capture__(self) -> int:
            return 3

    rig = make()
    rig.hold(Wrong())
    with pytest.raises(SnapshotError, match="__hlwasm_capture__ must return a function"):
        rig.side.capture()


def test_no_request_sees_another_one_s(make: Callable[..., Rig]) -> None:
    """The canary: everything that a request can leave on the host's side."""
    out = io.BytesIO()
    rig = make(stdin=b"input", stdout=out)
    stdout = rig.hold(rig.wasi.stdout)
    state = rig.side.capture()
    for _ in range(3):
        assert rig.held(stdout) is rig.wasi.stdout
        for rep in range(stdout + 1, stdout + 20):
            with pytest.raises(GuestDataError):
                rig.held(rep)
        assert rig.wasi.stdin.read(10) == b"input"
        assert rig.hold(Cursor(5)) == stdout + 1
        rig.hold(Timer(rig.wasi.waiter, 0))
        rig.table.lower_borrow(OTHER, Cursor(6))
        rig.wasi.stdout.write(b"once ")
        rig.table.destroy_host(HOST, stdout)
        rig.wasi.interrupt(Cancelled("the last request"))
        rig.side.restore(state)
        Timer(rig.wasi.waiter, rig.wasi.waiter.clock() + 2_000_000).block()
    assert out.getvalue() == b"once " * 3


def test_closing_what_a_request_left_is_not_interrupted_by_its_cancel(
    make: Callable[..., Rig],
) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with open(read_end, "rb") as reader, open(write_end, "wb", buffering=1 << 16) as writer:  # noqa: PTH123
        rig = make(stdout=writer)
        state = rig.side.capture()
        rig.hold(rig.wasi.stdout)
        os.write(write_end, bytes(1 << 16))  # the pipe is full
        rig.wasi.stdout.write(b"last words")
        rig.wasi.interrupt(Cancelled("the request was cancelled"))
        late = threading.Timer(0.05, reader.read, [1 << 16])
        late.start()
        rig.side.restore(state)
        late.join()
        assert reader.read(10) == b"last words"


def test_providers_are_restored_though_closing_fails(make: Callable[..., Rig]) -> None:
    class Stubborn:
        def close(self) -> None:
            raise OSError("stays open")

    rig = make(stdin=b"input")
    state = rig.side.capture()
    rig.wasi.stdin.read(3)
    rig.hold(Stubborn())
    with pytest.raises(OSError, match="stays open"):
        rig.side.restore(state)
    assert rig.wasi.stdin.read(5) == b"input"
    rig.side.restore(state)


def test_other_providers_are_refused(make: Callable[..., Rig]) -> None:
    state = make().side.capture()
    with pytest.raises(SnapshotError, match="1 providers of imports, and the sandbox has 0"):
        HostSide(table_of([]), []).restore(state)
    with pytest.raises(SnapshotError, match="no state of WASI, but int"):
        make().side.restore(HostState(state.resources, (5,)))
