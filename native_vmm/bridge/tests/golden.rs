//! Whole descriptions, compared with files that a person has read.
//!
//! `HLWASM_BLESS=1 cargo test --test golden` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;

use common::{describe, dummy_component};

#[test]
fn values_and_resources() {
    compare(
        "values_and_resources",
        &dummy_component(
            "package demo:shop@1.2.0;
            interface types {
                record item { name: string, price: option<f64>, tags: list<string> }
                variant status { new, sold(u64), broken(string) }
                enum color { red, dark-blue }
                flags rights { read, write }
                type pair = tuple<item, color>;
                type id = u32;
            }
            interface store {
                use types.{item, status, rights, id};
                resource shelf {
                    constructor(size: u32);
                    put: func(item: item) -> result<id, status>;
                    merge: static func(left: shelf, right: borrow<shelf>) -> shelf;
                }
                open: func(rights: rights) -> shelf;
            }
            interface audit { use store.{shelf}; check: func(shelf: borrow<shelf>) -> bool; }
            world shop {
                import store;
                import print: func(line: string);
                export audit;
                export total: func(pairs: list<tuple<u8, u64>>) -> char;
            }",
        ),
    );
}

#[test]
fn both_sides() {
    compare(
        "both_sides",
        &dummy_component(
            "package a:b;
            interface i { resource r; record p { r: r } f: func(p: p) -> list<u8>; }
            world w { import i; export i; }",
        ),
    );
}

#[test]
fn bare_module() {
    compare(
        "bare_module",
        br#"(module
            (import "env" "getTime" (func (result f64)))
            (memory (export "memory") 1 16)
            (func (export "addTwo") (param i32 i64) (result i32) i32.const 0)
            (func (export "v") (param v128)))"#,
    );
}

fn compare(name: &str, input: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let description = describe(input);
    let text = format!("{}\n", serde_json::to_string_pretty(&description).unwrap());
    if std::env::var_os("HLWASM_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(
        expected == text,
        "the description of {name} changed; it is now:\n{text}"
    );
}
