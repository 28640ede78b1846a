"""Each planted bug is found, made as small as it can be, and reported for what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import hlwasm
from hlwasm.testing.fuzzing.fuzzer import fuzz, rerun
from hlwasm.testing.fuzzing.outcomes import Kind
from hlwasm.testing.fuzzing.report import Failure, Progress, Report, new_report
from hlwasm.testing.fuzzing.typed_fakes import parse_answer
from hlwasm.testing.scripts.steps import parse_script
from tests.integration.conftest import Load
from tests.integration.testing.planted import planted

pytestmark = pytest.mark.hypervisor


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(planted(), cache=False)


def only(report: Report) -> Failure:
    assert len(report.failures) == 1, report.failures
    return report.failures[0]


def lines(failure: Failure) -> list[str]:
    assert failure.script is not None
    return str(failure.script).splitlines()


@pytest.mark.parametrize(
    ("name", "kind", "calls"),
    [
        ("largest", Kind.TRAP, ["largest(4294967295)"]),
        ("over", Kind.TRAP, ["over(1001)"]),
        ("text", Kind.INVALID_DATA, ["text(true)"]),
        ("counters.color-of", Kind.INVALID_DATA, ["counters.color-of(3)"]),
        ("roll", Kind.NON_DETERMINISTIC, ["roll()"]),
        ("hour", Kind.NON_DETERMINISTIC, ["hour()"]),
        (
            "[method]counter.plus",
            Kind.TRAP,
            [
                "counter-1 = counters.[constructor]counter(0)",
                "counters.[method]counter.plus(counter-1, 101)",
            ],
        ),
    ],
)
def test_a_bug_is_found_and_made_small(
    component: hlwasm.Component, name: str, kind: Kind, calls: Sequence[str]
) -> None:
    # Enough for an edge value that one example in forty has.
    failure = only(fuzz(component, name, examples=400))
    assert failure.kind is kind
    assert lines(failure) == list(calls)
    assert failure.answers == []


def test_a_trap_has_its_backtrace(component: hlwasm.Component) -> None:
    failure = only(fuzz(component, "over", examples=30))
    assert failure.message == "wasm `unreachable` instruction executed"
    assert failure.backtrace[0].startswith("M!over ")
    assert failure.function == "over"
    assert failure.count > 1


def test_a_call_that_does_not_end(component: hlwasm.Component) -> None:
    report = fuzz(component, "long-list", examples=60, deadline=0.05)
    failure = only(report)
    assert failure.kind is Kind.TIME_OUT
    assert failure.message == "the call used more than 0.05 s of CPU time"
    assert lines(failure) == ["long-list([0, 0, 0])"]
    assert report.notes == ["long-list: not all examples, as 3 of them did not end"]


def test_an_answer_that_makes_it_fail_is_made_small_too(component: hlwasm.Component) -> None:
    failure = only(fuzz(component, "ask", examples=150))
    assert lines(failure) == ["ask(0)"]
    assert [str(call) for call in failure.answers] == ["oracle = some(-1)"]


def test_what_may_depend_on_chance_is_said(component: hlwasm.Component) -> None:
    assert fuzz(component, "roll", examples=5, chance=["random bytes"]).passed
    assert fuzz(component, "hour", examples=5, chance=["clock"]).passed
    assert not fuzz(component, "roll", examples=5, chance=["clock"]).passed


def test_state_is_a_failure_only_where_there_may_be_none(component: hlwasm.Component) -> None:
    assert fuzz(component, "count", examples=5).passed
    failure = only(fuzz(component, "count", examples=5, stateless=True))
    assert failure.kind is Kind.KEEPS_STATE
    assert failure.message == "the same call again answers 2 instead of 1"
    assert lines(failure) == ["count()"]
    assert fuzz(component, "add", "divide", examples=20, stateless=True).passed


def test_the_coverage_is_exact(component: hlwasm.Component) -> None:
    report = fuzz(component, "divide", "add", "ask", examples=40)
    rows = {each.name: each for each in report.coverage.functions}
    assert list(rows) == ["add", "ask", "divide", "oracle"]
    assert rows["divide"].points == {"result: ok": True, "result: err": True}
    assert rows["oracle"].points == {"result: none": True, "result: some": True}
    assert rows["oracle"].side == "import"
    assert rows["add"].points == {}
    # A call that trapped is none that returned, but it did ask.
    assert 0 < rows["ask"].calls < rows["oracle"].calls


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_limits_of_integers_meet(component_path: Callable[[str], Path], seed: int) -> None:
    report = fuzz(hlwasm.load(component_path("calculator")), "ops.divide", examples=200, seed=seed)
    (divide,) = report.coverage.functions
    assert divide.points["result: err(overflow)"], "-2**31 was never divided by -1"


def test_the_same_seed_is_the_same_test(component: hlwasm.Component) -> None:
    def everything(seed: int) -> tuple[object, ...]:
        report = fuzz(component, "divide", "ask", "counters", examples=25, seed=seed)
        calls = [(each.name, each.calls) for each in report.coverage.functions]
        return calls, [(lines(each), each.count) for each in report.failures]

    assert everything(3) == everything(3)
    assert everything(3) != everything(4)


def test_a_failure_replays(component: hlwasm.Component) -> None:
    description = component.description
    answer = [parse_answer(description, "oracle = some(-7)")]
    report = rerun(component, parse_script(description, ["ask(1)"]), answer)
    assert only(report).kind is Kind.TRAP
    assert [str(call) for call in only(report).answers] == ["oracle = some(-7)"]
    assert rerun(component, parse_script(description, ["ask(1)"]), []).passed


def test_a_clean_component_passes(load: Load) -> None:
    report = fuzz(load("calculator"), examples=30)
    assert report.passed
    assert report.complete
    assert report.examples == 150
    assert report.notes == []


def test_host_calls_without_end_are_a_limit(load: Load) -> None:
    failure = only(fuzz(load("traps"), "ping-forever", examples=3))
    assert failure.kind is Kind.LIMIT
    assert failure.message == "the call made more than 1000 host calls"


def test_every_lie_in_a_result_is_invalid_data(load: Load) -> None:
    component = load("traps")
    names = ["text-not-utf8", "numbers-outside", "shade-unknown", "letter-too-big", "text-outside"]
    report = fuzz(component, *[f"lies.{name}" for name in names], examples=3)
    assert {each.function for each in report.failures} == {f"lies.{name}" for name in names}
    assert {each.kind for each in report.failures} == {Kind.INVALID_DATA}


def test_a_component_that_traps_when_it_is_instantiated() -> None:
    text = b"""(component
      (core module $m (func $start unreachable) (start $start) (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))"""
    failure = only(fuzz(hlwasm.load(text, cache=False)))
    assert failure.kind is Kind.TRAP
    assert failure.script is None


def test_a_function_whose_resource_nobody_gives_is_noted() -> None:
    text = b"""(component
      (type $r (resource (rep i32)))
      (core module $m (func (export "f") (param i32)))
      (core instance $i (instantiate $m))
      (func $f (param "it" (borrow $r)) (canon lift (core func $i "f")))
      (component $C
        (import "r" (type $r (sub resource)))
        (import "f" (func $f (param "it" (borrow $r))))
        (export $e "r" (type $r))
        (export "f" (func $f) (func (param "it" (borrow $e)))))
      (instance $c (instantiate $C (with "r" (type $r)) (with "f" (func $f))))
      (export "test:lonely/things" (instance $c)))"""
    report = fuzz(hlwasm.load(text, cache=False))
    assert report.notes == ["things.f: not called, as nothing gives the resource it takes"]
    assert report.examples == 0


def test_an_interrupt_leaves_what_was_found(component: hlwasm.Component) -> None:
    report = new_report(component, 0)

    def interrupt(progress: Progress) -> None:
        if progress.failures:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuzz(component, examples=30, progress=interrupt, report=report)
    assert len(report.failures) == 1
    assert not report.complete


def test_it_stops_when_its_time_is_up(component: hlwasm.Component) -> None:
    report = fuzz(component, "add", examples=10**6, seconds=0.3)
    assert not report.complete
    assert report.notes == ["stopped after 0.3 s"]


def test_names_that_there_are_not(component: hlwasm.Component) -> None:
    with pytest.raises(LookupError, match="exports no function nothing"):
        fuzz(component, "nothing")


def test_types_that_stand_for_a_million_numbers() -> None:
    levels = "".join(f"(type $t{i + 1} (tuple $t{i} $t{i}))" for i in range(16))
    text = f"""(component
      (type $t0 (tuple u64 u64)) {levels}
      (import "ask" (func $ask (result $t16)))
      (core module $memory (memory (export "memory") 1))
      (core instance $memory (instantiate $memory))
      (core func $ask (canon lower (func $ask) (memory $memory "memory")))
      (core module $m (import "" "ask" (func $ask (param i32)))
        (func (export "f") (call $ask (i32.const 0))))
      (core instance $i (instantiate $m (with "" (instance (export "ask" (func $ask))))))
      (func (export "f") (canon lift (core func $i "f"))))"""
    component = hlwasm.load(text.encode(), cache=False)
    report = fuzz(component, examples=2, seconds=2)
    assert {each.kind for each in report.failures} <= {Kind.LIMIT}
    found = rerun(component, parse_script(component.description, ["f()"]), [])
    assert only(found).kind is Kind.LIMIT
