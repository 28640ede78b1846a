//! Every type of WIT in every position: the composed components are valid and described.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{describe, dummy_component};
use serde_json::Value;

/// Types to try, each with definitions that it needs.
const TYPES: &[(&str, &str)] = &[
    ("", "bool"),
    ("", "u8"),
    ("", "s8"),
    ("", "u16"),
    ("", "s16"),
    ("", "u32"),
    ("", "s32"),
    ("", "u64"),
    ("", "s64"),
    ("", "f32"),
    ("", "f64"),
    ("", "char"),
    ("", "string"),
    ("", "list<u8>"),
    ("", "list<string>"),
    ("", "list<list<f64>>"),
    ("", "map<string, u8>"),
    ("", "map<u32, list<map<bool, string>>>"),
    ("", "tuple<u8>"),
    ("", "tuple<u8, u64, string>"),
    ("", "option<u8>"),
    ("", "option<option<string>>"),
    ("", "result"),
    ("", "result<u8>"),
    ("", "result<_, string>"),
    ("", "result<f32, u64>"),
    ("", "result<list<u8>, option<f64>>"),
    ("record t { a: u8, b: u64, c: bool }", "t"),
    ("record t { a: u8 } record u { x: t, y: list<t> }", "u"),
    ("enum t { one }", "t"),
    ("enum t { one, two, three }", "t"),
    ("flags t { a }", "t"),
    ("flags t { a, b, c, d, e, f, g, h, i }", "t"),
    (
        "flags t { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q }",
        "t",
    ),
    ("variant t { a, b }", "t"),
    ("variant t { a(u8), b(f32), c(string), d, e(u64) }", "t"),
    ("variant t { a(f64), b(tuple<f32, u8>) }", "t"),
    ("variant t { a(list<u8>), b(tuple<u64, f64>) }", "t"),
    ("type t = u32;", "t"),
    ("type t = list<string>; type u = t;", "u"),
    (
        "variant u { a(t), b } record t { x: option<f32> }",
        "list<option<result<u, tuple<u, char>>>>",
    ),
    // More than sixteen flat values: parameters go through memory.
    (
        "",
        "tuple<u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8>",
    ),
    (
        "",
        "tuple<string, string, string, string, string, string, string, string>",
    ),
    (
        "",
        "tuple<string, string, string, string, string, string, string, string, bool>",
    ),
];

fn interface(definitions: &str, value: &str) -> String {
    format!(
        "interface i {{ {definitions}
            take: func(value: {value});
            give: func() -> {value};
            pass: func(before: u8, value: {value}, after: f64) -> {value};
            nest: func(values: list<{value}>) -> option<{value}>;
        }}"
    )
}

#[test]
fn as_import_and_as_export() {
    for (definitions, value) in TYPES {
        let interface = interface(definitions, value);
        for items in ["import i;", "export i;", "import i; export i;"] {
            let wit = format!("package a:b; {interface} world w {{ {items} }}");
            let description = describe(&dummy_component(&wit));
            check_records(&description);
        }
    }
}

#[test]
fn at_world_level() {
    for (definitions, value) in TYPES {
        for direction in ["import", "export"] {
            let wit = format!(
                "package a:b; world w {{ {definitions}
                    {direction} take: func(value: {value});
                    {direction} give: func() -> {value};
                    {direction} pass: func(before: u8, value: {value}) -> {value};
                }}"
            );
            let description = describe(&dummy_component(&wit));
            check_records(&description);
        }
    }
}

#[test]
fn in_inline_interfaces() {
    for (definitions, value) in TYPES {
        let body = format!("{{ {definitions} pass: func(value: {value}) -> {value}; }}");
        let wit = format!(
            "package a:b; world w {{ import one: interface {body} export one: interface {body} }}"
        );
        let description = describe(&dummy_component(&wit));
        check_records(&description);
    }
}

/// Sizes and offsets of every function agree with an independent computation.
fn check_records(description: &Value) {
    let types = description["types"].as_array().unwrap();
    let functions = [&description["imports"], &description["exports"]];
    for function in functions.iter().flat_map(|list| list.as_array().unwrap()) {
        let (mut size, mut align) = (0, 1);
        for param in function["params"].as_array().unwrap() {
            let (param_size, param_align) = extent(types, &param["type"]);
            size = up(size, param_align) + param_size;
            align = align.max(param_align);
        }
        size = up(size, align);
        assert_eq!(function["params_size"], size, "{function}");
        assert_eq!(function["params_align"], align, "{function}");
        if let Some(offset) = function.get("result_offset") {
            let (result_size, result_align) = match &function["result"] {
                Value::Null => (0, 1),
                result => extent(types, result),
            };
            assert_eq!(*offset, up(64 + size, result_align), "{function}");
            let end = offset.as_u64().unwrap() + result_size;
            assert_eq!(function["end_offset"], end, "{function}");
        }
    }
}

fn up(offset: u64, align: u64) -> u64 {
    offset.next_multiple_of(align)
}

/// Size and alignment as the specification of the canonical ABI has them.
fn extent(types: &[Value], value: &Value) -> (u64, u64) {
    let Some(index) = value.as_u64() else {
        let size = match value.as_str().unwrap() {
            "bool" | "u8" | "s8" => 1,
            "u16" | "s16" => 2,
            "u32" | "s32" | "f32" | "char" => 4,
            "u64" | "s64" | "f64" => 8,
            "string" => return (8, 4),
            other => panic!("unknown type {other}"),
        };
        return (size, size);
    };
    let entry = &types[usize::try_from(index).unwrap()];
    let list = |key: &str| entry[key].as_array().unwrap().clone();
    match entry["kind"].as_str().unwrap() {
        "record" => fields(types, list("fields").iter().map(|field| &field["type"])),
        "tuple" => fields(types, list("types").iter()),
        "list" => (8, 4),
        "own" | "borrow" => (4, 4),
        "flags" => match list("flags").len() {
            0..=8 => (1, 1),
            9..=16 => (2, 2),
            _ => (4, 4),
        },
        "enum" => cases(types, list("cases").len(), [].iter()),
        "option" => cases(types, 2, [entry["type"].clone()].iter()),
        "result" => cases(types, 2, [entry["ok"].clone(), entry["err"].clone()].iter()),
        "variant" => {
            let all = list("cases");
            cases(types, all.len(), all.iter().map(|case| &case["type"]))
        }
        other => panic!("unknown kind {other}"),
    }
}

fn fields<'a>(types: &[Value], values: impl Iterator<Item = &'a Value>) -> (u64, u64) {
    let (size, align) = values.fold((0, 1), |(size, align), value| {
        let (value_size, value_align) = extent(types, value);
        (up(size, value_align) + value_size, align.max(value_align))
    });
    (up(size, align), align)
}

fn cases<'a>(
    types: &[Value],
    count: usize,
    payloads: impl Iterator<Item = &'a Value>,
) -> (u64, u64) {
    let tag = if count <= 256 { 1 } else { 2 };
    let (size, align) = payloads
        .filter(|payload| !payload.is_null())
        .map(|payload| extent(types, payload))
        .fold((0, 1), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    let whole = align.max(tag);
    (up(up(tag, align) + size, whole), whole)
}
