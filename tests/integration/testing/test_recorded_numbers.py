"""Recordings of many numbers, and of numbers that are none."""

from __future__ import annotations

import json
import math
import random
import struct
import sys
from array import array
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import Fakes, RecordingError, ReplayMismatch, record, replay
from tests.integration.conftest import Load

pytestmark = pytest.mark.hypervisor

# Passes on what it is given, to the host and back.
PASSING = """(component
  (import "pass" (func $pass (param "value" TYPE) (result TYPE)))
  (core module $memory
    (memory (export "memory") 300)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $m (instantiate $memory))
  (core func $pass' (canon lower (func $pass) (memory $m "memory") (realloc (func $m "realloc"))))
  (core module $main
    (import "" "pass" (func $pass (param i32 i32 i32)))
    (func (export "go") (param i32 i32) (result i32)
      (call $pass (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16)))
  (core instance $i (instantiate $main (with "" (instance (export "pass" (func $pass'))))))
  (func (export "go") (param "value" TYPE) (result TYPE)
    (canon lift (core func $i "go") (memory $m "memory") (realloc (func $m "realloc")))))"""
SCALAR = b"""(component
  (import "pass" (func $pass (param "value" f32) (result f32)))
  (core func $pass' (canon lower (func $pass)))
  (core module $main
    (import "" "pass" (func $pass (param f32) (result f32)))
    (func (export "go") (result f32)
      (call $pass (f32.reinterpret_i32 (i32.const 0x7fa00001)))))
  (core instance $i (instantiate $main (with "" (instance (export "pass" (func $pass'))))))
  (func (export "go") (result f32) (canon lift (core func $i "go"))))"""
# Signalling NaN of f32, the same made quiet, and a signalling one of f64.
SIGNALLING = struct.pack("<I", 0x7FA00001)
QUIET = struct.pack("<I", 0x7FE00001)
SIGNALLING_64 = struct.pack("<Q", 0x7FF0000000000001)


def passing(element: str, number_lists: Any = "list") -> hlwasm.Component:
    text = PASSING.replace("TYPE", f"(list {element})")
    return hlwasm.load(text.encode(), cache=False, number_lists=number_lists)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, changed: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))


@pytest.mark.parametrize("number_lists", ["array", "numpy"])
def test_a_signalling_nan_in_an_array_is_kept_by_recording_and_replay(
    path: Path, number_lists: str
) -> None:
    component = passing("f32", number_lists)
    given = array("f", SIGNALLING * 2)
    seen: list[bytes] = []

    def pass_(value: Any) -> Any:
        seen.append(memoryview(value).tobytes())
        return value

    with record(path, component, {"pass": pass_}) as sandbox:
        result = sandbox.exports.go(given)
    assert memoryview(result).tobytes() == seen[0] == SIGNALLING * 2
    written = [line["exact"] for line in lines(path)[1:-1]]
    wanted = b64encode(struct.pack("<II", 8, 2) + SIGNALLING * 2).decode()
    assert written == [{"0": wanted}, {"0": wanted, "returns": wanted}, {"returns": wanted}]
    replay(path, component)
    # Quiet ones are others.
    text = path.read_text()
    quiet = b64encode(struct.pack("<II", 8, 2) + QUIET * 2).decode()
    path.write_text(text.replace(wanted, quiet, 1))
    with pytest.raises(ReplayMismatch, match="a NaN with other bits"):
        replay(path, component)


def test_an_array_keeps_it_where_results_are_lists(path: Path) -> None:
    component = passing("f32")
    given = array("f", SIGNALLING * 2)
    with record(path, component, {"pass": lambda value: given}) as sandbox:
        sandbox.exports.go(given)
    call, host = lines(path)[1:3]
    wanted = b64encode(struct.pack("<II", 8, 2) + SIGNALLING * 2).decode()
    assert call["exact"]["0"] == host["exact"]["returns"] == wanted
    replay(path, component)


def test_a_signalling_nan_as_a_float_is_recorded_as_python_saw_it(path: Path) -> None:
    component = hlwasm.load(SCALAR, cache=False)
    seen: list[float] = []

    def pass_(value: float) -> float:
        seen.append(value)
        return value

    with record(path, component, {"pass": pass_}) as sandbox:
        results = [sandbox.exports.go() for _ in range(8)]
    # Whether it is quiet by now, is Python's to say.
    bits = struct.pack("<f", struct.unpack("<f", SIGNALLING)[0])
    assert {struct.pack("<f", each) for each in (*seen, *results)} == {bits}
    assert lines(path)[2]["exact"]["0"] == b64encode(bits).decode()
    replay(path, component)


