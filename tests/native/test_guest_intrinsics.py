"""The guest's own memcpy, memmove and memset, seen through wasm's bulk instructions."""

from __future__ import annotations

import pytest

from tests.native.composed import component
from tests.native.guest import MIB, running

pytestmark = pytest.mark.hypervisor

# Memory $a takes the bulk instruction, memory $b the same done byte by byte.
_BODY = """
  (memory $a 1) (memory $b 1)
  (func $fresh (local $i i32)
    (loop $next
      (i32.store8 $a (local.get $i) (i32.mul (local.get $i) (i32.const 0x9e3779b1)))
      (i32.store8 $b (local.get $i) (i32.mul (local.get $i) (i32.const 0x9e3779b1)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (i32.const 2048)))))
  (func $compare (local $i i32)
    (loop $next
      (if (i64.ne (i64.load $a (local.get $i)) (i64.load $b (local.get $i))) (then unreachable))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8)))
                             (i32.const 2048)))))
  (func $slow_move (param $to i32) (param $from i32) (param $n i32) (local $i i32)
    (if (i32.eqz (local.get $n)) (then return))
    (if (i32.lt_u (local.get $to) (local.get $from))
      (then (loop $up
        (i32.store8 $b (i32.add (local.get $to) (local.get $i))
          (i32.load8_u $b (i32.add (local.get $from) (local.get $i))))
        (br_if $up (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (local.get $n)))))
      (else (loop $down
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (i32.store8 $b (i32.add (local.get $to) (local.get $n))
          (i32.load8_u $b (i32.add (local.get $from) (local.get $n))))
        (br_if $down (local.get $n))))))
  (func $slow_fill (param $to i32) (param $byte i32) (param $n i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $n)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (i32.store8 $b (i32.add (local.get $to) (local.get $n)) (local.get $byte))
      (br $next))))
  (func (export "f0") (local $n i32) (local $to i32)
    (loop $lengths
      (local.set $to (i32.const 500))
      (loop $targets
        (call $fresh)
        (memory.copy $a $a (local.get $to) (i32.const 600) (local.get $n))
        (call $slow_move (local.get $to) (i32.const 600) (local.get $n))
        (call $compare)
        (br_if $targets (i32.lt_u
          (local.tee $to (i32.add (local.get $to) (i32.const 23))) (i32.const 1300))))
      (br_if $lengths (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                (i32.const 400)))))
  (func (export "f1") (local $n i32)
    (loop $lengths
      (call $fresh)
      (memory.fill $a (i32.const 777) (local.get $n) (local.get $n))
      (call $slow_fill (i32.const 777) (local.get $n) (local.get $n))
      (call $compare)
      (br_if $lengths (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                (i32.const 700)))))
"""


@pytest.mark.parametrize("call", [0, 1], ids=["copy", "fill"])
def test_bulk_instructions_do_what_a_loop_does(call: int) -> None:
    windows = (4 << 16, 4 << 16, MIB, MIB)
    with running(component(_BODY, 2), calls=2, windows=windows) as it:
        ended = it.call(call)
        assert ended.ok, ended
