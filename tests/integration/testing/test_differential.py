"""The same calls here and elsewhere: differences are found, made small, shown with their path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import compare
from hlwasm.testing.differential.wasmtime_process import CannotCompare, WasmtimeProcess
from hlwasm.testing.fuzzing.outcomes import Kind
from hlwasm.testing.fuzzing.report import Failure, Report
from hlwasm.testing.scripts.steps import Script
from tests.integration.conftest import Load
from tests.integration.testing.planted import planted
from tests.integration.testing.test_fuzzing import lines

pytestmark = pytest.mark.hypervisor


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(planted(), cache=False)


def different(report: Report) -> Failure:
    (failure,) = [each for each in report.failures if each.kind is Kind.DIFFERENT]
    return failure


# Another version of the component


def test_a_version_that_accepts_more(component: hlwasm.Component) -> None:
    newer = hlwasm.load(planted(limit=2000), cache=False)
    failure = different(compare(component, newer, "over", examples=400))
    assert lines(failure) == ["over(1001)"]
    assert failure.message.splitlines() == [
        "the end differs",
        "here     failed: trap: wasm `unreachable` instruction executed",
        "<bytes>  1001",
    ]


def test_a_result_that_differs_in_one_place() -> None:
    def component(second: str) -> hlwasm.Component:
        text = f"""(component
          (core module $m (memory (export "memory") 1)
            (func (export "f") (param i32) (result i32)
              (i32.store (i32.const 0) (local.get 0))
              (i32.store (i32.const 4) {second})
              (i32.const 0)))
          (core instance $i (instantiate $m))
          (func (export "f") (param "n" u32) (result (tuple u32 u32))
            (canon lift (core func $i "f") (memory $i "memory"))))"""
        return hlwasm.load(text.encode(), cache=False)

    here = component("(local.get 0)")
    other = component("(select (i32.const 7) (local.get 0) (i32.ge_u (local.get 0) (i32.const 5)))")
    failure = different(compare(here, other, examples=40))
    assert lines(failure) == ["f(5)"]
    assert failure.message.splitlines() == [
        "the result differs at [1]",
        "here     (5, 5), so 5",
        "<bytes>  (5, 7), so 7",
    ]


def test_the_same_component_has_no_differences(component: hlwasm.Component) -> None:
    again = hlwasm.load(planted(), cache=False)
    report = compare(component, again, "add", "divide", "roll", "counters", "ask", examples=20)
    assert not [each for each in report.failures if each.kind is Kind.DIFFERENT]
    assert report.notes == []


def test_functions_that_the_other_does_not_have(load: Load, component: hlwasm.Component) -> None:
    report = compare(load("calculator"), component, "ops.add", examples=3)
    assert report.notes == ["ops.add: not compared, as <bytes> does not export it"]
    assert report.examples == 0


def test_other_host_calls() -> None:
    def component(times: int) -> hlwasm.Component:
        calls = "(call $tell (local.get 0))" * times
        text = f"""(component
          (import "tell" (func $tell (param "n" u32)))
          (core func $tell (canon lower (func $tell)))
          (core module $m (import "" "tell" (func $tell (param i32)))
            (func (export "f") (param i32) {calls}))
          (core instance $i (instantiate $m (with "" (instance (export "tell" (func $tell))))))
          (func (export "f") (param "n" u32) (canon lift (core func $i "f"))))"""
        return hlwasm.load(text.encode(), cache=False)

    failure = different(compare(component(1), component(2), examples=10))
    assert failure.message.splitlines() == [
        "the host calls differ",
        "here     calls tell(0)",
        "<bytes>  calls tell(0), tell(0)",
    ]


# A Python implementation


class Planted:
    """What the planted component should do, but that `divide` rounds up."""

    def add(self, a: int, b: int) -> int:
        return (a + b + 2**31) % 2**32 - 2**31

    def divide(self, a: int, b: int) -> int:
        if b == 0:
            raise hlwasm.Err(None)
        return -(-a // b)

    class counters:
        class Counter:
            def __init__(self, start: int) -> None:
                self.start = start

            def plus(self, n: int) -> int:
                if n > 100:
                    raise ValueError("too large")
                return (self.start + n) % 2**32

        def color_of(self, n: int) -> str:
            return ["red", "green", "blue"][n]


def test_a_python_object(component: hlwasm.Component) -> None:
    report = compare(component, Planted(), "add", "divide", examples=60)
    failure = different(report)
    assert failure.function == "divide"
    assert lines(failure) == ["divide(1, 2)"]
    assert failure.message.splitlines() == [
        "the result differs at .ok",
        "here    ok(0), so 0",
        "Python  ok(1), so 1",
    ]


def test_resources_in_python(component: hlwasm.Component) -> None:
    implementation = {"counters": Planted.counters}
    report = compare(component, implementation, "[method]counter.plus", examples=40)
    # Both refuse more than 100, and that is a trap.
    assert [each.kind for each in report.failures] == [Kind.TRAP]


def test_a_python_function_that_returns_no_value_of_the_type(component: hlwasm.Component) -> None:
    wrong = SimpleNamespace(add=lambda a, b: str(a + b))
    failure = different(compare(component, wrong, "add", examples=3))
    assert "Python  failed: it did not return a WIT value: add: result: expected" in failure.message


def test_what_python_takes_for_a_value_is_one(load: Load) -> None:
    """Enums by name, tuples for lists: as host functions may answer."""
    ops = SimpleNamespace(
        add=lambda a, b: (a + b + 2**31) % 2**32 - 2**31,
        divide=lambda a, b: (
            hlwasm.Err("division-by-zero" if b == 0 else "overflow")
            if b == 0 or (a, b) == (-(2**31), -1)
            else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        ),
    )
    report = compare(load("calculator"), {"ops": ops}, "ops.add", "ops.divide", examples=60)
    assert report.passed, report.failures
    assert report.notes == []


# wasmtime-py


@pytest.mark.parametrize("sample", ["calculator", "text_stats_c", "template_js", "kitchen_sink"])
def test_wasmtime_answers_alike(
    load: Load, component_path: Callable[[str], Path], sample: str
) -> None:
    component = load(sample)
    names = {
        "kitchen_sink": [
            "values.echo-option-option-option",
            "values.echo-result-nested",
            "values.echo-each-case",
            "values.echo-flags17",
            "things.[method]thing.label",
        ],
    }.get(sample, [])
    target = WasmtimeProcess(component, component_path(sample).read_bytes())
    try:
        report = compare(component, target, *names, examples=10)
    finally:
        target.close()
    assert report.passed, report.failures
    assert report.notes == []


def test_wasmtime_finds_the_same_bugs(component: hlwasm.Component) -> None:
    target = WasmtimeProcess(component, planted())
    try:
        report = compare(component, target, "over", "text", "counters", examples=20)
        found = {(each.function, each.kind) for each in report.failures}
        assert found == {
            ("over", Kind.TRAP),
            ("text", Kind.INVALID_DATA),
            ("counters.color-of", Kind.INVALID_DATA),
            ("counters.[method]counter.plus", Kind.TRAP),
        }
        # It depends on random bytes, which are others there.
        report = compare(component, target, "roll", examples=3, chance=["random bytes"])
        assert report.notes == ["3 runs were not compared: they depend on random bytes"]
    finally:
        target.close()


def test_a_call_that_does_not_end_there_either(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(cpu_time=0.1, deadline=5)
    target = WasmtimeProcess(component, planted(), limits)
    try:
        report = compare(component, target, "long-list", examples=20, limits=limits)
    finally:
        target.close()
    assert {each.kind for each in report.failures} == {Kind.TIME_OUT}


def test_components_that_wasmtime_cannot_run(component: hlwasm.Component) -> None:
    with pytest.raises(CannotCompare, match="this is an artifact"):
        WasmtimeProcess(component, b"artifact")
    with pytest.raises(CannotCompare, match="wasmtime-py cannot run the component: "):
        WasmtimeProcess(component, b"\0asm\x0d\0\x01\0broken")
    module = hlwasm.load(b'(module (func (export "f")))', cache=False)
    with pytest.raises(CannotCompare, match="this is a core module"):
        WasmtimeProcess(module, b"\0asm")


def test_what_the_child_says_is_not_believed(component: hlwasm.Component) -> None:
    target = WasmtimeProcess(component, planted())
    try:
        step = _step(component, "divide")
        for value in (None, 3, "x", {"case": ["ok"]}, {"case": ["maybe", 1]}, {"case": ["ok", -1]}):
            seen = target._seen(step, {"end": "returned", "value": value, "calls": []})
            assert seen.end.name == "UNKNOWN", value
        assert target._seen(step, {"end": "flying", "calls": []}).end.name == "UNKNOWN"
        good = {"end": "returned", "value": {"case": ["ok", 3]}, "calls": []}
        assert target._seen(step, good).end.name == "RETURNED"
    finally:
        target.close()


@pytest.mark.parametrize(
    "answer",
    [b"[" * 100_000, b"3", b'{"end": "skipped", "calls": []}\n' * 2, b'{"done": 1, "error": [3]}'],
)
def test_a_child_that_writes_nonsense_ends_the_comparison(
    component: hlwasm.Component, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = WasmtimeProcess(component, planted())
    try:
        pipe = target._pipe
        assert pipe is not None
        monkeypatch.setattr(pipe, "send", lambda line: None)
        pipe._received += answer + b"\n"
        script = Script((_step(component, "divide"),))
        assert target.run(script, [])[-1].end.name == "UNKNOWN"
    finally:
        target.close()


def _step(component: hlwasm.Component, name: str) -> Any:
    from hlwasm.testing.scripts.steps import parse_script

    return parse_script(component.description, [f"{name}(1, 2)"]).steps[0]
