;; A component in text form, with nothing generated: what a toolchain would write
;; for wit/world.wit. The canonical ABI is spelt out in the `canon` lines at the end.
(component
  (import "log" (func $log (param "message" string)))

  ;; Memory of its own, so that the lowered import can name it before the code below exists.
  (core module $Memory
    (memory (export "memory") 1)
    ;; Next free byte; everything is forgotten when a call returns.
    (global $next (mut i32) (i32.const 1024))

    (func (export "forget")
      (global.set $next (i32.const 1024)))

    ;; realloc(old pointer, old size, alignment, new size): hosts only ask for fresh memory here.
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $pointer i32) (local $missing i32)
      (local.set $pointer
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $pointer) (local.get $size)))
      ;; A sum that wrapped around, or memory that cannot grow, ends the call.
      (if (i32.lt_u (global.get $next) (local.get $pointer)) (then unreachable))
      (local.set $missing
        (i32.sub
          (i32.add (i32.shr_u (global.get $next) (i32.const 16)) (i32.const 1))
          (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then
          (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (local.get $pointer)))

  (core instance $memory (instantiate $Memory))
  (core func $lowered_log
    (canon lower (func $log) (memory $memory "memory") string-encoding=utf8))

  (core module $Ops
    (import "memory" "memory" (memory 1))
    (import "memory" "forget" (func $forget))
    (import "host" "log" (func $log (param i32 i32)))

    ;; Layout: 16 result of divide, 64..127 the log line, " + " and " = " at 128 and 131.
    (data (i32.const 128) " +  = ")

    (func (export "add") (param $a i32) (param $b i32) (result i32)
      (i32.add (local.get $a) (local.get $b)))
    (func (export "subtract") (param $a i32) (param $b i32) (result i32)
      (i32.sub (local.get $a) (local.get $b)))
    (func (export "multiply") (param $a i32) (param $b i32) (result i32)
      (i32.mul (local.get $a) (local.get $b)))

    ;; result<s32, failure>: one byte of discriminant, then the payload at offset 4.
    (func $fail (param $failure i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 1))
      (i32.store8 (i32.const 20) (local.get $failure))
      (i32.const 16))
    (func (export "divide") (param $a i32) (param $b i32) (result i32)
      (if (i32.eqz (local.get $b)) (then (return (call $fail (i32.const 0)))))
      (if (i32.and
            (i32.eq (local.get $a) (i32.const 0x80000000))
            (i32.eq (local.get $b) (i32.const -1)))
        (then (return (call $fail (i32.const 1)))))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (i32.div_s (local.get $a) (local.get $b)))
      (i32.const 16))

    ;; Writes a number in decimal at $at and returns the address after it.
    (func $put_number (param $at i32) (param $number i32) (result i32)
      (local $rest i64) (local $end i32) (local $digit i32)
      (local.set $rest (i64.extend_i32_s (local.get $number)))
      (if (i64.lt_s (local.get $rest) (i64.const 0))
        (then
          (i32.store8 (local.get $at) (i32.const 0x2d))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $rest (i64.sub (i64.const 0) (local.get $rest)))))
      ;; How many digits first, then the digits from the right.
      (local.set $end (i32.add (local.get $at) (call $digits (local.get $rest))))
      (local.set $digit (local.get $end))
      (loop $more
        (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
        (i64.store8 (local.get $digit)
          (i64.add (i64.const 0x30) (i64.rem_u (local.get $rest) (i64.const 10))))
        (local.set $rest (i64.div_u (local.get $rest) (i64.const 10)))
        (br_if $more (i32.gt_u (local.get $digit) (local.get $at))))
      (local.get $end))
    (func $digits (param $number i64) (result i32)
      (local $count i32)
      (loop $more
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
        (br_if $more (i64.ne (local.get $number) (i64.const 0))))
      (local.get $count))
    ;; Writes the three bytes at $text and returns the address after them.
    (func $put_sign (param $at i32) (param $text i32) (result i32)
      (memory.copy (local.get $at) (local.get $text) (i32.const 3))
      (i32.add (local.get $at) (i32.const 3)))

    (func (export "total") (param $numbers i32) (param $count i32) (result i32)
      (local $sum i32) (local $at i32) (local $end i32)
      (local.set $end
        (i32.add (local.get $numbers) (i32.shl (local.get $count) (i32.const 2))))
      (block $done
        (loop $next
          (br_if $done (i32.eq (local.get $numbers) (local.get $end)))
          (local.set $at (call $put_number (i32.const 64) (local.get $sum)))
          (local.set $at (call $put_sign (local.get $at) (i32.const 128)))
          (local.set $at (call $put_number (local.get $at) (i32.load (local.get $numbers))))
          (local.set $at (call $put_sign (local.get $at) (i32.const 131)))
          (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $numbers))))
          (local.set $at (call $put_number (local.get $at) (local.get $sum)))
          (call $log (i32.const 64) (i32.sub (local.get $at) (i32.const 64)))
          (local.set $numbers (i32.add (local.get $numbers) (i32.const 4)))
          (br $next)))
      (local.get $sum))
    (func (export "total_done") (param i32)
      (call $forget)))

  (core instance $ops (instantiate $Ops
    (with "memory" (instance $memory))
    (with "host" (instance (export "log" (func $lowered_log))))))

  (type $failure (enum "division-by-zero" "overflow"))
  (type $quotient (result s32 (error $failure)))
  (func $add (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $ops "add")))
  (func $subtract (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $ops "subtract")))
  (func $multiply (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $ops "multiply")))
  (func $divide (param "a" s32) (param "b" s32) (result $quotient)
    (canon lift (core func $ops "divide") (memory $memory "memory")))
  (func $total (param "numbers" (list s32)) (result s32)
    (canon lift (core func $ops "total")
      (memory $memory "memory") (realloc (func $memory "realloc"))
      (post-return (func $ops "total_done"))))

  ;; An interface that names types is exported through a component of its own: the exported
  ;; functions then speak of the exported name of `failure`.
  (component $Interface
    (type $failure_shape (enum "division-by-zero" "overflow"))
    (import "import-type-failure" (type $failure (eq $failure_shape)))
    (type $quotient (result s32 (error $failure)))
    (import "add" (func $add (param "a" s32) (param "b" s32) (result s32)))
    (import "subtract" (func $subtract (param "a" s32) (param "b" s32) (result s32)))
    (import "multiply" (func $multiply (param "a" s32) (param "b" s32) (result s32)))
    (import "divide" (func $divide (param "a" s32) (param "b" s32) (result $quotient)))
    (import "total" (func $total (param "numbers" (list s32)) (result s32)))
    (export $exported_failure "failure" (type $failure_shape))
    (type $exported_quotient (result s32 (error $exported_failure)))
    (export "add" (func $add))
    (export "subtract" (func $subtract))
    (export "multiply" (func $multiply))
    (export "divide" (func $divide)
      (func (param "a" s32) (param "b" s32) (result $exported_quotient)))
    (export "total" (func $total)))
  (instance $interface (instantiate $Interface
    (with "import-type-failure" (type $failure))
    (with "add" (func $add))
    (with "subtract" (func $subtract))
    (with "multiply" (func $multiply))
    (with "divide" (func $divide))
    (with "total" (func $total))))
  (export "demo:calculator/ops@1.0.0" (instance $interface)))
