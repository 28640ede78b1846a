  ;; What does not follow from the catalogue of types: resources, the other interfaces.
  ;; The rest of the module is memory.wat, and written by generate.py.

  (import "$root" "twice" (func $twice (param i32) (result i32)))
  (import "$root" "note" (func $note (param i32 i32 i32 i32)))
  (import "demo:units/convert@1.2.3" "square-feet" (func $square_feet (param f64) (result f64)))
  (import "demo:kitchen-sink/things@1.0.0" "[constructor]thing"
    (func $host_new (param i32 i32) (result i32)))
  (import "demo:kitchen-sink/things@1.0.0" "[method]thing.label" (func $host_label (param i32 i32)))
  (import "demo:kitchen-sink/things@1.0.0" "[method]thing.set-label"
    (func $host_set_label (param i32 i32 i32)))
  (import "demo:kitchen-sink/things@1.0.0" "[method]thing.longer"
    (func $host_longer (param i32 i32 i32)))
  (import "demo:kitchen-sink/things@1.0.0" "[static]thing.merge"
    (func $host_merge (param i32 i32) (result i32)))
  (import "demo:kitchen-sink/things@1.0.0" "[resource-drop]thing" (func $host_drop (param i32)))
  ;; Handles of the exported things. A thing is represented by its host handle.
  (import "[export]demo:kitchen-sink/things@1.0.0" "[resource-new]thing"
    (func $thing_new (param i32) (result i32)))
  (import "[export]demo:kitchen-sink/things@1.0.0" "[resource-rep]thing"
    (func $thing_rep (param i32) (result i32)))
  (import "[export]demo:kitchen-sink/things@1.0.0" "[resource-drop]thing"
    (func $thing_drop (param i32)))

  ;; Below the results.
  (data (i32.const 512) "touched")

  ;; --- the world's own functions ---
  (func (export "thrice") (param i32) (result i32)
    (i32.add (call $twice (local.get 0)) (local.get 0)))
  (func (export "touch")
    (call $note (i32.const 512) (i32.const 7) (i32.const 1) (i32.const 7))
    (call $note (i32.const 512) (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; --- demo:shapes ---
  (func (export "demo:shapes/areas@0.1.0#area") (param i32 i32) (result i32)
    (i32.mul (local.get 0) (local.get 1)))
  (func (export "demo:shapes/areas@0.2.0#area") (param f64 f64 i32 i32 i32) (result f64)
    (call $square_feet (f64.mul (local.get 0) (local.get 1))))
  (func (export "cabi_post_demo:shapes/areas@0.2.0#area") (param f64) (call $forget))

  ;; --- things ---
  (global $dropped (mut i32) (i32.const 0))
  ;; Set while things are dropped whose host things went elsewhere.
  (global $moved (mut i32) (i32.const 0))
  (func (export "demo:kitchen-sink/things@1.0.0#[dtor]thing") (param i32)
    (global.set $dropped (i32.add (global.get $dropped) (i32.const 1)))
    (if (i32.eqz (global.get $moved)) (then (call $host_drop (local.get 0)))))
  (func $new (export "demo:kitchen-sink/things@1.0.0#[constructor]thing")
    (param i32 i32) (result i32)
    (call $thing_new (call $host_new (local.get 0) (local.get 1))))
  (func (export "demo:kitchen-sink/things@1.0.0#[method]thing.label") (param i32) (result i32)
    (call $host_label (local.get 0) (i32.const 1024))
    (i32.const 1024))
  (func (export "cabi_post_demo:kitchen-sink/things@1.0.0#[method]thing.label") (param i32)
    (call $forget))
  (func (export "demo:kitchen-sink/things@1.0.0#[method]thing.set-label") (param i32 i32 i32)
    (call $host_set_label (local.get 0) (local.get 1) (local.get 2))
    (call $forget))
  ;; A borrowed thing of one's own comes as what represents it: the host handle.
  (func (export "demo:kitchen-sink/things@1.0.0#[method]thing.longer")
    (param i32 i32) (result i32)
    (call $host_longer (local.get 0) (local.get 1) (i32.const 1024))
    (i32.const 1024))
  (func (export "cabi_post_demo:kitchen-sink/things@1.0.0#[method]thing.longer") (param i32)
    (call $forget))
  ;; An owned one comes as a handle. Its host thing is handed on to the host.
  (func (export "demo:kitchen-sink/things@1.0.0#[static]thing.merge") (param i32 i32) (result i32)
    (local $merged i32)
    (local.set $merged
      (call $host_merge (call $thing_rep (local.get 0)) (call $thing_rep (local.get 1))))
    (global.set $moved (i32.const 1))
    (call $thing_drop (local.get 0))
    (call $thing_drop (local.get 1))
    (global.set $moved (i32.const 0))
    (call $thing_new (local.get $merged)))
  (func (export "demo:kitchen-sink/things@1.0.0#[static]thing.make")
    (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.ne (local.get $length) (i32.const 0)))
    (if (local.get $length)
      (then
        (i32.store (i32.const 1028) (call $new (local.get $text) (local.get $length)))))
    (i32.const 1024))
  (func (export "cabi_post_demo:kitchen-sink/things@1.0.0#[static]thing.make") (param i32)
    (call $forget))
  (func (export "demo:kitchen-sink/things@1.0.0#reverse")
    (param $list i32) (param $count i32) (result i32)
    (local $left i32) (local $right i32) (local $handle i32)
    (local.set $left (local.get $list))
    (local.set $right
      (i32.add (local.get $list) (i32.shl (i32.sub (local.get $count) (i32.const 1)) (i32.const 2))))
    (block $done
      (loop $swap
        (br_if $done (i32.ge_s (local.get $left) (local.get $right)))
        (local.set $handle (i32.load (local.get $left)))
        (i32.store (local.get $left) (i32.load (local.get $right)))
        (i32.store (local.get $right) (local.get $handle))
        (local.set $left (i32.add (local.get $left) (i32.const 4)))
        (local.set $right (i32.sub (local.get $right) (i32.const 4)))
        (br $swap)))
    (i32.store (i32.const 1024) (local.get $list))
    (i32.store (i32.const 1028) (local.get $count))
    (i32.const 1024))
  (func (export "cabi_post_demo:kitchen-sink/things@1.0.0#reverse") (param i32) (call $forget))
  (func (export "demo:kitchen-sink/things@1.0.0#dropped") (result i32) (global.get $dropped))
