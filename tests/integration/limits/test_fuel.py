"""Fuel: exact to the unit, the same everywhere, and only where it is counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hlwasm
from hlwasm import Limits, Status
from tests.integration.limits.guest import Host, exceeds, fuel_of, made

pytestmark = pytest.mark.hypervisor


def test_fuel_is_exact(counting: hlwasm.Component) -> None:
    with made(counting) as sandbox:
        needed = fuel_of(sandbox, "spin", 1000)
        assert 3000 < needed < 10_000
        assert fuel_of(sandbox, "spin", 1000) == needed
        assert fuel_of(sandbox, "spin", 1001) > needed
    with made(counting, fuel=needed) as sandbox:
        for _ in range(3):
            sandbox.exports.spin(1000)
            assert sandbox.fuel_used == needed
    with (
        made(counting, fuel=needed - 1) as sandbox,
        exceeds(sandbox, hlwasm.FuelExhausted, "fuel", needed - 1),
    ):
        sandbox.exports.spin(1000)


def test_an_endless_loop_ends_when_its_fuel_does(counting: hlwasm.Component) -> None:
    with made(counting, fuel=10_000_000) as sandbox:
        with exceeds(sandbox, hlwasm.FuelExhausted, "fuel", 10_000_000):
            sandbox.exports.spin(0)
        assert sandbox.fuel_used == 10_000_000


def test_where_fuel_ends_is_told(counting: hlwasm.Component) -> None:
    def functions(name: str, argument: int, fuel: int) -> list[int]:
        with (
            made(counting, fuel=fuel) as sandbox,
            pytest.raises(hlwasm.FuelExhausted) as caught,
        ):
            sandbox.exports[name](argument)
        frames = caught.value.backtrace
        assert str(caught.value).count("\n  at ") == len(frames)
        return [frame.function_index for frame in frames]

    with made(counting) as sandbox:
        needed = fuel_of(sandbox, "ask", 5)
    # The functions come behind three imports. One ends in a loop, the other at a host call.
    assert functions("spin", 0, 10_000) == [3]
    assert functions("ask", 5, needed // 2) == [4]
    # Where only the end of a call shows it, no function runs any more.
    assert functions("ask", 5, needed - 1) == []


def test_host_calls_do_not_change_what_fuel_is_used(counting: hlwasm.Component) -> None:
    with made(counting) as sandbox:
        first = [fuel_of(sandbox, name, 5) for name in ("ask", "say", "take", "spin")]
        assert [fuel_of(sandbox, name, 5) for name in ("ask", "say", "take", "spin")] == first
    with made(counting) as sandbox:
        assert [fuel_of(sandbox, name, 5) for name in ("ask", "say", "take", "spin")] == first


IN_ANOTHER_PROCESS = """
import hlwasm
from tests.integration.limits.guest import GUEST, Host, fuel_of
with hlwasm.load(GUEST, cache=False, fuel=True).instantiate(Host()) as sandbox:
    print(*[fuel_of(sandbox, name, 77) for name in ("ask", "say", "take", "spin")])
"""


def test_fuel_is_the_same_in_another_process(counting: hlwasm.Component) -> None:
    with made(counting) as sandbox:
        ours = [fuel_of(sandbox, name, 77) for name in ("ask", "say", "take", "spin")]
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], capture_output=True, text=True, check=True
    )
    assert list(map(int, done.stdout.split())) == ours


def test_fuel_that_ends_between_host_calls(counting: hlwasm.Component) -> None:
    with made(counting) as sandbox:
        needed = fuel_of(sandbox, "ask", 10)
    seen = []
    for _ in range(2):
        host = Host()
        with (
            made(counting, host, fuel=needed // 2) as sandbox,
            exceeds(sandbox, hlwasm.FuelExhausted, "fuel", needed // 2),
        ):
            sandbox.exports.ask(10)
        seen.append(host.numbers)
    assert seen[0] == seen[1]
    assert 2 <= len(seen[0]) <= 8


def test_fuel_that_ends_in_a_call_from_a_host_function(counting: hlwasm.Component) -> None:
    """A host function uses a second sandbox, whose fuel is its own."""
    inner_host = Host()
    with made(counting) as sandbox:
        needed = fuel_of(sandbox, "ask", 2)
    with made(counting, inner_host, fuel=needed) as inner:

        class Nested(Host):
            def log(self, number: int) -> int:
                inner.exports.ask(number)
                return number

        with made(counting, Nested(), fuel=100_000) as outer:
            outer.exports.ask(2)
            assert inner_host.numbers == [2, 1, 1]
            with pytest.raises(hlwasm.FuelExhausted) as caught:
                outer.exports.ask(3)
            assert caught.value.value == needed
            assert (outer.status, inner.status) == (Status.POISONED, Status.POISONED)
            # It did not run to an end of its own.
            assert outer.fuel_used is None


START = b"""(component
  (core module $m
    (func $start (local $i i32)
      (loop $again (br_if $again (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
    (start $start)
    (func (export "spin") (param i32)))
  (core instance $i (instantiate $m))
  (func (export "spin") (param "count" u32) (canon lift (core func $i "spin"))))"""


def test_instantiating_is_a_call_with_fuel() -> None:
    component = hlwasm.load(START, cache=False, fuel=True)
    with component.instantiate() as sandbox:
        needed = sandbox.fuel_used
        assert needed is not None and 3000 < needed < 10_000
    with component.instantiate(limits=Limits(fuel=needed)) as sandbox:
        sandbox.exports.spin(1)
    with pytest.raises(hlwasm.FuelExhausted) as caught:
        component.instantiate(limits=Limits(fuel=needed - 1))
    assert caught.value.value == needed - 1


def test_fuel_needs_an_artifact_that_counts(
    plain: hlwasm.Component, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(ValueError, match=r"hlwasm\.load\(…, fuel=True\)"):
        plain.instantiate(Host(), limits=Limits(fuel=1000))
    with made(plain) as sandbox:
        sandbox.exports.spin(1)
        assert sandbox.fuel_used is None
    # The two artifacts of one input have cache entries of their own.
    cache = hlwasm.Cache(tmp_path_factory.mktemp("cache"))
    keys = {hlwasm.load(START, cache=cache, fuel=fuel).artifact.key for fuel in (False, True)}
    assert len(keys) == 2 == len(list(cache.entries()))


def test_an_artifact_file_without_fuel_is_refused_where_fuel_is_wanted(
    plain: hlwasm.Component, counting: hlwasm.Component
) -> None:
    files = {}
    for component in (plain, counting):
        with open(component.artifact.fd, "rb", closefd=False) as file:
            file.seek(0)
            files[component] = file.read()
    with pytest.raises(hlwasm.ArtifactError, match="compiled without fuel"):
        hlwasm.load(files[plain], fuel=True)
    for wanted in (False, True):
        component = hlwasm.load(files[counting], fuel=wanted)
        with made(component, fuel=100_000) as sandbox:
            sandbox.exports.spin(1)
            assert sandbox.fuel_used
