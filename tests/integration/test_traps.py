"""Each kind of trap becomes a `Trap` with the right code, and never more than that."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import hlwasm
from hlwasm import TrapCode
from tests.integration.conftest import CancelAfter, Load, Start

pytestmark = pytest.mark.hypervisor


class Host:
    """What the sample imports, and which of it was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.host = self

    def ping(self) -> None:
        self.calls.append("ping")

    def ask_text(self) -> str:
        self.calls.append("ask_text")
        return "a text of the host"

    def _taken(self, value: Any) -> None:
        self.calls.append("taken")

    take_text = take_numbers = take_letter = take_shade = _taken


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sandbox(load: Load, host: Host) -> Iterator[hlwasm.Sandbox]:
    with load("traps").instantiate(host, limits=hlwasm.Limits(memory=4 << 20)) as sandbox:
        yield sandbox


FAULTS: list[tuple[str, tuple[Any, ...], TrapCode]] = [
    ("load", (65_533,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("load", (65_536,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    # Beyond the sandbox's limit, beyond 2 GiB, and the last address.
    ("load", (5 << 20,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("load", (2**31,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("load", (2**32 - 1,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("load-far", (0,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("load-far", (2**32 - 1,), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("store", (65_533, 1), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("store", (1 << 30, 1), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("fill", (65_000, 1_000), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("fill", (0, 2**32 - 1), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("copy", (0, 65_530, 10), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("copy", (65_530, 0, 10), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("init", (0, 2, 4), TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("unreachable", (), TrapCode.UNREACHABLE),
    ("divide", (7, 0), TrapCode.INTEGER_DIVISION_BY_ZERO),
    ("divide", (-(2**31), -1), TrapCode.INTEGER_OVERFLOW),
    ("divide-wide", (7, 0), TrapCode.INTEGER_DIVISION_BY_ZERO),
    ("divide-wide", (-(2**63), -1), TrapCode.INTEGER_OVERFLOW),
    ("remainder", (1, 0), TrapCode.INTEGER_DIVISION_BY_ZERO),
    ("truncate", (math.nan,), TrapCode.BAD_CONVERSION_TO_INTEGER),
    ("truncate", (1e10,), TrapCode.INTEGER_OVERFLOW),
    ("truncate", (-math.inf,), TrapCode.INTEGER_OVERFLOW),
    ("recurse", (), TrapCode.STACK_OVERFLOW),
    ("call-element", (1,), TrapCode.BAD_SIGNATURE),
    ("call-element", (2,), TrapCode.INDIRECT_CALL_TO_NULL),
    ("call-element", (3,), TrapCode.TABLE_OUT_OF_BOUNDS),
    ("call-element", (2**32 - 1,), TrapCode.TABLE_OUT_OF_BOUNDS),
    ("get-element", (3,), TrapCode.TABLE_OUT_OF_BOUNDS),
    ("set-element", (2**31,), TrapCode.TABLE_OUT_OF_BOUNDS),
]


@pytest.mark.parametrize(("name", "arguments", "code"), FAULTS)
def test_faults(
    sandbox: hlwasm.Sandbox, name: str, arguments: tuple[Any, ...], code: TrapCode
) -> None:
    with pytest.raises(hlwasm.Trap) as caught:
        sandbox.exports.faults[name](*arguments)
    assert caught.value.code is code
    assert caught.value.message
    assert sandbox.status is hlwasm.Status.POISONED
    with pytest.raises(hlwasm.SandboxPoisoned):
        sandbox.exports.faults.load(0)


def test_what_is_just_inside(sandbox: hlwasm.Sandbox) -> None:
    faults = sandbox.exports.faults
    faults.fill(0, 65_536)
    assert faults.load(65_532) == 0x5A5A5A5A
    faults.store(65_532, 7)
    assert faults.load(65_532) == 7
    faults.init(0, 0, 4)
    assert faults.load(0) == int.from_bytes(b"wasm", "little")
    assert faults.divide(-7, 2) == -3
    assert faults.remainder(7, 4) == 3
    assert faults.truncate(-3.9) == -3
    assert faults.call_element(0) == 42
    assert [faults.get_element(i) for i in range(3)] == [True, True, False]
    faults.set_element(2)
    assert faults.call_element(2) == 42


def test_a_backtrace_names_the_functions(sandbox: hlwasm.Sandbox) -> None:
    with pytest.raises(hlwasm.Trap, match="divide") as caught:
        sandbox.exports.faults.nested()
    frames = caught.value.backtrace
    assert [frame.function for frame in frames[:4]] == ["divide", "one", "two", "three"]
    assert {frame.module for frame in frames[:4]} == {"Faults"}
    assert all(frame.offset > 0 for frame in frames)


def test_a_trap_leaves_other_sandboxes_alone(load: Load, sandbox: hlwasm.Sandbox) -> None:
    with load("traps").instantiate(Host()) as other:
        other.exports.faults.store(0, 99)
        for _ in range(3):
            with load("traps").instantiate(Host()) as third, pytest.raises(hlwasm.Trap):
                third.exports.faults.recurse()
        with pytest.raises(hlwasm.Trap):
            sandbox.exports.faults.unreachable()
        assert other.exports.faults.load(0) == 99


def test_memory_grows_to_the_limit_and_no_further(sandbox: hlwasm.Sandbox) -> None:
    hunger = sandbox.exports.hunger
    assert hunger.grow(0) == 1
    assert hunger.grow(1) == 1
    assert hunger.grow(65_536) == -1
    assert hunger.grow(2**32 - 1) == -1
    # Each page is written to; a refusal is an answer, not a trap.
    assert hunger.grow_until_refused() == (4 << 20) // 65_536
    assert hunger.grow(1) == -1
    assert hunger.grow(0) == 64


def test_other_memories_are_not_affected(sandbox: hlwasm.Sandbox) -> None:
    sandbox.exports.faults.store(0, 0x1234)
    sandbox.exports.hunger.grow_until_refused()
    assert sandbox.exports.faults.load(0) == 0x1234
    with pytest.raises(hlwasm.Trap):
        sandbox.exports.faults.load(65_536)


def test_a_component_that_starts_with_too_much_memory(load: Load) -> None:
    with pytest.raises(hlwasm.LimitExceeded) as caught:
        hlwasm.load(
            b"(component (core module $m (memory 100)) (core instance (instantiate $m)))",
            cache=False,
        ).instantiate(limits=hlwasm.Limits(memory=64 << 10))
    assert caught.value.limit == "memory"


def test_tables_grow_to_the_limit_and_no_further(load: Load) -> None:
    limits = hlwasm.Limits(table_elements=100)
    with load("traps").instantiate(Host(), limits=limits) as sandbox:
        hunger = sandbox.exports.hunger
        assert hunger.grow_table(99) == 1
        assert hunger.grow_table(1) == -1
        assert hunger.grow_table(2**32 - 1) == -1
        assert hunger.grow_table(0) == 100


def test_endless_loops_are_cancelled(sandbox: hlwasm.Sandbox, cancel_after: CancelAfter) -> None:
    with cancel_after(sandbox, 0.1), pytest.raises(hlwasm.Cancelled):
        sandbox.exports.hunger.loop_forever()
    assert sandbox.status is hlwasm.Status.POISONED


def test_endless_host_calls_are_cancelled(
    sandbox: hlwasm.Sandbox, host: Host, cancel_after: CancelAfter
) -> None:
    with cancel_after(sandbox, 0.1), pytest.raises(hlwasm.Cancelled):
        sandbox.exports.hunger.ping_forever()
    assert len(host.calls) > 10


def test_a_trap_while_the_component_is_instantiated(start: Start) -> None:
    text = b"""(component
      (core module $m (func $f unreachable) (start $f))
      (core instance (instantiate $m)))"""
    with pytest.raises(hlwasm.Trap) as caught:
        start(text)
    assert caught.value.code is TrapCode.UNREACHABLE


# Instructions of newer proposals; each is the body of the exported function `f`.
NEWER: list[tuple[str, TrapCode]] = [
    ("(drop (ref.as_non_null (ref.null func)))", TrapCode.NULL_REFERENCE),
    ("(call_ref $none (ref.null $none))", TrapCode.NULL_REFERENCE),
    ("(drop (array.get $numbers (call $three) (i32.const 3)))", TrapCode.ARRAY_OUT_OF_BOUNDS),
    ("(drop (ref.cast (ref $pair) (call $three)))", TrapCode.CAST_FAILURE),
    (
        "(drop (array.new $numbers (i32.const 0) (i32.const -1)))",
        TrapCode.ALLOCATION_TOO_LARGE,
    ),
    ("(throw $oops)", TrapCode.OTHER),
    ("(drop (i32.load $second (i32.const 65536)))", TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("(drop (i64.load $wide (i64.const 0x1_0000_0000)))", TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("(drop (i64.load $wide (i64.const -1)))", TrapCode.MEMORY_OUT_OF_BOUNDS),
]


def newer(body: str) -> bytes:
    """A component with what the bodies above use."""
    return f"""(component
      (core module $m
        (type $none (func))
        (type $numbers (array (mut i32)))
        (type $pair (struct (field i32) (field i32)))
        (type $chain (array (mut anyref)))
        (tag $oops)
        (memory 1) (memory $second 1) (memory $wide i64 1)
        (func $three (result (ref $numbers)) (array.new $numbers (i32.const 7) (i32.const 3)))
        (func $count (param i32)
          (if (local.get 0) (then (return_call $count (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "f") (local $i i32) (local $chain (ref null $chain)) {body}))
      (core instance $m (instantiate $m))
      (func (export "f") (canon lift (core func $m "f"))))""".encode()


@pytest.mark.parametrize(("body", "code"), NEWER)
def test_newer_instructions(start: Start, body: str, code: TrapCode) -> None:
    with pytest.raises(hlwasm.Trap) as caught:
        start(newer(body)).exports.f()
    assert caught.value.code is code


@pytest.mark.parametrize(
    "body",
    [
        "(drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))",
        # Ten million frames, if the call were no tail call.
        "(call $count (i32.const 10_000_000))",
        # Two gigabytes, if the garbage were kept.
        "(loop $more (drop (array.new $numbers (i32.const 1) (i32.const 50_000)))"
        " (local.set $i (i32.add (local.get $i) (i32.const 1)))"
        " (br_if $more (i32.lt_u (local.get $i) (i32.const 10_000))))",
    ],
)
def test_newer_instructions_that_do_not_trap(start: Start, body: str) -> None:
    sandbox = start(newer(body))
    sandbox.exports.f()
    assert sandbox.status is hlwasm.Status.READY


def test_references_that_are_kept_reach_a_limit(start: Start) -> None:
    body = "(loop $more (local.set $chain (array.new $chain (local.get $chain) (i32.const 1000)))"
    with pytest.raises(hlwasm.LimitExceeded):
        start(newer(f"{body} (br $more))")).exports.f()


def test_shared_memories_are_refused(start: Start) -> None:
    with pytest.raises(hlwasm.UnsupportedItem, match="shared"):
        start(b"(component (core module $m (memory 1 1 shared)))")
