"""Commands and host calls."""

from __future__ import annotations

import struct

import pytest

from hlwasm.native import _abi
from tests.native.composed import component, component_without_imports
from tests.native.guest import Refused, guest, running

pytestmark = pytest.mark.hypervisor

_BODY = """
  (memory 1)
  (global $sum (mut i32) (i32.const 0))
  (func $ask (param $f i32) (result i32) (call $host_call (local.get $f) (i32.const 64)))
  (func (export "f0"))
  (func (export "f1") (global.set $sum (i32.add (global.get $sum) (call $ask (i32.const 1)))))
  (func $count (export "f2") (local $i i32)
    (loop $again
      (global.set $sum (i32.add (global.get $sum) (call $ask (local.get $i))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                              (i32.const 10)))))
  (func (export "f3") (drop (call $ask (global.get $sum))))
"""
COMPONENT = component(_BODY, 4)


def test_a_call_is_one_exit_and_a_host_call_one_more() -> None:
    with running(COMPONENT, calls=4) as it:
        with it.exits(1):
            assert it.call(0).ok
        with it.exits(2):
            assert it.call(1, host=lambda f, p: 5).ok
        with it.exits(11):
            assert it.call(2, host=lambda f, p: f).ok
        assert it.counters().host_calls == 11


def test_host_calls_pass_function_pointer_and_answer() -> None:
    seen: list[tuple[int, int]] = []

    def host(function: int, pointer: int) -> int:
        seen.append((function, pointer))
        return 0xFFFF_FFFE if function == 1 else 0

    with running(COMPONENT, calls=4) as it:
        assert it.call(1, host=host).ok
        assert it.call(3, host=host).ok
    assert seen == [(1, 64), (0xFFFF_FFFE, 64)]


def test_a_failed_host_call_ends_the_command() -> None:
    asked: list[int] = []

    def host(function: int, pointer: int) -> int:
        asked.append(function)
        if function == 4:
            raise Refused
        return 0

    with running(COMPONENT, calls=4) as it:
        ended = it.call(2, host=host)
        assert ended.status == _abi.STATUS_HOST_FAILED
        assert asked == [0, 1, 2, 3, 4]
        assert [frame.function for frame in ended.frames] == ["ask", "count"]
        # The instance is gone, the guest is not.
        assert it.call(0).trap == _abi.TRAP_CANNOT_ENTER_COMPONENT
        assert it.instantiate(4).ok
        assert it.call(2, host=lambda f, p: 0).ok


def test_an_answer_of_more_than_32_bits_is_no_pointer() -> None:
    with running(COMPONENT, calls=4) as it:
        assert not it.call(1, host=lambda f, p: 1 << 32).ok
        assert it.instantiate(4).ok


def test_host_calls_happen_while_instantiating() -> None:
    body = """(global $g (mut i32) (i32.const 0))
      (func $start (global.set $g (call $host_call (i32.const 9) (i32.const 0))))
      (start $start)
      (func (export "f0") (if (i32.ne (global.get $g) (i32.const 33)) (then unreachable)))"""
    with guest(component(body)) as it:
        assert it.load().ok
        assert it.instantiate(host=lambda f, p: 33).ok
        assert it.call().ok

        def refuse(function: int, pointer: int) -> int:
            raise Refused

        assert it.instantiate(host=refuse).status == _abi.STATUS_HOST_FAILED


@pytest.mark.parametrize("index", [4, 5, 1 << 32, (1 << 64) - 1])
def test_a_call_that_does_not_exist_is_an_error(index: int) -> None:
    with running(COMPONENT, calls=4) as it:
        ended = it.call(index)
        assert ended.status == _abi.STATUS_ERROR
        assert str(index) in ended.message
        assert it.call(0).ok


def test_commands_out_of_order_are_errors() -> None:
    with guest(COMPONENT) as it:
        assert it.call().status == _abi.STATUS_ERROR
        assert it.instantiate(4).status == _abi.STATUS_ERROR
        assert it.run(_abi.COMMAND_REPEAT_CALL, 0, 3, 64).status == _abi.STATUS_ERROR
        assert it.run(_abi.COMMAND_DROP_INSTANCE).ok
        assert it.load().ok
        assert it.call().status == _abi.STATUS_ERROR
        assert it.run(999).status == _abi.STATUS_ERROR
        assert it.instantiate(4).ok
        assert it.call().ok