def test_a_signalling_nan_of_f64_keeps_its_bits_everywhere(path: Path) -> None:
    nan = struct.unpack("<d", SIGNALLING_64)[0]
    component = passing("f64")
    with record(path, component, {"pass": lambda value: [*value, nan]}) as sandbox:
        result = sandbox.exports.go([nan, 1.0])
    assert [struct.pack("<d", each) for each in result][::2] == [SIGNALLING_64] * 2
    replay(path, component)


def numbers_of(element: str, count: int) -> array[Any]:
    chance = random.Random(element)
    if element[0] == "f":
        return array({"f32": "f", "f64": "d"}[element], [chance.random() for _ in range(count)])
    return array({"s32": "i", "u64": "Q", "u8": "B"}[element], chance.randbytes(count))[:count]


def python_calls(work: Callable[[], object]) -> int:
    """How many Python functions were called meanwhile: counted, not timed."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("element", ["u8", "s32", "u64", "f32", "f64"])
@pytest.mark.parametrize("number_lists", ["list", "array", "numpy"])
def test_long_lists_are_recorded_and_replayed_without_a_step_for_each_number(
    path: Path, element: str, number_lists: str
) -> None:
    component = passing(element, number_lists)
    flat = numbers_of(element, 40_000)
    given: Any = flat
    if number_lists == "list":
        given = flat.tobytes() if element == "u8" else flat.tolist()

    def run() -> None:
        with record(path, component, {"pass": lambda value: value}) as sandbox:
            result = sandbox.exports.go(given)
        assert list(result) == list(flat)

    def again() -> None:
        assert replay(path, component).host_calls == 1

    assert python_calls(run) < 20_000
    assert python_calls(again) < 20_000
    texts = [*lines(path)[1]["args"], lines(path)[2]["returns"], lines(path)[3]["returns"]]
    assert set(texts) == {f'base64("{b64encode(flat.tobytes()).decode()}")'}


def test_a_recording_of_format_1_is_read(path: Path) -> None:
    component = passing("f64")
    items = [float(each) for each in range(3000)]
    items[1234] = math.nan
    items[1235] = struct.unpack("<d", SIGNALLING_64)[0]
    with record(path, component, {"pass": lambda value: value}) as sandbox:
        sandbox.exports.go(items)
        sandbox.exports.go([0.5, -0.0, math.inf])
    new = lines(path)
    # As the versions before wrote it.
    text = f"[{', '.join(map(repr, items))}]"
    exact = b64encode(struct.pack("<II", 8, 3000) + array("d", items).tobytes()).decode()
    new[0]["format"] = 1
    new[1].update(args=[text], exact={"0": exact})
    new[2].update(args=[text], returns=text, exact={"0": exact, "returns": exact})
    new[3].update(returns=text, exact={"returns": exact})
    write_lines(path, new)
    assert replay(path, component).calls == 2
    other = exact[:-400] + "A" * 300 + exact[-100:]
    new[3]["exact"] = {"returns": other}
    write_lines(path, new)
    with pytest.raises(RecordingError, match=r"line 4: .*the text and the exact bytes differ"):
        replay(path, component)
    new[3]["exact"] = {"returns": exact}
    new[3]["returns"] = text.replace("1236.0", "1.0")
    write_lines(path, new)
    with pytest.raises(RecordingError, match=r"line 4: .*the text and the exact bytes differ"):
        replay(path, component)


def test_where_long_lists_differ_is_shown_as_numbers(path: Path, load: Load) -> None:
    component = load("kitchen_sink")
    items = array("i", range(5000))
    with record(path, component, Fakes(component)) as sandbox:
        sandbox.exports.echo.echo_list_s32(items)
    changed = items[:]
    changed[4321] = -1
    recorded = lines(path)
    recorded[2]["returns"] = f'base64("{b64encode(changed.tobytes()).decode()}")'
    write_lines(path, recorded)
    with pytest.raises(ReplayMismatch) as raised:
        replay(path, component)
    recorded_line, now = str(raised.value).splitlines()[1:3]
    assert "4320, -1, 4322, " in recorded_line
    assert "4320, 4321, 4322, " in now
    assert len(str(raised.value)) < 1000
