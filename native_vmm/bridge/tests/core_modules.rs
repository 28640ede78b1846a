//! Core modules become components.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bridge_default, core_module, describe, dummy_core_module, refusal};
use component_bridge::BridgeError;
use serde_json::{Value, json};

/// Functions as `interface name core-name`.
fn functions(list: &Value) -> Vec<String> {
    let line = |function: &Value| {
        let text = |key: &str| function[key].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {}",
            text("interface"),
            text("name"),
            text("core_name")
        )
    };
    list.as_array().unwrap().iter().map(line).collect()
}

fn interface_names(description: &Value) -> Vec<&str> {
    let interfaces = description["interfaces"].as_array().unwrap();
    interfaces
        .iter()
        .map(|each| each["name"].as_str().unwrap())
        .collect()
}

#[test]
fn functions_of_numbers() {
    let description = describe(
        br#"(module
            (import "env" "logIt" (func (param i32 f64)))
            (import "env" "log_it" (func (param i64) (result f32)))
            (import "env" "logIt" (func (param i32 f64)))
            (import "my lib" "x" (func))
            (memory (export "memory") 2 7)
            (func (export "addTwo") (param i32 i64 f32 f64) (result i64) i64.const 0)
            (func (export "_start"))
            (func (export "memory-") (result i32) i32.const 1))"#,
    );
    assert_eq!(description["source_kind"], "module");
    assert_eq!(
        functions(&description["imports"]),
        ["env log-it logIt", "env log-it-v2 log_it", "my-lib x x"]
    );
    assert_eq!(
        functions(&description["exports"]),
        ["- add-two addTwo", "- start _start", "- memory-v2 memory-"]
    );
    let add = &description["exports"][0];
    let types: Vec<&Value> = add["params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|param| &param["type"])
        .collect();
    assert_eq!(types, ["s32", "s64", "f32", "f64"]);
    assert_eq!(add["result"], "s64");
    assert_eq!(description["interfaces"][1]["core_name"], "my lib");
    assert_eq!(
        description["memories"],
        json!([{"minimum_pages": 2, "maximum_pages": 7}])
    );
}

#[test]
fn what_cannot_be_called_is_listed() {
    let description = describe(
        br#"(module
            (memory (export "memory") 1) (table (export "t") 1 funcref)
            (global (export "g") i32 (i32.const 0))
            (func (export "two") (result i32 i32) i32.const 0 i32.const 0)
            (func (export "vector") (param v128))
            (func (export "reference") (result externref) ref.null extern)
            (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32
                i32 i32 i32)))"#,
    );
    assert_eq!(description["exports"], json!([]));
    assert_eq!(
        description["skipped"],
        json!([
            {"name": "memory", "reason": "it is a memory"},
            {"name": "t", "reason": "it is a table"},
            {"name": "g", "reason": "it is a global"},
            {"name": "two", "reason": "it has more than one result"},
            {"name": "vector", "reason": "it has a parameter that is not a number"},
            {"name": "reference", "reason": "its result is not a number"},
            {"name": "many", "reason": "it has more than 16 parameters"},
        ])
    );
}

