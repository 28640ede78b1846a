;; What the benchmarks call: a sum, echoes, two computations, a loop of host calls, writes to
;; many pages, and a loop that does not end.
(component
  (import "host" (instance $host
    (export "add" (func (param "a" s32) (param "b" s32) (result s32)))))
  (core func $host-add (canon lower (func $host "add")))
  (core module $m
    (import "host" "add" (func $host-add (param i32 i32) (result i32)))
    (memory (export "memory") 64)
    (global $free (mut i32) (i32.const 1024))

    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))

    ;; A bump allocator that grows the memory by what is missing.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
        (result i32) (local $at i32) (local $end i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
      (local.set $end (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
        (then (drop (memory.grow (i32.add (i32.const 1)
          (i32.shr_u (i32.sub (local.get $end) (i32.shl (memory.size) (i32.const 16)))
                     (i32.const 16)))))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
      (global.set $free (local.get $end))
      (local.get $at))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "echo-done") (param i32)
      (global.set $free (i32.const 1024)))

    ;; Calls host.add n times; each result is an argument of the next call.
    (func (export "host-calls") (param $n i32) (result i32) (local $sum i32)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $n)))
          (local.set $sum (call $host-add (local.get $sum) (i32.const 1)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next)))
      (local.get $sum))

    ;; Writes a value to n pages of 4 KiB, from 64 KiB on.
    (func (export "touch") (param $n i32) (param $value i32)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $n)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (i32.store offset=65536 (i32.shl (local.get $n) (i32.const 12)) (local.get $value))
          (br $next))))

    (func (export "spin")
      (loop $forever (br $forever)))

    ;; Primes below 2^20, n times; flags lie at 65536.
    (func (export "sieve") (param $n i32) (result i32)
        (local $i i32) (local $j i32) (local $primes i32)
      (loop $again
        (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1048576))
        (local.set $primes (i32.const 0))
        (local.set $i (i32.const 2))
        (loop $candidate
          (if (i32.eqz (i32.load8_u offset=65536 (local.get $i)))
            (then
              (local.set $primes (i32.add (local.get $primes) (i32.const 1)))
              (local.set $j (i32.shl (local.get $i) (i32.const 1)))
              (block $marked
                (loop $mark
                  (br_if $marked (i32.ge_u (local.get $j) (i32.const 1048576)))
                  (i32.store8 offset=65536 (local.get $j) (i32.const 1))
                  (local.set $j (i32.add (local.get $j) (local.get $i)))
                  (br $mark)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $candidate (i32.lt_u (local.get $i) (i32.const 1048576))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (local.get $n)))
      (local.get $primes))

    ;; C = A × B of 128 × 128 doubles, n times; A at 64 KiB, B at 192 KiB, C at 320 KiB.
    (func (export "matmul") (param $n i32) (result f64)
        (local $i i32) (local $j i32) (local $k i32) (local $sum f64)
      (loop $fill
        (f64.store offset=65536 (i32.shl (local.get $i) (i32.const 3))
          (f64.convert_i32_u (i32.rem_u (local.get $i) (i32.const 7))))
        (f64.store offset=196608 (i32.shl (local.get $i) (i32.const 3))
          (f64.convert_i32_u (i32.rem_u (local.get $i) (i32.const 5))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get $i) (i32.const 16384))))
      (loop $again
        (local.set $i (i32.const 0))
        (loop $row
          (local.set $j (i32.const 0))
          (loop $column
            (local.set $k (i32.const 0))
            (local.set $sum (f64.const 0))
            (loop $inner
              (local.set $sum (f64.add (local.get $sum) (f64.mul
                (f64.load offset=65536 (i32.shl
                  (i32.add (i32.shl (local.get $i) (i32.const 7)) (local.get $k)) (i32.const 3)))
                (f64.load offset=196608 (i32.shl
                  (i32.add (i32.shl (local.get $k) (i32.const 7)) (local.get $j)) (i32.const 3))))))
              (local.set $k (i32.add (local.get $k) (i32.const 1)))
              (br_if $inner (i32.lt_u (local.get $k) (i32.const 128))))
            (f64.store offset=327680 (i32.shl
              (i32.add (i32.shl (local.get $i) (i32.const 7)) (local.get $j)) (i32.const 3))
              (local.get $sum))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br_if $column (i32.lt_u (local.get $j) (i32.const 128))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $row (i32.lt_u (local.get $i) (i32.const 128))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (local.get $n)))
      (f64.load offset=327680 (i32.const 1040))))

  (core instance $h (export "add" (func $host-add)))
  (core instance $i (instantiate $m (with "host" (instance $h))))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add")))
  (func (export "echo-bytes") (param "data" (list u8)) (result (list u8))
    (canon lift (core func $i "echo") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) (post-return (core func $i "echo-done"))))
  (func (export "echo-string") (param "text" string) (result string)
    (canon lift (core func $i "echo") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) (post-return (core func $i "echo-done"))))
  (func (export "host-calls") (param "count" u32) (result s32)
    (canon lift (core func $i "host-calls")))
  (func (export "touch") (param "pages" u32) (param "value" u32)
    (canon lift (core func $i "touch")))
  (func (export "spin")
    (canon lift (core func $i "spin")))
  (func (export "sieve") (param "rounds" u32) (result u32)
    (canon lift (core func $i "sieve")))
  (func (export "matmul") (param "rounds" u32) (result f64)
    (canon lift (core func $i "matmul"))))
