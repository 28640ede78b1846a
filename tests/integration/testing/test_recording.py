"""Recordings of real runs, replayed in other micro-VMs."""

from __future__ import annotations

import gc
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    Fakes,
    RecordingError,
    Replayed,
    ReplayMismatch,
    record,
    replay,
    replaying,
)
from tests.integration.conftest import Load
from tests.integration.testing.recordings import asking, lines

pytestmark = pytest.mark.hypervisor


def test_the_file_is_lines_that_can_be_read(path: Path, load: Load) -> None:
    component = load("calculator")
    with record(path, component, {"log": lambda message: None}) as sandbox:
        assert sandbox.exports.ops.total([5, 7]) == 12
        with pytest.raises(hlwasm.Err):
            sandbox.exports.ops.divide(b=0, a=1)
        # No call is made.
        with pytest.raises(hlwasm.WitValueError):
            sandbox.exports.ops.add(1 << 40, 0)
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
            sandbox.exports.ops.add(1)
    head, *rest = lines(path)
    assert head == {
        "hlwasm": "recording",
        "format": 2,
        "component": "calculator.wasm",
        "sha256": component.artifact.metadata.source_sha256,
    }
    assert rest == [
        {"call": "demo:calculator/ops@1.0.0#total", "args": ["[5, 7]"]},
        {"host": "log", "args": ['"0 + 5 = 5"'], "returns": "()"},
        {"host": "log", "args": ['"5 + 7 = 12"'], "returns": "()"},
        {"returns": "12"},
        {"call": "demo:calculator/ops@1.0.0#divide", "args": ["1", "0"]},
        {"returns": "err(division-by-zero)"},
        {"end": 7},
    ]
    assert replay(path, component) == Replayed(calls=2, host_calls=2)
    # No trace of the file on its way.
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_program_with_clocks_random_bytes_and_streams(path: Path, load: Load) -> None:
    program = load("wasi_program_py")
    written: list[bytes] = []
    grants = hlwasm.Wasi(
        args=["program", "count"], stdin=b"one\ntwo\n", stdout=written.append, env={"A": "ü"}
    )
    with record(path, program, wasi=grants) as sandbox:
        assert sandbox.run() == 0
    assert b"".join(written) == b"2 8\n"
    made = lines(path)
    assert any(line.get("host", "").endswith("#get-random-bytes") for line in made)
    assert any('"2"' in line.get("args", []) for line in made)
    # Nothing of this machine is asked for: not even standard output.
    written.clear()
    done = replay(path, program)
    assert (done.calls, done.host_calls > 10) == (1, True)
    assert written == []


def test_a_program_that_exits_and_one_that_waits(path: Path, load: Load) -> None:
    program = load("wasi_program_py")
    for arguments in (["exit", "7"], ["sleep", "0.01"]):
        grants = hlwasm.Wasi(args=["program", *arguments], stdout=None, stderr=None)
        with record(path, program, wasi=grants) as sandbox:
            code = sandbox.run()
        # WASI 0.2 knows success and failure only.
        assert code == (arguments[0] == "exit")
        assert replay(path, program).calls == 1


def test_a_componentize_py_component_with_resources(path: Path, load: Load) -> None:
    component = load("inventory_py")
    fakes = Fakes(component)
    fakes.supplier.price.returns_each([250, hlwasm.Err("sold out")])
    place = fakes.types.Place.Shelf({"aisle": 1, "level": 2})
    item = {
        "id": 1, "name": "hammer", "category": "tool", "handling": ["heavy", "cold"],
        "place": place, "count": 3, "size": (0.1, math.inf, 3), "note": "x", "tags": ["a", "b"],
    }  # fmt: skip
    with record(path, component, fakes) as sandbox:
        stock = sandbox.exports.stock
        stock.add(item)
        assert stock.worth() == (750, [])
        assert stock.worth() == (0, ["hammer: sold out"])
        assert stock.find(1).name == "hammer"
        reservation = stock.Reservation("somebody")
        reservation.set_aside(1, 2)
        assert stock.Reservation.collect(reservation) == 2
        with pytest.raises(hlwasm.WitValueError):
            reservation.lines()
        with stock.Reservation("nobody"):
            pass
    assert "journal" in path.read_text()
    # The call with a resource that is gone did not get far, but it was one.
    assert replay(path, component).calls == 10


def test_drops_of_both_sides_are_in_it(path: Path, load: Load) -> None:
    component = load("kitchen_sink")
    with record(path, component, Fakes(component)) as sandbox:
        things = sandbox.exports.things
        first, second = things.reverse([things.Thing("a"), things.Thing("b")])
        del first
        gc.collect()
        second.drop()
        assert things.dropped() >= 2
    drops = [line for line in lines(path) if "drop" in line or "dropped" in line]
    # The first before the next call, because it was garbage; the second by hand.
    assert sorted(map(str, drops)) == sorted(
        map(
            str,
            [
                {"drop": "thing-5"}, {"dropped": "thing-3"},
                {"drop": "thing-6"}, {"dropped": "thing-1"},
            ],
        )
    )  # fmt: skip
    assert replay(path, component).calls == 6


def test_bits_of_nan_are_kept(path: Path) -> None:
    payload = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    component = asking()
    with record(path, component, {"ask": lambda number: payload}) as sandbox:
        sandbox.exports.both(payload)
        sandbox.exports.twice(math.nan)
    assert "exact" in path.read_text()
    replay(path, component)
    # The same in text, but the default NaN.
    changed = lines(path)
    del changed[2]["exact"]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    with pytest.raises(ReplayMismatch, match="a NaN with other bits") as raised:
        replay(path, component)
    assert "line 3" in str(raised.value)


