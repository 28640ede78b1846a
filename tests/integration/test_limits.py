"""Every limit in a real micro-VM: kept at N, exceeded at N + 1, and by guests that try."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import hlwasm
from hlwasm import Limits, Status

pytestmark = pytest.mark.hypervisor

MIB = 1 << 20
PAGE = 65536

GUEST = b"""(component
  (import "log" (func $log (param "number" u32) (result u32)))
  (import "tell" (func $tell (param "text" string)))
  (import "give" (func $give (param "count" u32) (result (list u8))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.const 4096))
      (global.get $next)))
  (core instance $memory (instantiate $memory))
  (core func $log (canon lower (func $log)))
  (core func $tell (canon lower (func $tell) (memory $memory "memory")))
  (core func $give (canon lower (func $give) (memory $memory "memory")
    (realloc (func $memory "realloc"))))
  (core module $m
    (import "m" "memory" (memory 1))
    (import "h" "log" (func $log (param i32) (result i32)))
    (import "h" "tell" (func $tell (param i32 i32)))
    (import "h" "give" (func $give (param i32 i32)))
    (func (export "spin") (param $count i32)
      (loop $again
        (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "ask") (param $count i32) (result i32) (local $sum i32)
      (if (local.get $count) (then
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $log (local.get $count))))
          (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
      (local.get $sum))
    (func (export "ask-forever") (loop $again (drop (call $log (i32.const 0))) (br $again)))
    (func (export "say") (param $length i32) (call $tell (i32.const 8) (local.get $length)))
    (func (export "take") (param $count i32) (call $give (local.get $count) (i32.const 0))))
  (core instance $m (instantiate $m
    (with "m" (instance $memory))
    (with "h" (instance
      (export "log" (func $log)) (export "tell" (func $tell)) (export "give" (func $give))))))
  (func (export "spin") (param "count" u32) (canon lift (core func $m "spin")))
  (func (export "ask") (param "count" u32) (result u32) (canon lift (core func $m "ask")))
  (func (export "ask-forever") (canon lift (core func $m "ask-forever")))
  (func (export "say") (param "length" u32) (canon lift (core func $m "say")))
  (func (export "take") (param "count" u32) (canon lift (core func $m "take"))))"""


@pytest.fixture(scope="module")
def plain() -> hlwasm.Component:
    return hlwasm.load(GUEST, cache=False)


@pytest.fixture(scope="module")
def counting() -> hlwasm.Component:
    return hlwasm.load(GUEST, cache=False, fuel=True)


class Host:
    """Host functions that remember what they were asked."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.lengths: list[int] = []
        self.given: list[int] = []

    def log(self, number: int) -> int:
        self.numbers.append(number)
        return number

    def tell(self, text: str) -> None:
        self.lengths.append(len(text))

    def give(self, count: int) -> bytes:
        self.given.append(count)
        return bytes(count)


@contextmanager
def made(
    component: hlwasm.Component, host: Host | None = None, **limits: Any
) -> Iterator[hlwasm.Sandbox]:
    with component.instantiate(host or Host(), limits=Limits(**limits)) as sandbox:
        yield sandbox


def exceeds(
    sandbox: hlwasm.Sandbox, kind: type[hlwasm.LimitExceeded], limit: str, value: float
) -> Any:
    """Expects that exception in the block, and a sandbox that is poisoned by it."""

    @contextmanager
    def block() -> Iterator[None]:
        with pytest.raises(hlwasm.LimitExceeded) as caught:
            yield
        error = caught.value
        assert type(error) is kind
        assert (error.limit, error.value) == (limit, value)
        assert f"Limits({limit}=" in str(error) and str(value) in str(error)
        assert sandbox.status is Status.POISONED
        with pytest.raises(hlwasm.SandboxPoisoned):
            sandbox.exports.spin(1)

    return block()


# Fuel


def fuel_of(sandbox: hlwasm.Sandbox, name: str, argument: int) -> int:
    sandbox.exports[name](argument)
    used = sandbox.fuel_used
    assert used is not None
    return used


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
from tests.integration.test_limits import GUEST, Host, fuel_of
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


# Host calls


def test_the_host_call_too_many_is_not_served(plain: hlwasm.Component) -> None:
    host = Host()
    with made(plain, host, host_calls=5) as sandbox:
        for _ in range(3):
            assert sandbox.exports.ask(5) == 15
        host.numbers.clear()
        with exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 5):
            sandbox.exports.ask(6)
        assert host.numbers == [6, 5, 4, 3, 2]


def test_a_guest_that_calls_the_host_for_ever(plain: hlwasm.Component) -> None:
    host = Host()
    with (
        made(plain, host, host_calls=2000) as sandbox,
        exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 2000),
    ):
        sandbox.exports.ask_forever()
    assert len(host.numbers) == 2000


def test_no_host_calls_at_all(plain: hlwasm.Component) -> None:
    host = Host()
    with made(plain, host, host_calls=0) as sandbox:
        sandbox.exports.spin(10)
        assert sandbox.exports.ask(0) == 0
        with exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 0):
            sandbox.exports.ask(1)
    assert host.numbers == []