#[test]
fn imports_that_the_host_cannot_give_are_refused() {
    for (import, message) in [
        ("(memory 1)", "import of a memory"),
        ("(table 1 funcref)", "import of a table"),
        ("(global i32)", "import of a global"),
        ("(tag)", "import of a tag"),
        ("(func (param v128))", "not a number"),
        ("(func (result i32 i32))", "more than one result"),
    ] {
        let text = format!(r#"(module (import "env" "it" {import}))"#);
        let (item, reason) = refusal(text.as_bytes());
        assert_eq!(item, "env.it");
        assert!(reason.contains(message), "{reason}");
    }
    let (item, reason) =
        refusal(br#"(module (import "a" "b" (func)) (import "a" "b" (func (param i32))))"#);
    assert_eq!((item.as_str(), reason.contains("twice")), ("a.b", true));
}

#[test]
fn empty_modules_and_start_functions() {
    let description = describe(b"(module)");
    assert_eq!(description["call_count"], 0);
    describe(br#"(module (import "a" "b" (func $b)) (start $b) (func (export "_initialize")))"#);
}

const PREVIEW1: &str = r#"
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)"#;

#[test]
fn programs_for_preview_1() {
    let description = describe(
        format!(
            r#"(module {PREVIEW1} (func (export "_start") i32.const 3 call $exit)
                (func (export "other")))"#
        )
        .as_bytes(),
    );
    assert_eq!(description["source_kind"], "command");
    assert_eq!(
        functions(&description["exports"]),
        ["wasi:cli/run@0.2.12 run -"]
    );
    assert_eq!(
        description["skipped"],
        json!([{"name": "other", "reason": "of a program only the entry point is called"}])
    );
}

#[test]
fn the_exit_code_comes_through() {
    let start = r#"(func (export "_start") i32.const 3 call $exit)"#;
    let description = describe(format!("(module {PREVIEW1} {start})").as_bytes());
    let exits: Vec<String> = functions(&description["imports"])
        .into_iter()
        .filter(|function| function.starts_with("wasi:cli/exit"))
        .collect();
    assert_eq!(exits, ["wasi:cli/exit@0.2.12 exit-with-code -"]);
}

#[test]
fn libraries_for_preview_1() {
    let description = describe(
        format!(
            r#"(module
                (import "env" "hostAdd" (func (param i32 i32) (result i32)))
                {PREVIEW1}
                (func (export "_initialize"))
                (func (export "twice") (param i32) (result i32) local.get 0))"#
        )
        .as_bytes(),
    );
    assert_eq!(description["source_kind"], "reactor");
    assert_eq!(functions(&description["exports"]), ["- twice twice"]);
    assert!(functions(&description["imports"]).contains(&"env host-add hostAdd".to_owned()));
    assert_eq!(description["skipped"], json!([]));
}

#[test]
fn other_forms_of_wasi_are_refused() {
    for module in [
        "wasi_unstable",
        "wasi_snapshot_preview0",
        "wasi_ephemeral_nn",
        "wasix_32v1",
        "wasi",
    ] {
        let text = format!(r#"(module (import "{module}" "fd_write" (func (result i32))))"#);
        let (item, message) = refusal(text.as_bytes());
        assert_eq!(item, format!("{module}.fd_write"));
        assert!(message.contains("wasm32-wasip1"), "{message}");
    }
}

#[test]
fn modules_may_carry_their_world() {
    let wit = "package a:b; interface i { f: func(a: string) -> list<u8>; }
        world w { import i; export i; }";
    let description = describe(&dummy_core_module(wit));
    assert_eq!(description["source_kind"], "component");
    assert_eq!(interface_names(&description), ["a:b/i", "a:b/i"]);
    assert_eq!(description["exports"][0]["core_name"], Value::Null);

    let module = core_module(
        "package a:b; world w { export run-it: func(a: string) -> u8; }",
        &format!(
            r#"(module {PREVIEW1} (func (export "_start") i32.const 3 call $exit)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "run-it") (param i32 i32) (result i32) i32.const 0))"#
        ),
    );
    let description = describe(&module);
    assert_eq!(description["source_kind"], "command");
    let exports = functions(&description["exports"]);
    assert_eq!(exports, ["- run-it -", "wasi:cli/run@0.2.12 run -"]);
    let imports = functions(&description["imports"]);
    assert!(imports.contains(&"wasi:cli/exit@0.2.12 exit-with-code -".to_owned()));
}

#[test]
fn a_world_that_does_not_fit_its_module_is_refused() {
    let module = core_module("package a:b; world w { export f: func(); }", "(module)");
    let (item, message) = refusal(&module);
    assert_eq!(item, "the module");
    assert!(message.contains('f'), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn preview_1_without_memory_is_refused() {
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_write"
        (func (param i32 i32 i32 i32) (result i32))))"#;
    let error = bridge_default(module.as_bytes()).unwrap_err();
    assert!(matches!(error, BridgeError::Unsupported { .. }), "{error}");
}
