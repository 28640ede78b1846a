//! Worlds that are WIT text alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write;

use common::{describe as describe_component, dummy_component};
use component_bridge::{
    BridgeError, Place, WitError, WitFile, WitPackage, WitSources, describe_wit,
};
use serde_json::{Value, json};

fn file(path: &str, text: &str) -> WitFile {
    WitFile {
        path: path.into(),
        text: text.into(),
    }
}

fn sources(text: &str) -> WitSources {
    WitSources {
        main: WitPackage::Text(vec![file("a.wit", text)]),
        ..WitSources::default()
    }
}

fn described(sources: &WitSources) -> Value {
    let text = describe_wit(sources).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&text).unwrap()
}

fn refusal(sources: &WitSources) -> (String, Option<Place>) {
    match describe_wit(sources).expect_err("it is described") {
        WitError::Source { message, place } => (message, place),
        error => panic!("{error}"),
    }
}

/// The functions, each type in the place of its number: a component numbers them by need.
fn functions(description: &Value) -> Value {
    let types = description["types"].as_array().unwrap();
    let mut functions = json!([description["imports"], description["exports"]]);
    put_types(&mut functions, types);
    functions
}

fn put_types(value: &mut Value, types: &[Value]) {
    match value {
        Value::Object(map) => {
            map.remove("docs");
            for (key, value) in map.iter_mut() {
                if ["type", "result", "resource", "ok", "err", "types"].contains(&key.as_str()) {
                    put_type(value, types);
                }
                put_types(value, types);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| put_types(value, types)),
        _ => {}
    }
}

fn put_type(value: &mut Value, types: &[Value]) {
    if let Some(index) = value.as_u64() {
        *value = types[usize::try_from(index).unwrap()].clone();
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(|value| put_type(value, types));
    }
}

const EVERYTHING: &str = "
package demo:all@1.2.3;
interface types {
  record point { x: f32, y: f32 }
  variant shape { circle(point), none }
  enum colour { red, dark-blue }
  flags access { read, write }
  resource blob { constructor(size: u32); size: func() -> u32; join: static func(a: blob, b: borrow<blob>) -> blob; }
  type points = list<point>;
}
interface ops {
  use types.{shape, blob, points};
  draw: func(shapes: list<shape>, at: points) -> result<string, colour-of>;
  enum colour-of { none }
  take: func(b: option<blob>) -> tuple<u8, char, bool>;
}
world all {
  use types.{access};
  import ops;
  import log: func(text: string, access: access);
  export ops;
  export run: func(access: option<option<access>>) -> result;
}";

#[test]
fn the_description_is_that_of_a_component_of_the_world() {
    let from_text = described(&sources(EVERYTHING));
    let from_component = describe_component(&dummy_component(EVERYTHING));
    assert_eq!(functions(&from_text), functions(&from_component));
    for key in [
        "call_count",
        "transfer_pages",
        "resource_drops",
        "source_kind",
    ] {
        assert_eq!(from_text[key], from_component[key], "{key}");
    }
}

#[test]
fn documentation_comes_from_the_text() {
    let text = "package a:b; world w {
        /// Adds up.
        export add: func(a: s32) -> point;
        use i.{point};
    }
    /// Geometry.
    interface i { /// A place.
        record point { /// To the right.
            x: f32 }
    }";
    let description = described(&sources(text));
    assert_eq!(description["exports"][0]["docs"], "Adds up.");
    assert_eq!(description["interfaces"][0]["docs"], "Geometry.");
    assert_eq!(description["types"][0]["docs"], "A place.");
    assert_eq!(
        description["types"][0]["fields"][0]["docs"],
        "To the right."
    );
}

#[test]
fn several_files_and_packages_are_one_description() {
    let sources = WitSources {
        main: WitPackage::Text(vec![
            file(
                "b.wit",
                "interface ops { use units:si/length.{metre}; f: func() -> metre; }",
            ),
            file("a.wit", "package a:b; world w { export ops; }"),
        ]),
        dependencies: vec![WitPackage::Text(vec![file(
            "d.wit",
            "package units:si; interface length { type metre = f64; }",
        )])],
        world: None,
    };
    let description = described(&sources);
    assert_eq!(description["world"], "a:b/w");
    assert_eq!(description["exports"][0]["result"], "f64");
}

