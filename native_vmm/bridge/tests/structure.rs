//! Worlds of every structure: resources, several packages, names on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{describe, dummy_component, refusal};
use serde_json::{Value, json};

fn of(wit: &str) -> Value {
    describe(&dummy_component(wit))
}

fn names(functions: &Value) -> Vec<String> {
    let name = |function: &Value| match function["interface"].as_str() {
        Some(interface) => format!("{interface} {}", function["name"].as_str().unwrap()),
        None => function["name"].as_str().unwrap().to_owned(),
    };
    functions.as_array().unwrap().iter().map(name).collect()
}

fn entry<'a>(description: &'a Value, index: &Value) -> &'a Value {
    let index = usize::try_from(index.as_u64().unwrap()).unwrap();
    &description["types"][index]
}

const STREAMS: &str = "
    interface streams {
        resource flow {
            constructor(name: string);
            read: func(count: u32) -> result<list<u8>, string>;
            splice: func(source: borrow<flow>, rest: list<borrow<flow>>) -> u64;
            join: static func(streams: list<flow>) -> flow;
        }
        resource other;
        close: func(flow: flow);
        all: func() -> list<tuple<string, flow>>;
        convert: func(flow: option<flow>) -> result<other, flow>;
    }";

#[test]
fn imported_resources() {
    let description = of(&format!(
        "package a:b; {STREAMS} world w {{ import streams; }}"
    ));
    assert_eq!(description["call_count"], 0);
    let destructors = description["resource_destructors"].as_array().unwrap();
    let dropped: Vec<_> = destructors
        .iter()
        .map(|each| {
            let resource = entry(&description, &each["resource"]);
            (each["number"].clone(), resource["name"].clone())
        })
        .collect();
    assert_eq!(
        dropped,
        [(json!(0), json!("flow")), (json!(1), json!("other"))]
    );
    let method = &description["imports"][1];
    assert_eq!(method["name"], "[method]flow.read");
    assert_eq!(method["kind"], "method");
    let resource = entry(&description, &method["resource"]);
    assert_eq!(
        *resource,
        json!({
            "kind": "resource", "name": "flow", "interface": "a:b/streams",
            "docs": null, "side": "host",
        })
    );
}

#[test]
fn exported_resources() {
    let description = of(&format!(
        "package a:b; {STREAMS} world w {{ export streams; }}"
    ));
    let functions = description["exports"].as_array().unwrap().len();
    assert_eq!(description["call_count"], functions + 2);
    assert_eq!(
        description["transfer_pages"],
        json!({"import": 0, "export": 1024})
    );
    let drops = description["resource_drops"].as_array().unwrap();
    assert_eq!(drops[0]["index"], functions);
    assert_eq!(drops[1]["index"], functions + 1);
    assert_eq!(entry(&description, &drops[0]["resource"])["side"], "guest");
    assert_eq!(description["resource_destructors"], json!([]));
}

#[test]
fn resources_on_both_sides_are_two() {
    let description = of(&format!(
        "package a:b; {STREAMS} world w {{ import streams; export streams; }}"
    ));
    let dropped = &description["resource_drops"][0]["resource"];
    let destroyed = &description["resource_destructors"][0]["resource"];
    assert_eq!(entry(&description, dropped)["side"], "guest");
    assert_eq!(entry(&description, destroyed)["side"], "host");
}

