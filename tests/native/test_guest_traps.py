"""Every way in which WebAssembly can trap, in a real micro-VM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hlwasm.native import _abi
from tests.native.composed import component, siblings
from tests.native.guest import Guest, guest, running

pytestmark = pytest.mark.hypervisor

PAGE = 65536

# Name of the trap code → body of a function that ends so. Locals: $i i32, $f f64.
TRAPS = {
    "load_near": ("MEMORY_OUT_OF_BOUNDS", "(drop (i32.load (i32.const 65536)))"),
    "load_across_the_end": ("MEMORY_OUT_OF_BOUNDS", "(drop (i64.load (i32.const 65532)))"),
    "load_far": ("MEMORY_OUT_OF_BOUNDS", "(drop (i32.load (i32.const 0x7fff0000)))"),
    "load_farthest": (
        "MEMORY_OUT_OF_BOUNDS",
        "(drop (i64.load offset=0xffffffff (i32.const -1)))",
    ),
    "load_in_the_guard": (
        "MEMORY_OUT_OF_BOUNDS",
        "(drop (i32.load offset=0x1000000 (i32.const -4)))",
    ),
    "store_near": ("MEMORY_OUT_OF_BOUNDS", "(i32.store (i32.const 65536) (i32.const 1))"),
    "store_beyond_the_window": (
        "MEMORY_OUT_OF_BOUNDS",
        "(i32.store8 (i32.const 0x100000) (i32.const 1))",
    ),
    "store_far": ("MEMORY_OUT_OF_BOUNDS", "(i32.store (i32.const -4) (i32.const 1))"),
    "vector_store": (
        "MEMORY_OUT_OF_BOUNDS",
        "(v128.store (i32.const 65521) (v128.const i64x2 1 1))",
    ),
    "memory_fill": (
        "MEMORY_OUT_OF_BOUNDS",
        "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))",
    ),
    "memory_copy": (
        "MEMORY_OUT_OF_BOUNDS",
        "(memory.copy (i32.const 0) (i32.const 65530) (i32.const 7))",
    ),
    "memory_init": (
        "MEMORY_OUT_OF_BOUNDS",
        "(memory.init $passive (i32.const 0) (i32.const 0) (i32.const 9))",
    ),
    "unreachable": ("UNREACHABLE", "unreachable"),
    "divide_by_zero": (
        "INTEGER_DIVISION_BY_ZERO",
        "(drop (i32.div_s (i32.const 1) (local.get $i)))",
    ),
    "remainder_by_zero": (
        "INTEGER_DIVISION_BY_ZERO",
        "(drop (i64.rem_u (i64.const 1) (i64.extend_i32_u (local.get $i))))",
    ),
    "division_overflow": (
        "INTEGER_OVERFLOW",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1))))",
    ),
    "nan_to_integer": ("BAD_CONVERSION_TO_INTEGER", "(drop (i32.trunc_f64_s (f64.const nan)))"),
    "float_too_large": ("INTEGER_OVERFLOW", "(drop (i32.trunc_f64_u (f64.const 1e20)))"),
    "stack_overflow": ("STACK_OVERFLOW", "(call $forever (i64.const 1))"),
    "indirect_null": ("INDIRECT_CALL_TO_NULL", "(call_indirect (i32.const 2))"),
    "indirect_signature": (
        "BAD_SIGNATURE",
        "(drop (call_indirect (param i64) (result i64) (i64.const 1) (i32.const 0)))",
    ),
    "indirect_out_of_range": ("TABLE_OUT_OF_BOUNDS", "(call_indirect (i32.const 10))"),
    "indirect_far_out_of_range": ("TABLE_OUT_OF_BOUNDS", "(call_indirect (i32.const -1))"),
    "table_get": ("TABLE_OUT_OF_BOUNDS", "(drop (table.get $table (i32.const 10)))"),
    "table_set": (
        "TABLE_OUT_OF_BOUNDS",
        "(table.set $table (i32.const 10) (ref.null func))",
    ),
    "null_reference": (
        "NULL_REFERENCE",
        "(call_ref $nothing (table.get $typed (i32.const 0)))",
    ),
}

_BODY = """
  (type $nothing (func))
  (memory (export "memory") 1)
  (data $passive "12345678")
  (table $table 10 10 funcref)
  (table $typed 1 1 (ref null $nothing))
  (elem (table $table) (i32.const 0) func $healthy $healthy)
  (func $forever (param i64) (call $forever (i64.add (local.get 0) (i64.const 1))) (nop))
  (func $healthy (export "f0"))