def test_repeat_call_rewinds_the_cursor_and_exits_once() -> None:
    with running(COMPONENT, calls=4) as it:
        with it.exits(1):
            assert it.run(_abi.COMMAND_REPEAT_CALL, 0, 1000, 80).ok
        assert struct.unpack_from("<I", it.native.window(1), _abi.TRANSFER_CURSOR) == (80,)
        with it.exits(1 + 3):
            assert it.run(_abi.COMMAND_REPEAT_CALL, 1, 3, 80, host=lambda f, p: 0).ok


def test_exits_makes_bare_exits() -> None:
    with guest(None) as it, it.exits(51):
        assert it.run(_abi.COMMAND_EXITS, 50).ok


def test_drop_instance_frees_its_memories() -> None:
    with running(COMPONENT, calls=4) as it:
        it.native.window(1)[64:70] = b"secret"
        assert it.run(_abi.COMMAND_DROP_INSTANCE).ok
        assert it.call().status == _abi.STATUS_ERROR
        assert not any(it.native.window(1)[64:])
        assert it.instantiate(4).ok
        assert it.call().ok


def test_instances_do_not_leak() -> None:
    """In 20 MiB of heap there is room for hundreds of these, not for thousands."""
    body = '(memory 1) (table 5000 funcref) (elem (i32.const 0) func $f) (func $f (export "f0"))'
    with running(component(body), ram=32 << 20) as it:
        for _ in range(1500):
            assert it.instantiate().ok
        for _ in range(200):
            assert it.load().ok
            assert it.instantiate().ok
            assert it.call().ok


def test_more_calls_than_the_bridge_has() -> None:
    with guest(COMPONENT) as it:
        assert it.load().ok
        ended = it.instantiate(5)
        assert ended.status == _abi.STATUS_ERROR
        assert "call4" in ended.message


def test_an_import_other_than_the_host_is_an_error() -> None:
    wat = component_without_imports('(func (export "f0"))').replace(
        "(component\n", '(component (import "demo:other/thing" (func))\n', 1
    )
    with guest(wat) as it:
        ended = it.load()
        assert ended.status == _abi.STATUS_ERROR
        assert "demo:other/thing" in ended.message


def test_the_longest_report_is_cut_at_a_character() -> None:
    name = "long-" + "x" * 70_000
    wat = component_without_imports('(func (export "f0"))').replace(
        "(component\n", f'(component (import "{name}" (func))\n', 1
    )
    with guest(wat) as it:
        assert it.load().status == _abi.STATUS_ERROR
        assert it.native.exit.text_bytes == _abi.TEXT_BYTES
        assert "long-xxx" in it.native.text()


def test_control_characters_in_names_cannot_forge_frames() -> None:
    forged = r"a\1f0\1f0\1fevil\1fevil\0a\1f1\1f2\1fevil\1fevil"
    body = f'(func $"{forged}" unreachable) (func $outer (export "f0") (call $"{forged}"))'
    with running(component(body)) as it:
        ended = it.call()
        assert [frame.module for frame in ended.frames] == ["user", "user"]
        assert ended.frames[1].function == "outer"
        assert "evil" in ended.frames[0].function


def test_a_command_starts_with_clear_vector_registers() -> None:
    # Wasm locals are zero by definition; what can be seen is that vector code works the
    # same after code that used every register.
    lanes = " ".join(f"(local $v{i} v128)" for i in range(20))
    fill = " ".join(f"(local.set $v{i} (v128.const i64x2 -{i + 1} {i}))" for i in range(20))
    total = "(v128.const i64x2 0 0)"
    for i in range(20):
        total = f"(i64x2.add {total} (local.get $v{i}))"
    body = f"""(memory 1)
      (func (export "f0") {lanes} {fill} (v128.store (i32.const 0) {total}))
      (func (export "f1") (if (i64.ne (i64.load (i32.const 0)) (i64.const -210))
        (then unreachable)) (if (i64.ne (i64.load (i32.const 8)) (i64.const 190))
        (then unreachable)))"""
    with running(component(body, 2), calls=2) as it:
        for _ in range(3):
            assert it.call(0).ok
            assert it.call(1).ok