#[test]
fn host_resources_in_exports() {
    let description = of(&format!(
        "package a:b; {STREAMS}
        interface sink {{
            use streams.{{flow, other}};
            record pair {{ left: flow, right: option<flow> }}
            variant any {{ none, one(flow), many(list<flow>), two(pair), other(other) }}
            pass: func(flow: flow) -> flow;
            look: func(flow: borrow<flow>, more: list<option<borrow<flow>>>);
            turn: func(any: any, rest: list<list<pair>>) -> result<any, list<any>>;
            a: func(p0: u8, p1: u8, p2: u8, p3: u8, p4: u8, p5: u8, p6: u8, p7: u8, p8: u8,
                p9: u8, p10: u8, p11: u8, p12: u8, p13: u8, p14: u8, p15: u8, s: flow) -> flow;
        }}
        world w {{ export sink; }}"
    ));
    assert_eq!(description["resource_drops"], json!([]));
    assert_eq!(
        description["resource_destructors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let own = entry(&description, &description["exports"][0]["result"]);
    assert_eq!(own["kind"], "own");
    assert_eq!(entry(&description, &own["resource"])["side"], "host");
}

#[test]
fn host_resources_in_exports_of_the_same_interface() {
    // The exported `sink` uses the exported `streams`, the exported `tap` the imported `base`.
    of(&format!(
        "package a:b; {STREAMS}
        interface base {{ resource source; }}
        interface sink {{ use streams.{{flow}}; use base.{{source}};
            pass: func(flow: flow, source: source) -> tuple<flow, source>; }}
        interface tap {{ use base.{{source}}; drain: func(source: source) -> list<source>; }}
        world w {{ import base; import streams; import sink; export streams; export sink;
            export tap; }}"
    ));
}

#[test]
fn world_level_resources_and_types() {
    let description = of(&format!(
        "package a:b; {STREAMS}
        world w {{
            use streams.{{flow}};
            resource token {{ constructor(a: u8); show: func() -> string; }}
            record point {{ x: u8, token: token }}
            type points = list<point>;
            import give: func() -> token;
            import put: func(points: points, flow: flow);
            export take: func(token: token, loan: borrow<token>) -> option<point>;
            export draw: func(points: points, streams: list<borrow<flow>>) -> points;
        }}"
    ));
    assert_eq!(
        names(&description["imports"])[..2],
        [
            "a:b/streams [constructor]flow",
            "a:b/streams [method]flow.read"
        ]
    );
    let world_types = description["world_types"].as_object().unwrap();
    let mut world_types: Vec<&String> = world_types.keys().collect();
    world_types.sort();
    assert_eq!(world_types, ["flow", "point", "points", "token"]);
    assert_eq!(names(&description["exports"]), ["take", "draw"]);
}

#[test]
fn many_packages_and_versions() {
    let description = of("package a:b@1.0.0;
        package c:d@0.1.0 { interface i { record r { a: u8 } f: func(r: r); } }
        package c:d@0.2.0 { interface i { record r { a: u16 } f: func(r: r); } }
        package c:d@0.2.1 { interface i { record r { a: u32 } f: func(r: r); } }
        package e:f { interface i { use c:d/i@0.1.0.{r}; use c:d/i@0.2.1.{r as s};
            f: func(r: r) -> s; } }
        world w {
            import c:d/i@0.1.0; import c:d/i@0.2.0; import c:d/i@0.2.1; import e:f/i;
            export c:d/i@0.1.0; export c:d/i@0.2.0; export c:d/i@0.2.1; export e:f/i;
        }");
    let expected = ["c:d/i@0.1.0 f", "c:d/i@0.2.0 f", "c:d/i@0.2.1 f", "e:f/i f"];
    assert_eq!(names(&description["imports"]), expected);
    assert_eq!(names(&description["exports"]), expected);
}

#[test]
fn types_only_and_empty_worlds() {
    let description = of("package a:b;
        interface types { record r { a: u8 } type s = list<r>; enum e { x } type n = u32; }
        interface uses { use types.{r}; type t = r; }
        world w { import types; import uses; export uses; }");
    assert_eq!(description["call_count"], 0);
    let exported = description["interfaces"].as_array().unwrap();
    let exported = exported
        .iter()
        .find(|each| each["direction"] == "export")
        .unwrap();
    assert_eq!(exported["types"]["r"], exported["types"]["t"]);
    let description = of("package a:b; world w { }");
    assert_eq!(description["transfer_pages"]["import"], 0);
}

#[test]
fn names_that_the_bridges_use() {
    let description = of("package a:b;
        interface guest { call0: func(); alloc: func(); }
        interface host { host-call: func(f: u32, p: u32) -> u32; }
        interface export0 { f: func(); }
        world w {
            import host-call: func(a: string) -> string;
            import call0: func();
            import alloc: func(size: u32) -> u32;
            import function0: func(); import type0: func(); import root: func();
            import handles: interface { make0: func(); }
            import guest; import host; import export0;
            export host-call: func(a: string) -> string;
            export call0: func();
            export alloc: func(size: u32) -> u32;
            export function0: func() -> u8; export function1: func(); export type0: func();
            export guest; export host; export export0;
        }");
    assert_eq!(description["imports"].as_array().unwrap().len(), 11);
    assert_eq!(description["exports"].as_array().unwrap().len(), 10);
}

#[test]
fn the_reserved_package_is_refused() {
    for direction in ["import", "export"] {
        for interface in ["host", "guest", "root", "anything"] {
            let (item, message) = refusal(&dummy_component(&format!(
                "package a:b; package hlwasm:%bridge {{ interface {interface} {{ f: func(); }} }}
                world w {{ {direction} hlwasm:%bridge/{interface}; }}"
            )));
            assert_eq!(item, "hlwasm:bridge");
            assert!(message.contains("reserved"), "{message}");
        }
    }
}

#[test]
fn equal_types_of_import_and_export_are_one() {
    let description = of("package a:b;
        interface i { record point { x: list<u8>, y: list<u8> } f: func(p: point, q: list<u8>); }
        world w { import i; export i; export g: func(r: list<u8>); }");
    let types = description["types"].as_array().unwrap();
    assert_eq!(types.len(), 2, "{types:?}");
}

#[test]
fn an_import_may_be_a_part_of_the_export() {
    // The import has one function of the interface, the export has the other.
    let description = describe(
        br#"(component
            (import "a:b/i" (instance
                (export "only-imported" (func (param "x" string)))
                (type $t' (record (field "a" u8)))
                (export "t" (type $t (eq $t')))
                (export "both" (func))))
            (core module $m (func (export "f")))
            (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m "f")))
            (instance $i (export "both" (func $f)) (export "only-exported" (func $f)))
            (export "a:b/i" (instance $i)))"#,
    );
    assert_eq!(
        names(&description["imports"]),
        ["a:b/i only-imported", "a:b/i both"]
    );
    assert_eq!(
        names(&description["exports"]),
        ["a:b/i both", "a:b/i only-exported"]
    );
}

#[test]
fn functions_may_name_types_of_interfaces_directly() {
    // WIT text would say `use`; binaries need not.
    let description = describe(
        br#"(component
            (import "a:b/i" (instance $i
                (type $r' (record (field "a" u8)))
                (export "r" (type $r (eq $r')))
                (export "h" (type $h (sub resource)))))
            (alias export $i "r" (type $r))
            (alias export $i "h" (type $h))
            (import "f" (func $f (param "x" (list $r)) (param "y" (own $h))))
            (import "type0" (func))
            (core module $m
                (memory (export "memory") 1)
                (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32 i32 i32)))
            (core instance $m (instantiate $m))
            (func $g (param "x" (list $r)) (param "y" (own $h))
                (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "r"))))
            (export "g" (func $g)))"#,
    );
    assert_eq!(names(&description["exports"]), ["g"]);
    assert_eq!(description["world_types"], json!({}));
}

#[test]
fn interfaces_may_name_types_of_interfaces_directly() {
    describe(
        br#"(component
            (import "a:b/i" (instance $i
                (type $r' (record (field "a" u8)))
                (export "r" (type $r (eq $r')))
                (export "h" (type $h (sub resource)))))
            (alias export $i "r" (type $r))
            (alias export $i "h" (type $h))
            (import "a:b/j" (instance
                (export "f" (func (param "x" (list $r)) (param "y" (own $h))))))
            (core module $m
                (memory (export "memory") 1)
                (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32 i32 i32)))
            (core instance $m (instantiate $m))
            (func $g (param "x" (list $r)) (param "y" (own $h))
                (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "r"))))
            (instance $k (export "g" (func $g)))
            (export "a:b/k" (instance $k)))"#,
    );
}

#[test]
fn docs_are_described_where_wit_carries_them() {
    let description = of("package a:b; interface i { f: func(); } world w { export i; }");
    assert_eq!(description["exports"][0]["docs"], Value::Null);
}

#[test]
fn what_toolchains_left_behind_is_left_out() {
    let init = "init: func(app-name: string, symbols: list<u8>, stub-wasi: bool)";
    let description = of(&format!(
        "package a:b; world w {{
            export exports: interface {{ {init} -> result<_, string>; }}
            export init: func(shim: string, script: string, entry-path: option<string>,
                disable-gc: bool) -> result<_, string>;
            export run: func();
        }}"
    ));
    assert_eq!(names(&description["exports"]), ["run"]);
    let skipped = description["skipped"].as_array().unwrap();
    let skipped: Vec<&Value> = skipped.iter().map(|each| &each["name"]).collect();
    assert_eq!(skipped, ["exports", "init"]);
    assert!(!description["wit"].as_str().unwrap().contains("init"));
}

#[test]
fn what_only_has_their_names_is_kept() {
    let init = "init: func(app-name: string, symbols: list<u8>, stub-wasi: bool)";
    let description = of(&format!(
        "package a:b; world w {{
            export exports: interface {{ {init}; other: func(); }}
            export init: func(script: string);
        }}"
    ));
    assert_eq!(description["exports"].as_array().unwrap().len(), 3);
    assert_eq!(description["skipped"], json!([]));
}