"""

COMPONENT = component(
    _BODY
    + "".join(
        f'(func ${name} (export "f{k}") (local $i i32) (local $f f64) {body})'
        for k, (name, (_, body)) in enumerate(TRAPS.items(), start=1)
    ),
    calls=len(TRAPS) + 1,
)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Guest]:
    with guest(COMPONENT) as it:
        assert it.load().ok
        yield it


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_has_its_code_and_backtrace(loaded: Guest, name: str) -> None:
    code, _ = TRAPS[name]
    assert loaded.instantiate(len(TRAPS) + 1).ok
    ended = loaded.call(1 + list(TRAPS).index(name))
    assert ended.trap == getattr(_abi, f"TRAP_{code}"), ended
    functions = [frame.function for frame in ended.frames]
    assert name in functions or name == "stack_overflow"
    assert {frame.module for frame in ended.frames} == {"user"}, "frames of the bridges"
    # The guest is as good as before.
    assert loaded.instantiate(len(TRAPS) + 1).ok
    assert loaded.call(0).ok


def test_a_stack_overflow_names_the_function_that_recursed(loaded: Guest) -> None:
    assert loaded.instantiate(len(TRAPS) + 1).ok
    ended = loaded.call(1 + list(TRAPS).index("stack_overflow"))
    assert len(ended.frames) > 10
    assert {frame.function for frame in ended.frames} == {"forever"}


@pytest.mark.parametrize("address", [PAGE, PAGE - 3, 1 << 20, 1 << 32, 1 << 40, -1, -(1 << 63)])
def test_memories_with_64_bit_addresses_trap_alike(address: int) -> None:
    body = f"""(memory i64 1 0x20000)
      (func (export "f0") (drop (i32.load (i64.const {address}))))
      (func (export "f1")
        (if (i64.ne (memory.grow (i64.const 0x10000)) (i64.const -1)) (then unreachable))
        (if (i64.ne (memory.grow (i64.const 15)) (i64.const 1)) (then unreachable))
        (drop (i32.load (i64.const 0xffffc))))"""
    with running(component(body, 2), calls=2) as it:
        assert it.call(1).ok
        assert it.instantiate(2).ok
        assert it.call(0).trap == _abi.TRAP_MEMORY_OUT_OF_BOUNDS


def test_an_instance_that_trapped_is_not_entered_again(loaded: Guest) -> None:
    assert loaded.instantiate(len(TRAPS) + 1).ok
    assert loaded.call(1 + list(TRAPS).index("unreachable")).trap == _abi.TRAP_UNREACHABLE
    assert loaded.call(0).trap == _abi.TRAP_CANNOT_ENTER_COMPONENT


def test_a_fault_tells_the_address_in_the_memory(loaded: Guest) -> None:
    assert loaded.instantiate(len(TRAPS) + 1).ok
    ended = loaded.call(1 + list(TRAPS).index("load_far"))
    assert "0x7fff0000" in ended.message and "0x10000" in ended.message


def test_the_start_function_may_trap() -> None:
    with guest(component('(func $boom unreachable) (start $boom) (func (export "f0"))')) as it:
        assert it.load().ok
        ended = it.instantiate()
        assert ended.trap == _abi.TRAP_UNREACHABLE
        assert [frame.function for frame in ended.frames] == ["boom"]
        assert it.call().status == _abi.STATUS_ERROR


def test_a_data_segment_beyond_the_memory_traps() -> None:
    body = '(memory 1) (data (i32.const 65530) "more than six") (func (export "f0"))'
    with guest(component(body)) as it:
        assert it.load().ok
        assert it.instantiate().trap == _abi.TRAP_MEMORY_OUT_OF_BOUNDS


_CALLEE = """
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "take") {parameters})
"""
_CALLER = """
  (import "m" "memory" (memory 1))
  (import "m" "take" (func $take {parameters}))
  (func $pass (export "f0") {store} (call $take {arguments}))