def test_bytes_and_lists_of_numbers(path: Path, load: Load) -> None:
    component = load("kitchen_sink")
    arrays = hlwasm.load(component.artifact.path or "", number_lists="numpy")
    data = bytes(range(256)) * 1000
    for each in (component, arrays):
        with record(path, each, Fakes(each)) as sandbox:
            echo = sandbox.exports.echo
            assert bytes(echo.echo_list_u8(data)) == data
            assert bytes(echo.echo_list_u8(b"text\0")) == b"text\0"
            assert bytes(echo.echo_list_u8(b"\xff")) == b"\xff"
            assert list(echo.echo_list_f64([1.5, -0.0])) == [1.5, -0.0]
            # It would call past the recording.
            with pytest.raises(TypeError, match="view"):
                hlwasm.view(echo.echo_list_u8, b"x")
        texts = [line["args"] for line in lines(path) if "call" in line]
        assert texts[0][0].startswith('base64("AAECAwQF')
        assert texts[1:] == [['"text\\u{0}"'], ["[255]"], ["[1.5, -0.0]"]]
        # The same for both.
        replay(path, component)
        replay(path, arrays)
    path.write_text(path.read_text().replace('base64(\\"AAEC', 'base64(\\"A*EC'))
    with pytest.raises(RecordingError, match=r"line 2: .*this is not base64"):
        replay(path, component)


def test_traps_and_exceptions_of_host_functions(path: Path) -> None:
    def ask(number: float) -> float:
        if number == 13:
            raise LookupError("unlucky")
        return number

    component = asking()
    with record(path, component, {"ask": ask}) as sandbox:
        with pytest.raises(hlwasm.Trap):
            sandbox.exports.trap()
        with pytest.raises(hlwasm.SandboxPoisoned):
            sandbox.exports.both(1)
    assert lines(path)[-4]["raises"]["code"] == "unreachable"
    replay(path, component)
    with record(path, component, {"ask": ask}) as sandbox, pytest.raises(LookupError):
        sandbox.exports.both(13)
    assert lines(path)[-2] == {"raises": {"type": "builtins.LookupError", "message": "unlucky"}}
    replay(path, component)
    wrong: Any = lambda number: "text"  # noqa: E731
    with record(path, component, {"ask": wrong}) as sandbox, pytest.raises(hlwasm.WitTypeError):
        sandbox.exports.both(1)
    replay(path, component)


class NoMessage(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("caf\udce9"), "caf\udce9"),
        (ValueError("\x1b[2J\x9b2J\u202e"), "\x1b[2J\x9b2J\u202e"),
        (NoMessage(), ""),
    ],
)
def test_messages_of_exceptions_may_be_any_text(path: Path, error: Exception, message: str) -> None:
    component = asking()

    def ask(_: float) -> float:
        raise error

    with record(path, component, {"ask": ask}) as sandbox:
        with pytest.raises(type(error)) as raised:
            sandbox.exports.both(1)
        assert raised.value is error
    assert all(line.isprintable() for line in path.read_text("utf-8").split("\n"))
    assert lines(path)[2]["raises"]["message"] == message
    replay(path, component)


def test_a_call_within_a_call_is_refused_and_no_part_of_it(path: Path) -> None:
    component = asking()

    def ask(number: float) -> float:
        with pytest.raises(hlwasm.ReentrantCall):
            sandbox.exports.both(1)
        return number

    with record(path, component, {"ask": ask}) as sandbox:
        assert sandbox.exports.both(3) == 5
    assert replay(path, component) == Replayed(calls=1, host_calls=2)


def test_what_a_fake_refuses_is_recorded_like_any_exception(path: Path) -> None:
    component = asking()
    fakes = Fakes(component, strict=True)
    with record(path, component, fakes) as sandbox, pytest.raises(AssertionError):
        sandbox.exports.both(1)
    assert replay(path, component) == Replayed(calls=1, host_calls=1)


def test_a_sandbox_for_calls_of_ones_own(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": lambda number: number * 10}) as sandbox:
        sandbox.exports.both(1)
        sandbox.exports.twice(1)
    with replaying(path, component) as sandbox:
        assert sandbox.exports.both(1) == 30
        assert sandbox.exports.twice(1) == 100
    with pytest.raises(ReplayMismatch, match="now:      the end"), replaying(path, component) as s:
        s.exports.both(1)
    other = r"recorded: call both\(1.0\)\n  now:      call twice"
    with pytest.raises(ReplayMismatch, match=other), replaying(path, component) as sandbox:
        sandbox.exports.twice(1)
    # An exception of the block is not hidden by what it leaves undone.
    with pytest.raises(KeyError), replaying(path, component):
        raise KeyError


def test_host_calls_while_it_is_instantiated(path: Path) -> None:
    seeded = hlwasm.load(
        b"""(component
        (import "seed" (func $seed (result u32)))
        (core func $lowered (canon lower (func $seed)))
        (core module $m
          (import "" "seed" (func $seed (result i32)))
          (global $n (mut i32) (i32.const 0))
          (func $start (global.set $n (call $seed)))
          (start $start)
          (func (export "seed") (result i32) global.get $n))
        (core instance $i (instantiate $m (with "" (instance (export "seed" (func $lowered))))))
        (func (export "seeded") (result u32) (canon lift (core func $i "seed"))))""",
        cache=False,
    )
    with record(path, seeded, {"seed": lambda: 42}) as sandbox:
        assert sandbox.exports.seeded() == 42
    assert lines(path)[1] == {"host": "seed", "args": [], "returns": "42"}
    assert replay(path, seeded) == Replayed(calls=1, host_calls=1)