#[test]
fn a_package_without_worlds_gets_one_that_exports_its_interfaces() {
    let text = "package a:b; interface interfaces { f: func(); } interface %use { g: func(); }";
    let description = described(&sources(text));
    assert_eq!(description["world"], "a:b/interfaces-all");
    let names: Vec<&Value> = description["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| &each["interface"])
        .collect();
    assert_eq!(names, ["a:b/interfaces", "a:b/use"]);
}

#[test]
fn the_world_is_chosen_by_name() {
    let text = "package a:b@1.0.0; world one { export f: func(); } world two {}";
    let mut chosen = sources(text);
    let (message, place) = refusal(&chosen);
    assert_eq!(
        message,
        "package `a:b@1.0.0` has several worlds, choose one: `one`, `two`"
    );
    assert_eq!(place, None);
    for name in ["one", "a:b/one", "a:b/one@1.0.0"] {
        chosen.world = Some(name.into());
        assert_eq!(described(&chosen)["world"], "a:b/one@1.0.0");
    }
    chosen.world = Some("three".into());
    assert_eq!(
        refusal(&chosen).0,
        "package `a:b@1.0.0` has no world `three`, it has `one`, `two`"
    );
    chosen.world = Some("c:d/one".into());
    assert_eq!(refusal(&chosen).0, "unknown package `c:d`");
}

#[test]
fn errors_say_where() {
    for (text, message, line, column, width) in [
        (
            "package a:b;\nworld w { export f: fun(); }",
            "expected",
            2,
            24,
            1,
        ),
        (
            "package a:b;\nworld w {\n  export f: func(x: foo);\n}",
            "`foo` does not exist",
            3,
            21,
            3,
        ),
        ("package a:b;\ninterface é", "invalid character", 2, 11, 1),
        (
            "package a:b;\ninterface i { /* ü */ type t = t; }",
            "depends on itself",
            2,
            32,
            1,
        ),
        (
            "package a:b;\nworld w { import c:d/e; }",
            "package `c:d` is not among the sources",
            2,
            18,
            3,
        ),
        (
            "package a:b;\nworld w { import nothing; }",
            "`nothing` does not exist",
            2,
            18,
            7,
        ),
        ("package a:b;\nworld w {", "expected", 2, 10, 1),
        (
            "package a:b;\ninterface i { record r { from: u8 } }",
            "; as a name it is written `%from`",
            2,
            26,
            4,
        ),
        (
            "package a:b;\ninterface i { f: func(); f: func(); }",
            "defined more than once",
            2,
            26,
            1,
        ),
    ] {
        let (found, place) = refusal(&sources(text));
        assert!(found.contains(message), "{text}: {found}");
        assert!(!found.contains('\n'), "{found}");
        let place = place.expect(text);
        assert_eq!(
            (place.line, place.column, place.width),
            (line, column, width),
            "{text}: {found}"
        );
        assert_eq!(Some(place.source.as_str()), text.lines().nth(line - 1));
        assert_eq!(place.path, "a.wit");
    }
}

#[test]
fn errors_in_a_dependency_name_its_file() {
    let mut sources = sources("package a:b; world w { import c:d/e; }");
    sources.dependencies = vec![WitPackage::Text(vec![file(
        "c.wit",
        "package c:d;\ninterface e { f: func() -> nil; }",
    )])];
    let (_, place) = refusal(&sources);
    let place = place.unwrap();
    assert_eq!(
        (place.path.as_str(), place.line, place.column),
        ("c.wit", 2, 28)
    );
}

#[test]
fn what_cannot_be_bridged_is_refused_by_name() {
    let error = describe_wit(&sources(
        "package a:b; world w { export f: func() -> stream<u8>; }",
    ));
    let Err(WitError::World(BridgeError::Unsupported { item, .. })) = error else {
        panic!("{error:?}");
    };
    assert_eq!(item, "f");
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    for items in [
        "record r { a-b: u8, A-b: u8 }",
        "variant r { a-b, A-b }",
        "enum r { a-b, A-b }",
        "flags r { a-b, A-b }",
        "type a-b = u8; type A-b = u8;",
        "a-b: func(); A-b: func();",
        "f: func(a-b: u8, A-b: u8);",
        "resource r { a-b: func(); A-b: static func(); }",
    ] {
        let text = format!("package a:b; interface i {{ {items} }}");
        let (message, place) = refusal(&sources(&text));
        assert!(message.contains("is one name with"), "{items}: {message}");
        let place = place.expect(items);
        assert_eq!(place.column, text.find("A-b").unwrap() + 1, "{items}");
    }
}

#[test]
fn nothing_and_nonsense_are_refused() {
    for text in [
        "",
        "package a:b;",
        "world w {}",
        "\0asm",
        "package a:b; }",
        "/*",
    ] {
        assert!(!refusal(&sources(text)).0.is_empty(), "{text}");
    }
    assert!(!refusal(&WitSources::default()).0.is_empty());
}

#[test]
fn long_chains_are_refused_or_described() {
    // Deeply written, deeply named, and many interfaces that each use the one before.
    let written = format!(
        "package a:b; interface i {{ type t = {}u8{}; }}",
        "list<".repeat(5000),
        ">".repeat(5000)
    );
    assert!(refusal(&sources(&written)).0.contains("nesting"));
    let mut named = "package a:b; interface i { type t0 = u8;\n".to_owned();
    for each in 1..15_000 {
        let _ = writeln!(named, "type t{each} = list<t{}>;", each - 1);
    }
    named.push('}');
    assert!(refusal(&sources(&named)).0.contains("types deep"));
    let mut used = "package a:b; interface i0 { type t0 = u8; }\n".to_owned();
    for each in 1..5_000 {
        let _ = writeln!(
            used,
            "interface i{each} {{ use i{0}.{{t{0}}}; type t{each} = u8; }}",
            each - 1
        );
    }
    described(&sources(&used));
    let many = format!(
        "package a:b; interface i {{ {} }}",
        (0..30_000)
            .map(|n| format!("type t{n} = u8;\n"))
            .collect::<String>()
    );
    assert!(refusal(&sources(&many)).0.contains("more than 20000"));
    assert!(refusal(&sources(&" ".repeat(5 << 20))).0.contains("bytes"));
}
