"""A component with state, for tests of what becomes of it."""

from __future__ import annotations

# State of every kind that a component can have, and ways not to come to an end.
TEXT = """
(component
  (import "observe" (func $observe (param "value" u32)))
  (core module $memory (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $observe (canon lower (func $observe)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "observe" (func $observe (param i32)))
    (global $counter (mut i32) (i32.const 0))
    (table $table 2 8 funcref)
    (func (export "count") (result i32)
      (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
      (call $observe (global.get $counter))
      (global.get $counter))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "size") (result i32) (memory.size))
    (func (export "grow-table") (result i32) (table.grow $table (ref.null func) (i32.const 1)))
    (func (export "trap") unreachable)
    (func (export "spin") (loop (br 0)))
    (func $deep (param i32) (result i32)
      (i32.add (i32.const 1) (call $deep (local.get 0))))
    (func (export "overflow") (result i32) (call $deep (i32.const 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "observe" (func $observe))))))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "store") (param "at" u32) (param "value" u32)
    (canon lift (core func $i "store")))
  (func (export "load") (param "at" u32) (result u32) (canon lift (core func $i "load")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
  (func (export "size") (result u32) (canon lift (core func $i "size")))
  (func (export "grow-table") (result s32) (canon lift (core func $i "grow-table")))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "overflow") (result u32) (canon lift (core func $i "overflow"))))
"""
IMPORTS = {"observe": lambda value: None}
