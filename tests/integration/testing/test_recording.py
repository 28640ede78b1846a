"""Recordings of real runs, replayed in other micro-VMs."""

from __future__ import annotations

import gc
import json
import math
import struct
from array import array
from base64 import b64encode
from collections.abc import Callable
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

pytestmark = pytest.mark.hypervisor

# Asks the host for numbers.
ASKING = """(component
  (import "ask" (func $ask (param "number" f64) (result f64)))
  (core func $lowered (canon lower (func $ask)))
  (core module $m
    (import "" "ask" (func $ask (param f64) (result f64)))
    (func (export "both") (param f64) (result f64)
      (f64.add (call $ask (local.get 0)) (call $ask {second})))
    (func (export "trap") (drop (call $ask (f64.const 0))) unreachable)
    (func (export "twice") (param f64) (result f64) (call $ask (call $ask (local.get 0)))))
  (core instance $i (instantiate $m (with "" (instance (export "ask" (func $lowered))))))
  (func (export "both") (param "number" f64) (result f64) (canon lift (core func $i "both")))
  (func (export "twice") (param "number" f64) (result f64) (canon lift (core func $i "twice")))
  (func (export "trap") (canon lift (core func $i "trap"))))"""


def asking(second: str = "(f64.const 2)") -> hlwasm.Component:
    return hlwasm.load(ASKING.format(second=second).encode(), cache=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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


def base64_of(numbers: array[Any]) -> str:
    return b64encode(numbers.tobytes()).decode()


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


def mismatch(path: Path, component: hlwasm.Component) -> str:
    with pytest.raises(ReplayMismatch) as raised:
        replay(path, component)
    return str(raised.value).replace(str(path), "run.jsonl")


def test_what_differs_is_shown(path: Path) -> None:
    with record(path, asking(), {"ask": lambda number: number * 10}) as sandbox:
        assert sandbox.exports.both(1) == 30
    first = "the replay goes another way than the recording\n"
    other = "\n  the component is another build than the recorded one"
    assert mismatch(path, asking("(f64.const 3)")) == (
        f"run.jsonl, line 4: {first}  recorded: host call ask(2.0)\n"
        f"  now:      host call ask(3.0){other}"
    )
    text = path.read_text()

    def changed(old: str, new: str) -> str:
        assert old in text
        path.write_text(text.replace(old, new))
        return mismatch(path, asking())

    assert changed('{"returns": "30.0"}', '{"returns": "31.0"}') == (
        f"run.jsonl, line 5: {first}  recorded: returns 31.0\n  now:      returns 30.0"
    )
    assert changed('{"returns": "30.0"}', '{"raises": {"type": "Trap", "code": "x"}}') == (
        f"run.jsonl, line 5: {first}  recorded: raises Trap x: \n  now:      returns 30.0"
    )
    assert changed('"both"', '"neither"') == (
        f"run.jsonl, line 2: {first}  recorded: call neither(1.0)\n"
        "  now:      <bytes> exports no neither"
    )
    assert changed('"args": ["1.0"]}\n', '"args": []}\n') == (
        f"run.jsonl, line 2: {first}  recorded: call both()\n  now:      both takes 1 arguments"
    )
    extra = '{"host": "ask", "args": ["9.0"], "returns": "1.0"}\n'
    path.write_text(text.replace('{"returns": "30.0"}\n', extra + '{"returns": "30.0"}\n')
                    .replace('{"end": 5}', '{"end": 6}'))  # fmt: skip
    assert mismatch(path, asking()) == (
        f"run.jsonl, line 5: {first}  recorded: host call ask(9.0)\n  now:      returns 30.0"
    )
    path.write_text("".join(text.splitlines(True)[:3]) + '{"end": 3}\n')
    assert mismatch(path, asking()) == (
        f"run.jsonl, line 4: {first}  recorded: the end\n  now:      host call ask(2.0)"
    )


def test_long_values_are_cut_around_the_difference(path: Path, load: Load) -> None:
    component = load("calculator")
    with record(path, component, {"log": lambda message: None}) as sandbox:
        sandbox.exports.ops.subtract(9, 3)
        sandbox.exports.ops.total(list(range(2000)))
    text = path.read_text()
    # The sums differ from here on.
    changed = array("i", range(2000))
    changed[1500] = 1
    compact = base64_of(array("i", range(2000)))
    assert compact in text
    path.write_text(text.replace(compact, base64_of(changed)))
    shown = mismatch(path, component)
    assert 'recorded: host call log("1124250 + 1500 = 1125750")' in shown
    path.write_text(text.replace("1124250 + 1500 = 1125750", "x" * 5000))
    assert len(mismatch(path, component)) < 1000


def test_a_recording_that_fails_leaves_the_old_file(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": abs}):
        pass
    old = path.read_bytes()
    with pytest.raises(KeyError), record(path, component, {"ask": abs}) as sandbox:
        sandbox.exports.both(1)
        raise KeyError
    assert path.read_bytes() == old
    with (
        pytest.raises(RecordingError, match="too large: pass max_bytes"),
        record(path, component, {"ask": abs}, max_bytes=500) as sandbox,
    ):
        for _ in range(10):
            sandbox.exports.both(1)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError), record(path / "x" / "y", component, {"ask": abs}):
        pass
    with pytest.raises(hlwasm.LinkError), record(path, component, {}):
        pass
    with (
        pytest.raises(RecordingError, match="cannot be restored"),
        record(path, component, {"ask": abs}) as sandbox,
    ):
        sandbox.restore(sandbox.snapshot())


Damage = Callable[[str], str]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "line 1: this is no recording of hlwasm"),
        (lambda text: "[1]\n", "line 1: this is no recording of hlwasm"),
        (lambda text: '{"a": 1}\n', "line 1: this is no recording of hlwasm"),
        (lambda text: text.replace('"format": 2', '"format": 9'), "line 1: a recording of format"),
        (lambda text: text[:-30], "line 5: not JSON"),
        (lambda text: text[: text.index('{"end')], "line 6: the recording has no last line"),
        (lambda text: text[: text.index('{"end') - 1], "line 5: the recording has no last line"),
        (lambda text: text.replace('{"end": 5}', '{"end": 4}'), "line 6: the last line does not"),
        (lambda text: text + "x\n", "line 6: the last line does not fit"),
        (lambda text: text.replace('{"call"', '{"cull"'), "line 2: unknown line with cull, args"),
        (lambda text: text.replace('"args": ["1.0"]}', '"args": 1}'), "line 2: a field is missing"),
        (lambda text: text.replace(', "returns": "10.0"', ""), "line 3: a field is missing"),
        (lambda text: text.replace('"returns": "10.0"', '"raises": 1'), "line 3: raises: not an"),
        (lambda text: text.replace('"10.0"', '"ten"'), "line 3: ask returns: line 1, column 1"),
        (lambda text: text.replace('["1.0"]}', '["nan"], "exact": {"0": "é"}}'), "line 2: exact"),
        (lambda text: text.replace('["1.0"]}', '["1.0"], "exact": {"0": ""}}'), "line 2: both 0: "),
        (
            lambda text: text.replace('["1.0"]}', '["1.0"], "exact": {"0": "AQAAAAAA+H8="}}'),
            "line 2: both 0: the text and the exact bytes differ",
        ),
        (
            lambda text: text.replace('{"call": "both", "args": ["1.0"]}', '{"drop": "thing-1"}'),
            "line 2: drop: the component gave no resource thing-1",
        ),
        (lambda text: "[" * 100000 + "\n", "line 1: this is no recording of hlwasm"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_the_line(path: Path, damage: Damage, message: str) -> None:
    component = asking()
    with record(path, component, {"ask": lambda number: number * 10}) as sandbox:
        sandbox.exports.both(1)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordingError) as raised:
        replay(path, component)
    assert str(raised.value).startswith(f"{path}, {message}")


def test_nothing_of_a_file_reaches_a_terminal_unescaped(path: Path) -> None:
    head = '{"hlwasm": "recording", "format": 1}\n'
    for line in ('{"call": "\\u001b[2J", "args": []}', '{"\\u001b[2J": 1}'):
        path.write_text(head + line + '\n{"end": 2}\n')
        with pytest.raises((ReplayMismatch, RecordingError), match="\ufffd\\[2J") as raised:
            replay(path, asking())
        assert "\x1b" not in str(raised.value)


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


def test_a_file_that_is_too_large_or_missing_is_refused(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": abs}) as sandbox:
        sandbox.exports.both(1)
    with pytest.raises(RecordingError, match="larger than 100 bytes: pass max_bytes"):
        replay(path, component, max_bytes=100)
    with pytest.raises(FileNotFoundError):
        replay(path.with_name("none"), component)


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
