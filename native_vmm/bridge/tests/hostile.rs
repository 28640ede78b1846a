//! Damaged inputs: an error or a valid composed component, never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bridge_default, check, dummy_component, dummy_core_module};
use component_bridge::BridgeError;

const WIT: &str = "package a:b;
    interface i {
        resource r { constructor(a: string); m: func(x: list<borrow<r>>) -> result<r, u8>; }
        record point { x: f32, y: list<option<string>> }
        variant v { a(point), b(r), c }
        f: func(a: v, b: tuple<u8, char>) -> list<v>;
    }
    interface j { use i.{r, point}; g: func(r: r, p: point) -> option<r>; }
    world w { import i; export i; export j; type t = list<u8>;
        import log: func(t: t); export run: func(t: t) -> string; }";

const BARE: &str = r#"(module (import "env" "f" (func $f (param i32) (result i64)))
    (memory 1) (table 2 funcref) (elem (i32.const 0) $f) (data (i32.const 0) "abc")
    (func (export "g") (param f64) (result i32) i32.const 0))"#;

const PREVIEW1: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") i32.const 3 call $exit))"#;

fn samples() -> Vec<Vec<u8>> {
    vec![
        dummy_component(WIT),
        dummy_core_module(WIT),
        wat::parse_str(BARE).unwrap(),
        wat::parse_str(PREVIEW1).unwrap(),
    ]
}

/// How many damaged inputs to try of each sample; `HLWASM_FUZZ` multiplies it.
fn effort(normal: usize) -> usize {
    let factor = std::env::var("HLWASM_FUZZ").map_or(1, |factor| factor.parse().unwrap());
    normal * factor
}

/// Whether the input was taken.
fn survive(input: &[u8]) -> bool {
    match bridge_default(input) {
        Ok(bridged) => {
            check(&bridged);
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("panic"), "{text}");
            assert!(!text.contains('\n'), "{text}");
            assert!(!text.is_empty());
            if let BridgeError::Unsupported { item, message } = error {
                assert!(!item.is_empty() && !message.is_empty(), "{item}: {message}");
            }
            false
        }
    }
}

#[test]
fn truncated_at_each_byte() {
    for sample in samples() {
        assert!(survive(&sample));
        for length in 0..sample.len() {
            // A cut between two sections of a module can leave a valid one.
            survive(&sample[..length]);
        }
    }
}

#[test]
fn flipped_bits() {
    for sample in samples() {
        let bits = sample.len() * 8;
        let step = (bits / effort(400)).max(1) | 1;
        for bit in (0..bits).step_by(step) {
            let mut damaged = sample.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            survive(&damaged);
        }
    }
}

#[test]
fn bytes_replaced_and_removed() {
    // A fixed sequence (xorshift), so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(limit).unwrap()).unwrap()
    };
    for sample in samples() {
        for _ in 0..effort(200) {
            let mut damaged = sample.clone();
            for _ in 0..=next(3) {
                let at = next(damaged.len());
                match next(3) {
                    0 => damaged[at] = u8::try_from(next(256)).unwrap(),
                    1 => _ = damaged.remove(at),
                    _ => damaged.insert(at, u8::try_from(next(256)).unwrap()),
                }
            }
            survive(&damaged);
        }
    }
}

#[test]
fn deep_types() {
    for depth in [50, 99, 200, 100_000] {
        let mut text = String::from("(component (type $t0 (list u8))");
        for level in 0..depth {
            text.push_str(&format!("(type $t{} (list $t{level}))", level + 1));
        }
        text.push_str(&format!(r#"(import "f" (func (param "x" $t{depth}))))"#));
        assert_eq!(survive(text.as_bytes()), depth < 99, "{depth}");
    }
}

#[test]
fn wide_types_of_handles() {
    // Each type holds the one before it several times: a million handles in few types.
    let mut text = String::from(
        r#"(component (import "a:b/i" (instance
            (export "r" (type $r (sub resource)))
            (type $t0 (own $r))"#,
    );
    for level in 0..6 {
        let inner = format!("$t{level} ").repeat(8);
        text.push_str(&format!("(type $t{} (tuple {inner}))", level + 1));
    }
    text.push_str(r#"(export "f" (func (param "x" $t6) (result $t6))))))"#);
    survive(text.as_bytes());
}

#[test]
fn deep_nesting() {
    for (open, close) in [("(component ", ")"), ("(component (core module)", ")")] {
        for depth in [50, 5_000] {
            survive(format!("{}{}", open.repeat(depth), close.repeat(depth)).as_bytes());
        }
    }
    // The same in binary, where no parser of text gives up first.
    for depth in [50, 100_000] {
        survive(&nested(depth));
    }
}

/// Components within components.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..depth {
        // Built from the inside: header, then a section of id 4 with all that is inside.
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        if outer.len() + bytes.len() > 1 << 17 {
            break;
        }
        outer.append(&mut bytes);
        bytes = outer;
    }
    bytes
}