def test_bytes_of_scalars_are_counted_both_ways(plain: hlwasm.Component) -> None:
    # Ten, so that both codecs have their turn: four bytes there, four back.
    with made(plain, host_call_bytes=80) as sandbox:
        sandbox.exports.ask(10)
        sandbox.exports.ask(10)
    with (
        made(plain, host_call_bytes=79) as sandbox,
        exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 79),
    ):
        sandbox.exports.ask(10)


@pytest.mark.parametrize("warm", [False, True])
def test_bytes_of_a_string_count_before_the_function_runs(
    plain: hlwasm.Component, warm: bool
) -> None:
    host = Host()
    with made(plain, host, host_call_bytes=1008) as sandbox:
        for _ in range(8 * warm):
            sandbox.exports.say(10)
        host.lengths.clear()
        sandbox.exports.say(1000)  # pointer and length are eight more
        with exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 1008):
            sandbox.exports.say(1001)
    assert host.lengths == [1000]


@pytest.mark.parametrize("warm", [False, True])
def test_bytes_of_a_result_count(plain: hlwasm.Component, warm: bool) -> None:
    host = Host()
    with made(plain, host, host_call_bytes=4 + 8 + 500) as sandbox:
        for _ in range(8 * warm):
            sandbox.exports.take(1)
        sandbox.exports.take(500)
        with exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 512):
            sandbox.exports.take(501)
    assert host.given[-2:] == [500, 501]


# Memory


GROW = b"""(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "touch") (param i32) (i32.store (local.get 0) (i32.const 7))))
  (core instance $a (instantiate $m))
  (core instance $b (instantiate $m))
  (func (export "grow-a") (param "pages" u32) (result s32) (canon lift (core func $a "grow")))
  (func (export "grow-b") (param "pages" u32) (result s32) (canon lift (core func $b "grow")))
  (func (export "touch-b") (param "at" u32) (canon lift (core func $b "touch"))))"""


@pytest.fixture(scope="module")
def growing() -> hlwasm.Component:
    return hlwasm.load(GROW, cache=False)


def test_memories_end_at_their_total(growing: hlwasm.Component) -> None:
    limits = Limits(memory=4 * MIB, total_memory=6 * MIB)
    with growing.instantiate(limits=limits) as sandbox:
        exports = sandbox.exports
        assert exports.grow_a(63) == 1  # 64 pages: all of `memory`
        assert exports.grow_a(1) == -1
        assert exports.grow_b(32) == -1  # 33 pages: one more than the total leaves
        assert exports.grow_b(31) == 1
        assert exports.grow_b(1) == -1
        exports.touch_b(32 * PAGE - 4)
        with pytest.raises(hlwasm.Trap) as caught:
            exports.touch_b(32 * PAGE)
        assert caught.value.code is hlwasm.TrapCode.MEMORY_OUT_OF_BOUNDS


def test_a_start_beyond_the_total_is_refused(growing: hlwasm.Component) -> None:
    with growing.instantiate(limits=Limits(total_memory=2 * PAGE)) as sandbox:
        assert sandbox.exports.grow_a(1) == -1
        assert sandbox.exports.grow_b(1) == -1
    with pytest.raises(hlwasm.MemoryLimitExceeded, match="131072 bytes of memory in all") as caught:
        growing.instantiate(limits=Limits(total_memory=2 * PAGE - 1))
    assert (caught.value.limit, caught.value.value) == ("total_memory", 2 * PAGE - 1)


def test_many_memories_that_grow_as_far_as_they_can() -> None:
    """Sixteen memories may have a quarter of a GiB each, but not all of them at once."""
    count = 16
    instances = "".join(f"(core instance $i{k} (instantiate $m))" for k in range(count))
    exports = "".join(
        f'(func (export "grow{k}") (result u32) (canon lift (core func $i{k} "grow")))'
        for k in range(count)
    )
    text = f"""(component
      (core module $m (memory 0) (func (export "grow") (result i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
        (loop $one (br_if $one (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.size)))
      {instances} {exports})"""
    component = hlwasm.load(text.encode(), cache=False)
    with component.instantiate(limits=Limits(total_memory=40 * MIB, memory=16 * MIB)) as sandbox:
        pages = [sandbox.exports[f"grow{k}"]() for k in range(count)]
    assert pages == [256, 256, 128] + [0] * 13


def test_a_table_that_starts_too_large() -> None:
    text = b"""(component
      (core module $m (table 11 funcref) (func (export "grow") (result i32)
        (table.grow (ref.null func) (i32.const 1))))
      (core instance $i (instantiate $m))
      (func (export "grow") (result s32) (canon lift (core func $i "grow"))))"""
    component = hlwasm.load(text, cache=False)
    with component.instantiate(limits=Limits(table_elements=11)) as sandbox:
        assert sandbox.exports.grow() == -1
    with component.instantiate(limits=Limits(table_elements=12)) as sandbox:
        assert sandbox.exports.grow() == 11
        assert sandbox.exports.grow() == -1
    with pytest.raises(hlwasm.TableLimitExceeded, match=r"Limits\(table_elements=…\)") as caught:
        component.instantiate(limits=Limits(table_elements=10))
    assert (caught.value.limit, caught.value.value) == ("table_elements", 10)
