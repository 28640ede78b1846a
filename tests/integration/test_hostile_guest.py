"""Components that lie about pointers, lengths and handles, or ask for too much."""

from __future__ import annotations

import resource
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import CancelAfter, Load, Start
from tests.integration.test_traps import Host
from tests.machines import descriptors

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sandbox(start: Start, host: Host) -> hlwasm.Sandbox:
    return start("traps", host)


@pytest.mark.parametrize(
    "name",
    [
        "text-outside",
        "text-too-long",
        "text-wrapping",
        "text-not-utf8",
        "text-cut-off",
        "text-surrogate",
        "numbers-outside",
        "numbers-misaligned",
        "numbers-wrapping",
        "nested-outside",
        "letter-surrogate",
        "letter-too-big",
        "shade-unknown",
        "option-unknown",
        "result-unknown",
        "result-outside",
        "result-misaligned",
        "trap-after-return",
    ],
)
def test_lies_in_results(sandbox: hlwasm.Sandbox, host: Host, name: str) -> None:
    with pytest.raises(hlwasm.GuestError) as caught:
        sandbox.exports.lies[name]()
    # What a component does wrong is never taken for a fault of the runtime.
    assert not isinstance(caught.value, hlwasm.GuestFault)
    assert sandbox.status is hlwasm.Status.POISONED
    assert host.calls == []


@pytest.mark.parametrize(
    "name",
    [
        "tell-text-outside",
        "tell-text-not-utf8",
        "tell-numbers-outside",
        "tell-numbers-misaligned",
        "tell-letter-surrogate",
        "tell-shade-unknown",
    ],
)
def test_lies_in_arguments_do_not_reach_the_host(
    sandbox: hlwasm.Sandbox, host: Host, name: str
) -> None:
    with pytest.raises(hlwasm.GuestError) as caught:
        sandbox.exports.lies[name]()
    assert not isinstance(caught.value, hlwasm.GuestFault)
    assert host.calls == []


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("receive-outside", "text"),
        ("receive-misaligned", [1, 2]),
        ("receive-trapping", "text"),
        ("receive-leaving", "text"),
    ],
)
def test_lies_of_realloc(sandbox: hlwasm.Sandbox, host: Host, name: str, argument: Any) -> None:
    with pytest.raises(hlwasm.Trap):
        sandbox.exports.lies[name](argument)
    assert host.calls == []
    assert sandbox.status is hlwasm.Status.POISONED


def test_a_realloc_that_does_not_return(sandbox: hlwasm.Sandbox, cancel_after: CancelAfter) -> None:
    with cancel_after(sandbox, 0.1), pytest.raises(hlwasm.Cancelled):
        sandbox.exports.lies.receive_looping("text")


def test_a_realloc_that_has_no_place_for_the_host_s_answer(
    sandbox: hlwasm.Sandbox, host: Host
) -> None:
    with pytest.raises(hlwasm.Trap):
        sandbox.exports.lies.ask_text_outside()
    assert host.calls == ["ask_text"]


@pytest.mark.parametrize("handle", [0, 1, 7, 2**30, 2**32 - 1])
def test_handles_that_nobody_gave_out(load: Load, handle: int) -> None:
    for name in ("drop-unknown-handle", "read-unknown-handle"):
        with load("traps").instantiate(Host()) as sandbox, pytest.raises(hlwasm.Trap):
            sandbox.exports.lies[name](handle)


def test_host_calls_after_the_result(sandbox: hlwasm.Sandbox, host: Host) -> None:
    """The component model forbids them; wasmtime's adapters let them pass, and so do we."""
    assert sandbox.exports.lies.leave_after_return() == (1, 2)
    assert host.calls == ["ping"]
    assert sandbox.exports.lies.bool_two() is True


def test_odd_bits_that_are_no_lies(sandbox: hlwasm.Sandbox) -> None:
    assert sandbox.exports.lies.bool_two() is True
    assert sandbox.exports.lies.byte_high_bits() == 0x12


def test_many_hostile_sandboxes_leave_nothing_behind(load: Load) -> None:
    component = load("traps")

    def spoil(name: str) -> None:
        with component.instantiate(Host()) as sandbox, pytest.raises(hlwasm.GuestError):
            sandbox.exports.lies[name]()

    spoil("text-outside")
    before_files, before_memory = descriptors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(30):
        spoil("numbers-wrapping")
        spoil("tell-text-outside")
    assert descriptors() == before_files
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_memory
    assert grown < 64 << 10, f"{grown} KiB"


