"""A component in which each function has one bug, or none."""

from __future__ import annotations

# Functions of the world, by name, as core WebAssembly and as component.
_MEMORY = """
  (core module $Memory
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
"""

# `limit` is what `over` still accepts; a version of the component can have another.
PLANTED = (
    """(component
  (import "oracle" (func $oracle (param "question" s32) (result (option s32))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "now" (func (result u64)))))
"""
    + _MEMORY
    + """
  (core func $oracle (canon lower (func $oracle) (memory $memory "memory")))
  (core func $dice (canon lower (func $random "get-random-u64")))
  (core func $now (canon lower (func $clock "now")))
  (type $counter (resource (rep i32)))
  (core func $new (canon resource.new $counter))

  (core module $M
    (import "m" "memory" (memory 2))
    (import "h" "oracle" (func $oracle (param i32 i32)))
    (import "h" "dice" (func $dice (result i64)))
    (import "h" "now" (func $now (result i64)))
    (import "h" "new" (func $new (param i32) (result i32)))
    (data (i32.const 16) "\\ff\\fe")
    (global $calls (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "largest") (param i32) (result i32)
      (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable))
      (local.get 0))
    (func $over (export "over") (param i32) (result i32)
      (if (i32.gt_u (local.get 0) (i32.const {limit})) (then unreachable))
      (local.get 0))
    (func (export "long-list") (param i32 i32) (result i32)
      (loop $again (br_if $again (i32.gt_u (local.get 1) (i32.const 2))))
      (local.get 1))
    (func (export "text") (param i32) (result i32)
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.shl (local.get 0) (i32.const 1)))
      (i32.const 0))
    (func (export "color") (param i32) (result i32) (local.get 0))
    (func (export "roll") (result i32)
      (i32.and (i32.wrap_i64 (call $dice)) (i32.const 0xffff)))
    (func (export "hour") (result i64)
      (i64.div_u (call $now) (i64.const 3600000000000)))
    (func (export "count") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.get $calls))
    (func (export "ask") (param i32) (result i32)
      (call $oracle (local.get 0) (i32.const 32))
      (if (i32.eqz (i32.load8_u (i32.const 32))) (then (return (i32.const 0))))
      (if (i32.lt_s (i32.load (i32.const 36)) (i32.const 0)) (then unreachable))
      (i32.load (i32.const 36)))
    (func (export "divide") (param i32 i32) (result i32)
      (i32.store8 (i32.const 48) (i32.eqz (local.get 1)))
      (if (local.get 1)
        (then (i32.store (i32.const 52) (i32.div_u (local.get 0) (local.get 1)))))
      (i32.const 48))
    (func (export "make") (param i32) (result i32)
      (call $new (local.get 0)))
    (func (export "plus") (param i32 i32) (result i32)
      (if (i32.gt_u (local.get 1) (i32.const 100)) (then unreachable))
      (i32.add (local.get 0) (local.get 1))))
  (core instance $m (instantiate $M
    (with "m" (instance $memory))
    (with "h" (instance
      (export "oracle" (func $oracle)) (export "dice" (func $dice)) (export "now" (func $now))
      (export "new" (func $new))))))

  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $m "add")))
  (func (export "largest") (param "n" u32) (result u32) (canon lift (core func $m "largest")))
  (func (export "over") (param "n" u32) (result u32) (canon lift (core func $m "over")))
  (func (export "long-list") (param "list" (list u16)) (result u32)
    (canon lift (core func $m "long-list") (memory $memory "memory")
      (realloc (func $memory "realloc"))))
  (func (export "text") (param "wrong" bool) (result string)
    (canon lift (core func $m "text") (memory $memory "memory")))
  (type $color (enum "red" "green" "blue"))
  (func $color (param "n" u8) (result $color) (canon lift (core func $m "color")))
  (func (export "roll") (result u32) (canon lift (core func $m "roll")))
  (func (export "hour") (result u64) (canon lift (core func $m "hour")))
  (func (export "count") (result u32) (canon lift (core func $m "count")))
  (func (export "ask") (param "n" s32) (result s32) (canon lift (core func $m "ask")))
  (func (export "divide") (param "a" u32) (param "b" u32) (result (result u32))
    (canon lift (core func $m "divide") (memory $memory "memory")))

  (func $make (param "start" u32) (result (own $counter)) (canon lift (core func $m "make")))
  (func $plus (param "self" (borrow $counter)) (param "n" u32) (result u32)
    (canon lift (core func $m "plus")))
  (component $Counters
    (type $color_shape (enum "red" "green" "blue"))
    (import "import-color" (type $color (eq $color_shape)))
    (import "color-of" (func $color_of (param "n" u8) (result $color)))
    (export $exported_color "color" (type $color_shape))
    (export "color-of" (func $color_of) (func (param "n" u8) (result $exported_color)))
    (import "counter" (type $c (sub resource)))
    (import "make" (func $make (param "start" u32) (result (own $c))))
    (import "plus" (func $plus (param "self" (borrow $c)) (param "n" u32) (result u32)))
    (export $counter "counter" (type $c))
    (export "[constructor]counter" (func $make)
      (func (param "start" u32) (result (own $counter))))
    (export "[method]counter.plus" (func $plus)
      (func (param "self" (borrow $counter)) (param "n" u32) (result u32))))
  (instance $counters (instantiate $Counters
    (with "import-color" (type $color)) (with "color-of" (func $color))
    (with "counter" (type $counter)) (with "make" (func $make)) (with "plus" (func $plus))))
  (export "test:planted/counters@1.2.0" (instance $counters)))
"""
)


def planted(limit: int = 1000) -> bytes:
    """The component as text; ``over`` traps above ``limit``."""
    return PLANTED.replace("{limit}", str(limit)).encode()
