"""Components in WebAssembly text whose functions take and return maps with handles in them."""

from __future__ import annotations

MEMORY = """(core module $Memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $pointer i32)
      (local.set $pointer (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $pointer) (local.get 3)))
      (local.get $pointer)))
  (core instance $memory (instantiate $Memory))"""
OPTIONS = '(memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))'

# Pairs of `map<string, handle>` have 12 bytes, the handle behind pointer and length; those of
# `map<u8, handle>` have 8.
#: Passes on resources of the host.
HOST = f"""(component
  {MEMORY}
  (import "test:maps/store" (instance $store
    (export "blob" (type $blob (sub resource)))
    (export "[method]blob.size" (func (param "self" (borrow $blob)) (result u32)))
    (export "swap" (func (param "held" (map string (own $blob)))
      (result (map string (own $blob)))))
    (export "total" (func (param "seen" (map u8 (borrow $blob))) (result u32)))))
  (alias export $store "blob" (type $blob))
  (core func $size (canon lower (func $store "[method]blob.size")))
  (core func $swap (canon lower (func $store "swap") {OPTIONS}))
  (core func $total (canon lower (func $store "total") {OPTIONS}))
  (core func $drop (canon resource.drop $blob))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "size" (func $size (param i32) (result i32)))
    (import "" "swap" (func $swap (param i32 i32 i32)))
    (import "" "total" (func $total (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "relay") (param i32 i32) (result i32)
      (call $swap (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16))
    (func (export "sizes") (param $at i32) (param $count i32) (result i32)
      (local $sum i32)
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum)
          (call $size (i32.load offset=8 (local.get $at)))))
        (call $drop (i32.load offset=8 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
      (local.get $sum))
    (func (export "lend") (param $at i32) (param $count i32) (result i32)
      (local $sum i32)
      (local.set $sum (call $total (local.get $at) (local.get $count)))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $drop (i32.load offset=4 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
      (local.get $sum)))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "size" (func $size)) (export "swap" (func $swap)) (export "total" (func $total))
    (export "drop" (func $drop))))))
  (func (export "relay") (param "held" (map string (own $blob)))
    (result (map string (own $blob))) (canon lift (core func $m "relay") {OPTIONS}))
  (func (export "sizes") (param "seen" (map string (borrow $blob))) (result u32)
    (canon lift (core func $m "sizes") {OPTIONS}))
  (func (export "lend") (param "held" (map u8 (own $blob))) (result u32)
    (canon lift (core func $m "lend") {OPTIONS})))"""

#: Has resources of its own.
GUEST = f"""(component
  {MEMORY}
  (core module $Dropped
    (global $sum (mut i32) (i32.const 0))
    (func (export "drop") (param i32)
      (global.set $sum (i32.add (global.get $sum) (local.get 0))))
    (func (export "dropped") (result i32) (global.get $sum)))
  (core instance $dropped (instantiate $Dropped))
  (type $box' (resource (rep i32) (dtor (func $dropped "drop"))))
  (core func $new (canon resource.new $box'))
  (core module $M
    (import "" "memory" (memory 1))
    (func (export "turn") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "sum") (param $at i32) (param $count i32) (result i32)
      (local $sum i32)
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=8 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
      (local.get $sum)))
  (core instance $m (instantiate $M
    (with "" (instance (export "memory" (memory $memory "memory"))))))
  (func $make (param "value" u32) (result (own $box')) (canon lift (core func $new)))
  (func $turn (param "boxes" (map string (own $box'))) (result (map string (own $box')))
    (canon lift (core func $m "turn") {OPTIONS}))
  (func $sum (param "boxes" (map string (borrow $box'))) (result u32)
    (canon lift (core func $m "sum") {OPTIONS}))
  (func $dropped (result u32) (canon lift (core func $dropped "dropped")))
  (component $Boxes
    (import "box" (type $box (sub resource)))
    (import "make" (func $make (param "value" u32) (result (own $box))))
    (import "turn" (func $turn (param "boxes" (map string (own $box)))
      (result (map string (own $box)))))
    (import "sum" (func $sum (param "boxes" (map string (borrow $box))) (result u32)))
    (import "dropped" (func $dropped (result u32)))
    (export $exported "box" (type $box))
    (export "[constructor]box" (func $make)
      (func (param "value" u32) (result (own $exported))))
    (export "turn" (func $turn) (func (param "boxes" (map string (own $exported)))
      (result (map string (own $exported)))))
    (export "sum" (func $sum)
      (func (param "boxes" (map string (borrow $exported))) (result u32)))
    (export "dropped" (func $dropped)))
  (instance $boxes (instantiate $Boxes
    (with "box" (type $box')) (with "make" (func $make)) (with "turn" (func $turn))
    (with "sum" (func $sum)) (with "dropped" (func $dropped))))
  (export "test:maps/boxes" (instance $boxes)))"""
