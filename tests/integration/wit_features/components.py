"""Small components in WebAssembly text, one for each feature of worlds that no sample has."""

from __future__ import annotations

#: Types, functions, a resource and an inline interface of the world itself.
WORLD_ITEMS = b"""(component
  (import "counter" (type $counter (sub resource)))
  (import "[constructor]counter" (func $new (param "start" u32) (result (own $counter))))
  (import "[method]counter.get" (func $get (param "self" (borrow $counter)) (result u32)))
  (type $point' (record (field "x" u32)))
  (import "point" (type $point (eq $point')))
  (import "turn" (func $turn (param "point" $point) (result $point)))
  (import "log" (instance $log
    (type $entry' (record (field "level" u32)))
    (export "entry" (type $entry (eq $entry')))
    (export "write" (func (param "entry" $entry) (result u32)))))
  (core func $new (canon lower (func $new)))
  (core func $get (canon lower (func $get)))
  (core func $turn (canon lower (func $turn)))
  (core func $write (canon lower (func $log "write")))
  (core func $drop (canon resource.drop $counter))
  (core module $M
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "get" (func $get (param i32) (result i32)))
    (import "" "turn" (func $turn (param i32) (result i32)))
    (import "" "write" (func $write (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "go") (param i32) (result i32)
      (local $counter i32)
      (local.set $counter (call $new (local.get 0)))
      (call $write (call $turn (call $get (local.get $counter))))
      (call $drop (local.get $counter)))
    (func (export "look") (param i32) (result i32)
      (call $get (local.get 0))
      (call $drop (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance
    (export "new" (func $new)) (export "get" (func $get)) (export "turn" (func $turn))
    (export "write" (func $write)) (export "drop" (func $drop))))))
  (func (export "go") (param "point" $point) (result $point) (canon lift (core func $m "go")))
  (func (export "look") (param "counter" (borrow $counter)) (result u32)
    (canon lift (core func $m "look"))))"""

#: A resource whose constructor fails for 0.
FALLIBLE = b"""(component
  (type $box' (resource (rep i32)))
  (core func $new (canon resource.new $box'))
  (core module $M
    (import "" "new" (func $new (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "make") (param i32) (result i32)
      (i32.store8 (i32.const 8) (i32.eqz (local.get 0)))
      (i32.store (i32.const 12)
        (if (result i32) (local.get 0)
          (then (call $new (local.get 0))) (else (i32.const 7))))
      (i32.const 8))
    (func (export "get") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
  (func $make (param "value" u32) (result (result (own $box') (error u32)))
    (canon lift (core func $m "make") (memory (core memory $m "memory"))))
  (func $get (param "self" (borrow $box')) (result u32) (canon lift (core func $m "get")))
  (component $Boxes
    (import "box" (type $box (sub resource)))
    (import "make" (func $make (param "value" u32) (result (result (own $box) (error u32)))))
    (import "get" (func $get (param "self" (borrow $box)) (result u32)))
    (export $exported "box" (type $box))
    (export "[constructor]box" (func $make)
      (func (param "value" u32) (result (result (own $exported) (error u32)))))
    (export "[method]box.get" (func $get)
      (func (param "self" (borrow $exported)) (result u32))))
  (instance $boxes (instantiate $Boxes
    (with "box" (type $box')) (with "make" (func $make)) (with "get" (func $get))))
  (export "test:features/boxes" (instance $boxes)))"""


def strings(encoding: str) -> bytes:
    """A component that has the host change a string; its memory has this encoding."""
    options = (
        f'string-encoding={encoding} (memory (core memory $memory "memory"))'
        ' (realloc (core func $memory "realloc"))'
    )
    return f"""(component
      (import "change" (func $change (param "text" string) (result string)))
      (core module $Memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (local $pointer i32)
          (local.set $pointer (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
          (memory.copy (local.get $pointer) (local.get 0)
            (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
          (global.set $next (i32.add (local.get $pointer) (local.get 3)))
          (local.get $pointer)))
      (core instance $memory (instantiate $Memory))
      (core func $change (canon lower (func $change) {options}))
      (core module $M
        (import "" "change" (func $change (param i32 i32 i32)))
        (func (export "relay") (param i32 i32) (result i32)
          (call $change (local.get 0) (local.get 1) (i32.const 8))
          (i32.const 8)))
      (core instance $m (instantiate $M
        (with "" (instance (export "change" (func $change))))))
      (func (export "relay") (param "text" string) (result string)
        (canon lift (core func $m "relay") {options})))""".encode()
