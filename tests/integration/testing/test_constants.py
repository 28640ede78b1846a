"""Bugs behind constants: found by what is in the component's code, and not without it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import compare, fuzz
from hlwasm.testing.constants import Constants, constants_of
from hlwasm.testing.fuzzing import fuzzer
from hlwasm.testing.fuzzing.report import Failure

pytestmark = pytest.mark.hypervisor

# Each function traps for one argument, which nobody guesses.
LOCKED = """(component
  (import "ask" (func $ask (result u32)))
  (core module $Memory
    (memory (export "memory") 1)
    (data (i32.const 8) "open sesame")
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $pointer i32)
      (local.set $pointer (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $pointer) (local.get 3)))
      (local.get $pointer)))
  (core instance $memory (instantiate $Memory))
  (core func $ask (canon lower (func $ask)))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "ask" (func $ask (result i32)))
    (func (export "number") (param i32)
      (if (i32.eq (local.get 0) (i32.const 0x12345678)) (then unreachable)))
    (func (export "long") (param i64)
      (if (i64.eq (i64.const 0xfedcba9876543210) (local.get 0)) (then unreachable)))
    (func (export "float") (param f64)
      (if (f64.eq (local.get 0) (f64.const 1234.5678)) (then unreachable)))
    (func (export "limit") (param i32)
      (if (i32.eq (local.get 0) (i32.const 777777)) (then (return)))
      (if (i32.lt_s (local.get 0) (i32.const 777777)) (then (return)))
      (if (i32.gt_s (local.get 0) (i32.const 777780)) (then (return)))
      unreachable)
    (func (export "word") (param i32 i32)
      (local $i i32)
      (if (i32.ne (local.get 1) (i32.const 11)) (then (return)))
      (loop $next
        (if (i32.ne (i32.load8_u offset=8 (local.get $i))
                    (i32.load8_u (i32.add (local.get 0) (local.get $i)))) (then (return)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 11))))
      unreachable)
    (func (export "header") (param i32 i32)
      (if (i32.lt_u (local.get 1) (i32.const 4)) (then (return)))
      (if (i32.eq (i32.load (local.get 0)) (i32.const 0x464c457f)) (then unreachable)))
    (func (export "answer")
      (if (i32.eq (call $ask) (i32.const 0x0badcafe)) (then unreachable))))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory")) (export "ask" (func $ask))))))
  (func (export "number") (param "n" u32) (canon lift (core func $m "number")))
  (func (export "long") (param "n" u64) (canon lift (core func $m "long")))
  (func (export "float") (param "n" f64) (canon lift (core func $m "float")))
  (func (export "limit") (param "n" s32) (canon lift (core func $m "limit")))
  (func (export "word") (param "text" string) (canon lift (core func $m "word")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (func (export "header") (param "data" (list u8)) (canon lift (core func $m "header")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (func (export "answer") (canon lift (core func $m "answer"))))"""

CALLS = {
    "number": "number(305419896)",
    "long": "long(18364758544493064720)",
    "float": "float(1234.5678)",
    "limit": "limit(777778)",
    "word": 'word("open sesame")',
    "header": "header([127, 69, 76, 70])",
    "answer": "answer()",
}


@pytest.fixture(scope="module")
def component(tmp_path_factory: pytest.TempPathFactory) -> hlwasm.Component:
    path = tmp_path_factory.mktemp("constants") / "locked.wat"
    path.write_text(LOCKED)
    return hlwasm.load(path, cache=False)


def found(component: hlwasm.Component, name: str, constants: Constants | None) -> list[Failure]:
    return fuzz(component, name, examples=200, constants=constants).failures


@pytest.mark.parametrize("name", CALLS)
def test_what_a_constant_locks_is_found_with_it_and_not_without(
    component: hlwasm.Component, name: str
) -> None:
    (failure,) = found(component, name, None)
    assert failure.script is not None
    assert str(failure.script) == CALLS[name]
    assert found(component, name, Constants()) == []


def test_the_answer_of_an_import_is_such_a_value_too(component: hlwasm.Component) -> None:
    (failure,) = found(component, "answer", None)
    assert [str(call) for call in failure.answers] == [f"ask = {0x0BADCAFE}"]


def test_constants_are_those_of_the_file(component: hlwasm.Component, tmp_path: Path) -> None:
    constants = constants_of(component)
    assert constants.compared[:1] == (0x12345678,)
    assert "open sesame" in constants.texts
    assert constants.floats == (1234.5678,)
    assert constants == constants_of(LOCKED.encode())

    path = tmp_path / "locked.wat"
    path.write_text(LOCKED)
    other = hlwasm.load(path, cache=False)
    assert constants_of(other) == constants
    # Another file by now, or none.
    path.write_text(LOCKED.replace("0x12345678", "0x12345679"))
    assert constants_of(other) == Constants()
    assert constants_of(path).compared[:1] == (0x12345679,)
    path.unlink()
    assert constants_of(other) == Constants()
    assert constants_of(hlwasm.load(LOCKED.encode(), cache=False)) == Constants()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(hlwasm.InvalidWasm):
        constants_of(b"(module")
    with pytest.raises(FileNotFoundError):
        constants_of(tmp_path / "none.wasm")


def test_no_constants_is_not_the_same_as_constants_that_are_none(
    component: hlwasm.Component,
) -> None:
    wrong: Any
    for wrong in ({}, (), [1]):
        with pytest.raises(TypeError, match="constants: expected Constants or None"):
            fuzz(component, "number", examples=1, constants=wrong)
        with pytest.raises(TypeError, match="constants: expected Constants or None"):
            compare(component, component, "number", examples=1, constants=wrong)


def test_a_comparison_has_constants_too(component: hlwasm.Component) -> None:
    def differ(constants: Constants | None) -> list[Failure]:
        other = SimpleNamespace(number=lambda n: None)
        report = compare(component, other, "number", examples=200, constants=constants)
        return report.failures

    assert [str(each.script) for each in differ(None)] == ["number(305419896)"]
    assert differ(Constants()) == []
    assert differ(Constants(compared=(0x12345678,)))


def test_looking_for_constants_takes_of_the_time(
    component: hlwasm.Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: hlwasm.Component) -> Constants:
        time.sleep(0.2)
        return Constants()

    monkeypatch.setattr(fuzzer, "constants_of", slow)
    report = fuzz(component, "number", seconds=0.1)
    assert (report.examples, report.complete) == (0, False)
    assert report.notes == ["stopped after 0.1 s"]


def test_nothing_is_said_at_the_end_of_the_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "locked.wat"
    path.write_text(LOCKED)
    # Hypothesis keeps the component until modules have lost their names.
    script = tmp_path / "script.py"
    script.write_text("""
import sys
import hlwasm
from hlwasm.testing import fuzz

component = hlwasm.load(sys.argv[1], cache=False)
fuzz(component, "number", examples=2)
""")
    command = [sys.executable, str(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