"""
_BYTE = "(i32.store8 (i32.const 100) (i32.const {}))"

# Signature, core parameters, what is stored, what is passed, the trap code.
BAD_VALUES = {
    "invalid_utf8": ("string", "i32 i32", _BYTE.format(0xFF), (100, 1), "INVALID_STRING"),
    "truncated_utf8": ("string", "i32 i32", _BYTE.format(0xE4), (100, 1), "INVALID_STRING"),
    "string_beyond_memory": ("string", "i32 i32", "", (65530, 100), "CANONICAL_ABI"),
    "string_wraps_around": ("string", "i32 i32", "", (-1, 100), "CANONICAL_ABI"),
    "string_too_long": ("string", "i32 i32", "", (0, -1), "CANONICAL_ABI"),
    "list_beyond_memory": ("(list u32)", "i32 i32", "", (65532, 2), "CANONICAL_ABI"),
    "list_length_overflows": ("(list u64)", "i32 i32", "", (0, 0x20000000), "CANONICAL_ABI"),
    "list_unaligned": ("(list u32)", "i32 i32", "", (2, 1), "CANONICAL_ABI"),
    "discriminant": ("(option u8)", "i32 i32", "", (2, 0), "CANONICAL_ABI"),
    "char_surrogate": ("char", "i32", "", (0xD800,), "CANONICAL_ABI"),
    "char_too_large": ("char", "i32", "", (0x110000,), "CANONICAL_ABI"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_values_that_break_the_canonical_abi_are_traps(name: str) -> None:
    type_, core, store, passed, code = BAD_VALUES[name]
    parameters = f"(param {core})"
    wat = siblings(
        "",
        _CALLEE.format(parameters=parameters),
        _CALLER.format(
            parameters=parameters,
            store=store,
            arguments=" ".join(f"(i32.const {value})" for value in passed),
        ),
        f'(param "v" {type_})',
    )
    windows = (0, 1 << 18, 1 << 20, 1 << 20)
    with running(wat, import_pages=0, windows=windows) as it:
        ended = it.call()
        assert ended.trap == getattr(_abi, f"TRAP_{code}"), ended
        assert "pass" in [frame.function for frame in ended.frames]


_RESOURCES = """(component
  (component $owner
    (type $thing' (resource (rep i32)))
    (export $thing "thing" (type $thing'))
    (core func $new (canon resource.new $thing'))
    (core module $inside
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 5)))
      (func (export "use") (param i32)))
    (core instance $inside (instantiate $inside
      (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $thing)) (canon lift (core func $inside "make")))
    (func (export "use") (param "it" (borrow $thing)) (canon lift (core func $inside "use"))))
  (instance $owner (instantiate $owner))
  (component $user
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (result (own $thing))))
    (import "use" (func $use (param "it" (borrow $thing))))
    (core func $make (canon lower (func $make)))
    (core func $use (canon lower (func $use)))
    (core func $drop (canon resource.drop $thing))
    (core module $inside
      (import "" "make" (func $make (result i32)))
      (import "" "use" (func $use (param i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "f0") (local $h i32)
        (local.set $h (call $make)) (call $use (local.get $h)) (call $drop (local.get $h)))
      (func (export "f1") (call $use (i32.const 77)))
      (func (export "f2") (local $h i32)
        (local.set $h (call $make)) (call $drop (local.get $h)) (call $drop (local.get $h)))
      (func (export "f3") (local $h i32)
        (local.set $h (call $make)) (call $drop (local.get $h)) (call $use (local.get $h))))
    (core instance $inside (instantiate $inside (with "" (instance
      (export "make" (func $make)) (export "use" (func $use)) (export "drop" (func $drop))))))
    (func (export "f0") (canon lift (core func $inside "f0")))
    (func (export "f1") (canon lift (core func $inside "f1")))
    (func (export "f2") (canon lift (core func $inside "f2")))
    (func (export "f3") (canon lift (core func $inside "f3"))))
  (instance $user (instantiate $user
    (with "thing" (type $owner "thing"))
    (with "make" (func $owner "make")) (with "use" (func $owner "use"))))
  (core module $"hlwasm export bridge" (memory 4 4))
  (core instance (instantiate $"hlwasm export bridge"))
  (instance $calls
    (export "call0" (func $user "f0")) (export "call1" (func $user "f1"))
    (export "call2" (func $user "f2")) (export "call3" (func $user "f3")))
  (export "hlwasm:bridge/guest" (instance $calls)))"""


def test_bad_resource_handles_are_traps() -> None:
    with guest(_RESOURCES, windows=(0, 1 << 18)) as it:
        assert it.load().ok
        for index in (1, 2, 3):
            assert it.instantiate(4, import_pages=0).ok
            assert it.call(0).ok
            ended = it.call(index)
            assert ended.trap == _abi.TRAP_BAD_HANDLE, ended