FLOOD = b"""(component
  (import "take" (func $take (param "data" (list u8))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $take (canon lower (func $take) (memory $memory "memory")))
  (core module $m
    (import "m" "memory" (memory 1))
    (import "h" "take" (func $take (param i32 i32)))
    (func (export "give") (param $bytes i32) (result i32)
      (drop (memory.grow (i32.shr_u (local.get $bytes) (i32.const 16))))
      (i32.store (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (local.get $bytes))
      (i32.const 0))
    (func (export "tell") (param $bytes i32)
      (drop (memory.grow (i32.shr_u (local.get $bytes) (i32.const 16))))
      (call $take (i32.const 0) (local.get $bytes))))
  (core instance $m (instantiate $m
    (with "m" (instance $memory)) (with "h" (instance (export "take" (func $take))))))
  (func (export "give") (param "bytes" u32) (result (list u8))
    (canon lift (core func $m "give") (memory $memory "memory")))
  (func (export "tell") (param "bytes" u32) (canon lift (core func $m "tell"))))"""


def test_values_larger_than_the_transfer_memory(load: Load) -> None:
    taken: list[int] = []
    component = hlwasm.load(FLOOD, cache=False, transfer_memory=1 << 20)
    imports = {"take": lambda data: taken.append(len(data))}
    with component.instantiate(imports) as sandbox:
        assert len(sandbox.exports.give(1 << 19)) == 1 << 19
        sandbox.exports.tell(1 << 19)
        assert taken == [1 << 19]
        with pytest.raises(hlwasm.LimitExceeded) as caught:
            sandbox.exports.give(1 << 21)
        assert caught.value.limit == "transfer_memory"
    with component.instantiate(imports) as sandbox:
        with pytest.raises(hlwasm.LimitExceeded) as caught:
            sandbox.exports.tell(1 << 21)
        assert caught.value.limit == "transfer_memory"
        assert taken == [1 << 19]


TREE = b"""(component
  (core module $m
    (memory (export "memory") 1)
    ;; A list whose elements are lists whose elements are that same list, and so on.
    (func (export "bomb") (param $length i32) (result i32)
      (local $i i32)
      (loop $fill
        (i32.store offset=64 (i32.shl (local.get $i) (i32.const 3)) (i32.const 64))
        (i32.store offset=68 (i32.shl (local.get $i) (i32.const 3)) (local.get $length))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get $i) (local.get $length))))
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (local.get $length))
      (i32.const 0)))
  (core instance $m (instantiate $m))
  (func (export "bomb") (param "length" u32) (result (list (list (list (list string)))))
    (canon lift (core func $m "bomb") (memory $m "memory"))))"""


def test_shared_lists_that_unfold(load: Load) -> None:
    """A few KiB in the component may stand for gigabytes; the transfer memory bounds them."""
    component = hlwasm.load(TREE, cache=False, transfer_memory=1 << 20)
    with component.instantiate() as sandbox:
        [[[[text]]]] = sandbox.exports.bomb(1)
        # The string is the list's own bytes: pointer 64 and so one character.
        assert text == "@"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with component.instantiate() as sandbox, pytest.raises(hlwasm.LimitExceeded):
        sandbox.exports.bomb(0x303)  # ASCII, as the strings must be UTF-8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_text_of_the_guest_cannot_control_the_terminal(start: Start) -> None:
    text = b"""(component
      (core module $m (func $evil (export "f") unreachable) (@custom "x" "y"))
      (core instance $m (instantiate $m))
      (func (export "f") (canon lift (core func $m "f"))))"""
    name = "\\1b[2J\\0a"
    text = text.replace(b"$evil", f'$evil (@name "{name}")'.encode()).replace(
        b'(@custom "x" "y")', b""
    )
    sandbox = start(text)
    with pytest.raises(hlwasm.Trap) as caught:
        sandbox.exports.f()
    assert "\x1b" not in str(caught.value)
    assert any("[2J" in frame.function for frame in caught.value.backtrace)
