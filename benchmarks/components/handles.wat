;; A resource of the component, to be passed in as a borrowed handle.
(component
  (core module $m
    (func (export "value") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m))
  (type $counter (resource (rep i32)))
  (core func $new (canon resource.new $counter))
  (func $make (param "value" u32) (result (own $counter)) (canon lift (core func $new)))
  (func $value (param "self" (borrow $counter)) (result u32)
    (canon lift (core func $i "value")))
  (component $counters
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "value" u32) (result (own $counter))))
    (import "value" (func $value (param "self" (borrow $counter)) (result u32)))
    (export $counter' "counter" (type $counter))
    (export "[constructor]counter" (func $make)
      (func (param "value" u32) (result (own $counter'))))
    (export "[method]counter.value" (func $value)
      (func (param "self" (borrow $counter')) (result u32))))
  (instance $exported (instantiate $counters
    (with "counter" (type $counter))
    (with "make" (func $make))
    (with "value" (func $value))))
  (export "test:bench/counters" (instance $exported)))
