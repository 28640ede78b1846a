  ;; Memory for one call at a time.

  (memory (export "memory") 1)
  ;; 1024..16383: results. From 16384 on: the current call's own memory.
  (global $next (mut i32) (i32.const 16384))
  (func $forget (global.set $next (i32.const 16384)))
  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $pointer i32) (local $end i64) (local $missing i32)
    (local.set $pointer
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (local.set $end
      (i64.add (i64.extend_i32_u (local.get $pointer)) (i64.extend_i32_u (local.get $size))))
    (local.set $missing
      (i32.sub
        (i32.wrap_i64 (i64.shr_u (i64.add (local.get $end) (i64.const 0xffff)) (i64.const 16)))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    (memory.copy (local.get $pointer) (local.get $old)
      (select (local.get $old_size) (local.get $size)
        (i32.lt_u (local.get $old_size) (local.get $size))))
    (global.set $next (i32.wrap_i64 (local.get $end)))
    (local.get $pointer))
