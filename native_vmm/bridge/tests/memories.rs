//! The list of linear memories follows instantiation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::describe;

/// Minimum pages of the memories, in order.
fn memories(body: &str) -> Vec<u64> {
    let description = describe(format!("(component {body})").as_bytes());
    let memories = description["memories"].as_array().unwrap();
    memories
        .iter()
        .map(|memory| memory["minimum_pages"].as_u64().unwrap())
        .collect()
}

#[test]
fn only_what_is_instantiated() {
    let body = "(core module $a (memory 1)) (core module $b (memory 2) (memory 3))
        (core module $never (memory 4))
        (core instance (instantiate $b)) (core instance (instantiate $a))
        (core instance (instantiate $b))";
    assert_eq!(memories(body), [2, 3, 1, 2, 3]);
}

#[test]
fn shared_between_modules_counts_once() {
    let body = r#"(core module $libc (memory (export "memory") 5))
        (core module $main (import "libc" "memory" (memory 1)))
        (core instance $libc (instantiate $libc))
        (core instance (instantiate $main (with "libc" (instance $libc))))"#;
    assert_eq!(memories(body), [5]);
}

#[test]
fn nested_components() {
    let body = "(component $inner (core module $m (memory 7)) (core instance (instantiate $m)))
        (component $outer
            (alias outer 1 $inner (component $again))
            (core module $m (memory 8))
            (instance (instantiate $again))
            (core instance (instantiate $m)))
        (instance (instantiate $outer)) (instance (instantiate $inner))";
    assert_eq!(memories(body), [7, 8, 7]);
}

#[test]
fn modules_and_components_as_arguments_and_exports() {
    let body = r#"(core module $m (memory 9))
        (component $maker
            (core module $n (memory 10))
            (export "n" (core module $n)))
        (component $user
            (import "m" (core module $m))
            (import "bag" (instance $bag (export "n" (core module))))
            (alias export $bag "n" (core module $n))
            (core instance (instantiate $n))
            (core instance (instantiate $m))
            (component $c
                (alias outer 1 $m (core module $x))
                (core instance (instantiate $x)))
            (instance (instantiate $c))
            (export "again" (core module $m)))
        (instance $maker (instantiate $maker))
        (instance $bag (export "n" (core module $maker "n")))
        (instance $user (instantiate $user
            (with "m" (core module $m)) (with "bag" (instance $bag))))
        (alias export $user "again" (core module $again))
        (core instance (instantiate $again))"#;
    assert_eq!(memories(body), [10, 9, 9, 9]);
}

#[test]
fn limits_are_told() {
    let description =
        describe(b"(component (core module $m (memory 1 3)) (core instance (instantiate $m)))");
    assert_eq!(description["memories"][0]["maximum_pages"], 3);
}
