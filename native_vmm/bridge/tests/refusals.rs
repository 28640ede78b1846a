//! What is refused, and that the message names the item.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bridge_default, dummy_component, refusal};
use component_bridge::{BridgeError, Options, bridge};

/// A component of one item, as text.
fn component(body: &str) -> Vec<u8> {
    format!("(component {body})").into_bytes()
}

#[test]
fn asynchronous_things_are_refused_by_name() {
    for (body, item, what) in [
        (
            r#"(import "a:b/i" (instance (export "f" (func async (param "x" u8)))))"#,
            "a:b/i.f",
            "async",
        ),
        (r#"(import "f" (func async))"#, "f", "async"),
        (
            r#"(type $s (stream u8)) (import "f" (func (param "x" $s)))"#,
            "f",
            "stream",
        ),
        (
            r#"(type $s (future)) (import "a:b/i" (instance (export "f" (func (result (list $s))))))"#,
            "a:b/i.f",
            "future",
        ),
        (
            r#"(import "a:b/i" (instance (type $e' error-context) (export "e" (type (eq $e')))))"#,
            "a:b/i.e",
            "error-context",
        ),
    ] {
        let (refused, message) = refusal(&component(body));
        assert_eq!(refused, item, "{message}");
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn lists_of_fixed_length_are_refused_by_name() {
    let (item, message) = refusal(&component(
        r#"(type $t (list u8 4)) (import "f" (func (param "x" $t)))"#,
    ));
    assert_eq!(item, "f");
    assert!(message.contains("fixed-length list"), "{message}");
}

#[test]
fn labels_of_a_proposal_are_refused_by_name() {
    for (world, item, what) in [
        ("import one: i; import two: i;", "one", "under another name"),
        (
            "import i; @external-id(\"x\") export f: func();",
            "f",
            "external id",
        ),
    ] {
        let (refused, message) = refusal(&dummy_component(&format!(
            "package a:b; interface i {{ f: func(); }} world w {{ {world} }}"
        )));
        assert_eq!(refused, item, "{message}");
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn modules_components_and_values_are_refused_by_name() {
    for (body, what) in [
        (r#"(import "it" (core module))"#, "core module"),
        (r#"(import "it" (component))"#, "component"),
        (
            r#"(core module $m) (export "it" (core module $m))"#,
            "core module",
        ),
        (
            r#"(component $c) (export "it" (component $c))"#,
            "component",
        ),
        (
            r#"(type $t (record (field "a" u8))) (export "it" (type $t))"#,
            "type at world level",
        ),
    ] {
        let (item, message) = refusal(&component(body));
        assert_eq!(item, "it");
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn core_features_that_the_compiler_lacks_are_refused() {
    for (module, what) in [
        ("(memory 1 1 shared)", "threads"),
        (
            "(memory 1) (func i32.const 0 i32.atomic.load drop)",
            "threads",
        ),
        ("(memory 1 (pagesize 1))", "custom page sizes"),
        (
            "(func (param i64 i64 i64 i64) (result i64 i64)
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
            "wide arithmetic",
        ),
    ] {
        let nested = format!("(core module {module})");
        for input in [
            component(&nested),
            format!("(module {module})").into_bytes(),
        ] {
            let (_, message) = refusal(&input);
            assert!(message.contains(what), "{message}");
        }
    }
}

#[test]
fn core_features_that_the_compiler_has_are_taken() {
    for module in [
        "(memory i64 1)",
        "(func (result v128) v128.const i64x2 0 0)",
        "(func $f return_call $f)",
        "(memory 1) (memory 1)",
        "(type (struct (field i32)))",
        "(tag)",
        "(func (param externref))",
    ] {
        let text = component(&format!("(core module {module})"));
        bridge_default(&text).unwrap_or_else(|error| panic!("{module}: {error}"));
    }
}

#[test]
fn wit_packages_are_not_components() {
    let (item, message) = refusal(&component(
        r#"(type (component
            (export "a:b/w" (component))))
        (export "w" (type 0))"#,
    ));
    assert_eq!(item, "a WIT package", "{message}");
}

#[test]
fn malformed_inputs_are_told_in_one_line() {
    let valid = dummy_component("package a:b; world w { export f: func(a: string); }");
    let mut broken_header = valid.clone();
    broken_header[4] = 9;
    for (input, message) in [
        (b"".as_slice(), "neither"),
        (b" \n ", "neither"),
        (b"\xff\xfe", "neither"),
        (b"\0asm", "unknown version"),
        (&broken_header, "unknown version"),
        (&valid[..valid.len() - 1], "offset 0x"),
        (b"(component", "line 1, column"),
        (b"(module\n  (func\n    i32.const))", "line 3, column 14"),
        (b"hello", "line 1, column 1"),
        (b"(component (core module (func i32.const 0)))", "offset 0x"),
        (b"(component) (component)", "line 1"),
    ] {
        match bridge_default(input) {
            Err(BridgeError::Malformed(text)) => {
                assert!(text.contains(message), "{text}");
                assert!(!text.contains('\n'), "{text}");
            }
            other => panic!("{input:?}: {other:?}"),
        }
    }
}

#[test]
fn options_are_checked() {
    assert_eq!(Options::from_json("").unwrap(), Options::default());
    assert_eq!(Options::from_json("{}").unwrap(), Options::default());
    let options = Options::from_json(r#"{"transfer_bytes": 65537}"#).unwrap();
    let description = bridge(b"(component)", &options).unwrap().description;
    assert!(description.contains(r#""export":2"#), "{description}");
    for text in ["1", "{", r#"{"unknown": 1}"#, r#"{"transfer_bytes": -1}"#] {
        assert!(Options::from_json(text).is_err(), "{text}");
    }
    for transfer_bytes in [0, 0x8000_0001, u64::MAX] {
        assert!(bridge(b"(component)", &Options { transfer_bytes }).is_err());
    }
}

#[test]
fn worlds_may_not_be_too_deep_or_create_too_much() {
    let mut text = String::from("(component $c0)");
    for level in 0..120 {
        text.push_str(&format!(
            "(component $c{} (alias outer 1 $c{level} (component $c)) (instance (instantiate $c)))",
            level + 1
        ));
    }
    text.push_str("(instance (instantiate $c120))");
    let (_, message) = refusal(&component(&text));
    assert!(message.contains("deep"), "{message}");

    let mut text = String::from("(component $c0)");
    for level in 0..20 {
        text.push_str(&format!(
            "(component $c{} (alias outer 1 $c{level} (component $c))
                (instance (instantiate $c)) (instance (instantiate $c)))",
            level + 1
        ));
    }
    text.push_str("(instance (instantiate $c20))");
    let (_, message) = refusal(&component(&text));
    assert!(message.contains("too many"), "{message}");
}

#[test]
fn packages_in_a_circle_are_refused() {
    let (item, message) = refusal(&component(
        r#"(import "a:b/i" (instance $i (export "r" (type (sub resource)))))
           (alias export $i "r" (type $r))
           (import "c:d/j" (instance $j (export "r" (type (eq $r)))))
           (alias export $j "r" (type $s))
           (import "a:b/k" (instance (export "r" (type (eq $s)))))"#,
    ));
    assert_eq!(item, "a:b, c:d");
    assert!(message.contains("circle"), "{message}");
}

#[test]
fn functions_with_names_of_interfaces_are_refused() {
    let (item, _) = refusal(&component(r#"(import "a:b/c" (func))"#));
    assert_eq!(item, "a:b/c");
}

#[test]
fn interfaces_that_use_types_of_the_world_are_refused() {
    let (item, message) = refusal(&component(
        r#"(type $r' (record (field "a" u8)))
           (import "r" (type $r (eq $r')))
           (import "a:b/i" (instance (export "s" (type (eq $r)))))"#,
    ));
    assert_eq!(item, "a:b/i");
    assert!(message.contains("world"), "{message}");
}
