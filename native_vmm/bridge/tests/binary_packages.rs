//! WIT packages in binary form, as `wasm-tools component wit --wasm` and `wkg` make them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{bridge_default, dummy_component};
use component_bridge::{
    BinaryPackage, BridgeError, WitError, WitFile, WitPackage, WitSources, describe_wit, print_wit,
};
use serde_json::Value;
use wit_parser::{PackageName, Resolve};

const DOCUMENTED: &str = "
package demo:shop@1.2.0;

/// What it costs.
interface prices {
    use units:money/types.{amount};
    /// A line of a bill.
    record line {
        /// How much.
        price: amount,
        note: option<option<string>>,
    }
    resource basket {
        constructor();
        /// Puts something in.
        add: func(line: line);
        total: func() -> amount;
    }
    flags %from { a-b, %use }
}
world shop {
    import log: func(text: string);
    /// Asked each time.
    export prices;
    export total: func(lines: list<tuple<u8, string>>) -> result<u64, string>;
}
package units:money { interface types { type cents = u64; record amount { cents: cents } unused: func(); } }
";

/// A package with those that are nested in its text, encoded; which one, if not the first.
fn encode(text: &str, name: Option<(&str, &str)>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut package = resolve.push_str("test.wit", text).unwrap();
    if let Some((namespace, name)) = name {
        let name = PackageName {
            namespace: namespace.into(),
            name: name.into(),
            version: None,
        };
        package = resolve.package_names[&name];
    }
    wit_component::encode(&resolve, package).unwrap()
}

fn binary(path: &str, wasm: Vec<u8>) -> WitPackage {
    WitPackage::Binary(BinaryPackage {
        path: path.into(),
        wasm,
    })
}

fn text(path: &str, text: &str) -> WitPackage {
    WitPackage::Text(vec![WitFile {
        path: path.into(),
        text: text.into(),
    }])
}

fn alone(main: WitPackage) -> WitSources {
    WitSources {
        main,
        ..WitSources::default()
    }
}

fn described(sources: &WitSources) -> Value {
    let text = describe_wit(sources).unwrap_or_else(|error| panic!("{error:?}"));
    serde_json::from_str(&text).unwrap()
}

fn refusal(sources: &WitSources) -> (String, String) {
    match describe_wit(sources).expect_err("it is described") {
        WitError::File { message, path } => (path, message),
        error => panic!("{error:?}"),
    }
}

#[test]
fn both_forms_have_the_same_description() {
    let from_text = described(&alone(text("a.wit", DOCUMENTED)));
    let from_binary = described(&alone(binary("a.wasm", encode(DOCUMENTED, None))));
    assert_eq!(from_binary["interfaces"][0]["docs"], Value::Null);
    for key in ["world", "imports", "exports", "types", "interfaces"] {
        assert_eq!(from_binary[key], from_text[key], "{key}");
    }
    let text = from_binary.to_string();
    for docs in [
        "A line of a bill.",
        "How much.",
        "Puts something in.",
        "What it costs.",
    ] {
        assert!(text.contains(docs), "{docs}");
    }
}

#[test]
fn the_text_form_of_the_binary_is_taken_too() {
    let wat = "(component (type (component
        (type (component
          (type (func (param \"a\" s32) (result s32)))
          (export \"add\" (func (type 0)))))
        (export \"demo:ops/calculator\" (component (type 0)))))
        (export \"calculator\" (type 0)))";
    let description = described(&alone(binary("a.wat", wat.into())));
    assert_eq!(description["world"], "demo:ops/calculator");
}

#[test]
fn a_package_without_worlds_gets_one() {
    let package = encode(
        "package a:b; interface %use { f: func(); } interface other {}",
        None,
    );
    let description = described(&alone(binary("a.wasm", package)));
    assert_eq!(description["world"], "a:b/interfaces");
    assert_eq!(description["exports"][0]["interface"], "a:b/use");
}

#[test]
fn worlds_are_chosen_by_name() {
    let package = encode("package a:b; world one {} world two {}", None);
    let mut sources = alone(binary("a.wasm", package));
    let Err(WitError::Source { message, .. }) = describe_wit(&sources) else {
        panic!();
    };
    assert!(message.contains("choose one: `one`, `two`"), "{message}");
    sources.world = Some("a:b/two".into());
    assert_eq!(described(&sources)["world"], "a:b/two");
}

#[test]
fn text_uses_packages_in_binary_form_and_parts_of_others() {
    // Each has another part of `units:money`, and nothing has all of it.
    let shop = "package demo:shop; interface i { use units:money/types.{a}; f: func() -> a; }
        package units:money { interface types { type a = u8; type b = u16; } }";
    let bank = "package demo:bank; interface i { use units:money/types.{b}; f: func() -> b; }
        package units:money { interface types { type a = u8; type b = u16; } }";
    let sources = WitSources {
        main: text(
            "w.wit",
            "package a:b; world w { import demo:shop/i; export demo:bank/i; }",
        ),
        dependencies: vec![
            binary("shop.wasm", encode(shop, None)),
            binary("bank.wasm", encode(bank, None)),
        ],
        world: None,
    };
    let description = described(&sources);
    assert_eq!(description["imports"][0]["result"], "u8");
    assert_eq!(description["exports"][0]["result"], "u16");

    // The whole package goes before its parts, in either form, wherever it stands.
    let whole = "package units:money; interface types { type a = u8; type b = u16; type c = u32; }";
    for money in [text("m.wit", whole), binary("m.wasm", encode(whole, None))] {
        for place in [0, 2] {
            let mut more = sources.clone();
            more.main = text(
                "w.wit",
                "package a:b; world w { import demo:shop/i; export demo:bank/i;
                 use units:money/types.{c}; export f: func() -> c; }",
            );
            more.dependencies.insert(place, money.clone());
            assert_eq!(described(&more)["exports"].as_array().unwrap().len(), 2);
        }
    }
}

#[test]
fn files_that_disagree_are_named() {
    let of = |name: &str, kind: &str| {
        let text = format!(
            "package demo:{name}; interface i {{ use x:y/types.{{a}}; f: func() -> a; }}
             package x:y {{ interface types {{ {kind} }} }}"
        );
        binary(&format!("{name}.wasm"), encode(&text, None))
    };
    let sources = WitSources {
        main: text(
            "w.wit",
            "package a:b; world w { import demo:one/i; import demo:two/i; }",
        ),
        dependencies: vec![
            of("one", "record a { f: u8 }"),
            of("two", "resource a { constructor(); }"),
        ],
        world: None,
    };
    let (path, message) = refusal(&sources);
    assert_eq!(path, "two.wasm");
    assert_eq!(message, "x:y/types.a is not the same here as in one.wasm");
}

#[test]
fn what_is_not_a_package_is_refused_in_one_line() {
    let package = encode(DOCUMENTED, None);
    let mut cases = vec![
        (
            wat::parse_str("(module)").unwrap(),
            "this is a core module, and not a WIT package",
        ),
        (
            dummy_component("package a:b; world w { export f: func(); }"),
            "this is a component, and not a WIT package: `hlwasm inspect --wit` makes WIT of it",
        ),
        (
            wat::parse_str("(component)").unwrap(),
            "this is a component, and not",
        ),
        (b"\0asm".to_vec(), "(at offset 0x4)"),
        (b"\0asm\x0d\0\x01\0garbage".to_vec(), "(at offset"),
        (b"(component".to_vec(), "(at line 1"),
        (b"\xff\xfe".to_vec(), "neither a WebAssembly binary nor"),
        (Vec::new(), "neither a WebAssembly binary nor"),
    ];
    for (length, message) in [(package.len() / 2, "offset"), (9, "offset")] {
        cases.push((package[..length].to_vec(), message));
    }
    for (wasm, expected) in cases {
        for dependency in [false, true] {
            let bad = binary("bad.wasm", wasm.clone());
            let sources = if dependency {
                WitSources {
                    main: text("a.wit", "package a:b; world w {}"),
                    dependencies: vec![bad],
                    world: None,
                }
            } else {
                alone(bad)
            };
            let (path, message) = refusal(&sources);
            assert_eq!(path, "bad.wasm");
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

#[test]
fn each_cut_and_each_wrong_byte_is_refused_or_described() {
    let package = encode(DOCUMENTED, None);
    for length in 0..package.len() {
        // Cut between two sections it is a package all the same, with less documentation.
        if let Err(error) = describe_wit(&alone(binary("cut.wasm", package[..length].to_vec()))) {
            assert!(matches!(error, WitError::File { .. }), "{error:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    for index in (0..package.len()).step_by(7) {
        let mut wrong = package.clone();
        wrong[index] ^= 0x55;
        if let Err(error) = describe_wit(&alone(binary("wrong.wasm", wrong))) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

#[test]
fn packages_that_use_each_other_in_a_circle_are_refused() {
    let wat = "(component (type (component
        (type (instance (export \"t\" (type (sub resource)))))
        (import \"x:a/one\" (instance $a (type 0)))
        (alias export $a \"t\" (type $t))
        (type (instance (alias outer 1 $t (type $o)) (export \"u\" (type (eq $o)))))
        (import \"x:b/two\" (instance $b (type 2)))
        (alias export $b \"u\" (type $u))
        (type (instance (alias outer 1 $u (type $o)) (export \"v\" (type (eq $o)))))
        (import \"x:a/three\" (instance (type 4)))
        (type (instance))
        (export \"demo:ops/i\" (instance (type 5)))))
        (export \"i\" (type 0)))";
    let (_, message) = refusal(&alone(binary("circle.wasm", wat.into())));
    assert!(message.contains("in a circle"), "{message}");
}

#[test]
fn types_that_are_long_as_text_are_refused() {
    // Each interface is as large as the validator allows.
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..13 {
        types += &format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    let functions: String = (0..25)
        .map(|n| format!("(export \"f{n}\" (func (type $f)))"))
        .collect();
    let interfaces: String = (0..6)
        .map(|n| {
            format!(
                "(type $i{n} (component
                   (type (instance {types} (type $f (func (param \"a\" $t12))) {functions}))
                   (export \"demo:ops/i{n}\" (instance (type 0)))))
                 (export \"i{n}\" (type $i{n}))"
            )
        })
        .collect();
    let wat = format!("(component {interfaces})");
    let (_, message) = refusal(&alone(binary("long.wasm", wat.into())));
    assert!(message.contains("effective type size"), "{message}");
}

/// An interface as WAT: a type with a long name, used so often in so many functions.
fn long_name(bytes: usize, uses: usize, functions: usize) -> String {
    let name = "a".repeat(bytes);
    let tuple = format!("(tuple {})", "1 ".repeat(uses));
    let functions: String = (0..functions)
        .map(|n| {
            format!(
                "(type {tuple}) (type (func (param \"p\" {}))) (export \"f{n}\" (func (type {})))",
                2 + 2 * n,
                3 + 2 * n
            )
        })
        .collect();
    format!(
        "(instance (type (record (field \"x\" u8))) (export \"{name}\" (type (eq 0))) {functions})"
    )
}

fn package_of(name: &str, interface: &str) -> Vec<u8> {
    let wat = format!(
        "(component (type (component (type {interface})
           (export \"demo:{name}/ops\" (instance (type 0))))) (export \"ops\" (type 0)))"
    );
    wat::parse_str(wat).unwrap()
}

/// Runs what must not take long, nor much memory.
fn bounded<T>(run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = run();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 1 << 20, "{peak} kB");
    outcome
}

#[test]
fn names_that_are_long_as_text_are_refused() {
    // As text 2 GB.
    let interface = long_name(100_000, 1000, 20);
    let wasm = package_of("t", &interface);
    assert!(wasm.len() < 130_000);
    let (path, message) = bounded(|| refusal(&alone(binary("long.wasm", wasm.clone()))));
    assert_eq!(path, "long.wasm");
    assert_eq!(message, "the sources have more than 4194304 bytes as text");
    let package = BinaryPackage {
        path: "long.wasm".into(),
        wasm,
    };
    let error = bounded(|| print_wit(&package)).expect_err("it is printed");
    assert_eq!(error.to_string(), message);

    let component =
        format!("(component (type {interface}) (import \"demo:t/ops\" (instance (type 0))))");
    let error = bounded(|| bridge_default(component.as_bytes())).expect_err("it is bridged");
    assert!(
        error
            .to_string()
            .contains("more than 33554432 bytes as WIT"),
        "{error}"
    );
}

#[test]
fn all_packages_together_may_be_so_long_as_text() {
    let named = |count: usize| {
        let dependencies = (0..count).map(|n| {
            let wasm = package_of(&format!("t{n}"), &long_name(10_000, 100, 1));
            binary(&format!("{n}.wasm"), wasm)
        });
        WitSources {
            main: text("w.wit", "package a:b; world w { import demo:t0/ops; }"),
            dependencies: dependencies.collect(),
            world: None,
        }
    };
    // A megabyte each.
    described(&named(4));
    let (path, _) = bounded(|| refusal(&named(5)));
    assert_eq!(path, "4.wasm");
}

#[test]
fn parts_with_long_names_are_compared_in_bounded_time() {
    let interface = long_name(100_000, 1000, 20);
    let of = |name: &str| {
        let wat = format!(
            "(component (type (component (type {interface})
               (import \"x:y/types\" (instance (type 0))) (type (instance))
               (export \"demo:{name}/i\" (instance (type 1))))) (export \"i\" (type 0)))"
        );
        binary(&format!("{name}.wasm"), wat::parse_str(wat).unwrap())
    };
    let sources = WitSources {
        main: text("w.wit", "package a:b; world w { import demo:n0/i; }"),
        dependencies: (0..10).map(|n| of(&format!("n{n}"))).collect(),
        world: None,
    };
    let (_, message) = bounded(|| refusal(&sources));
    assert_eq!(message, "the sources have more than 4194304 bytes as text");
}

#[test]
fn parts_agree_where_everything_is_the_same() {
    // Each line has definitions of one name of which no two are the same.
    let kinds = [
        "type a = u8;|type a = u16;|type a = list<u8>;|type a = list<u16>;|type a = option<u8>;\
         |type a = tuple<u8>;|type a = tuple<u8, u8>;|type a = list<list<u8>>;",
        "record a { f: u8 }|record a { g: u8 }|record a { f: u16 }|record a { f: u8, g: u8 }\
         |variant a { f(u8) }|variant a { f }|variant a { g(u8) }|enum a { f }|enum a { g }\
         |flags a { f }|flags a { g }|resource a { constructor(); }",
        "type a = result<u8>;|type a = result<u8, u8>;|type a = result<_, u8>;|type a = result;",
        "a: func();|a: func(x: u8);|a: func(y: u8);|a: func(x: u8) -> u8;|a: func() -> u8;\
         |a: func(x: u8, y: u8);|a: func(x: r);|a: func(x: borrow<r>);|a: func(x: r2);\
         |a: func(x: tuple<r>);",
    ];
    for kinds in kinds {
        let kinds: Vec<&str> = kinds.split('|').map(str::trim).collect();
        for (first, kind) in kinds.iter().enumerate() {
            for (second, other) in kinds.iter().enumerate() {
                let of = |name: &str, kind: &str| {
                    let used = if kind.contains("func") {
                        ""
                    } else {
                        "use x:y/types.{a}; f: func(x: a);"
                    };
                    let text = format!(
                        "package demo:{name}; world w {{ import x:y/types; }}
                         interface i {{ use x:y/types.{{r}}; {used} }}
                         package x:y {{ interface types {{ resource r; resource r2; {kind} }} }}"
                    );
                    binary(&format!("{name}.wasm"), encode(&text, None))
                };
                let sources = WitSources {
                    main: text(
                        "w.wit",
                        "package a:b; world v { import demo:one/i; import demo:two/i; }",
                    ),
                    dependencies: vec![of("one", kind), of("two", other)],
                    world: None,
                };
                if first == second {
                    described(&sources);
                } else {
                    let (_, message) = refusal(&sources);
                    let expected = "is not the same here as in one.wasm";
                    assert!(message.contains(expected), "{kind} {other}: {message}");
                }
            }
        }
    }
}

#[test]
fn errors_in_text_that_was_made_here_name_the_file_only() {
    let uses = "package demo:one; interface i { use x:y/types.{a}; f: func() -> a; }
        package x:y { interface types { type a = u8; } }";
    let whole = WitSources {
        main: text("w.wit", "package a:b; world w { import demo:one/i; }"),
        dependencies: vec![
            binary("one.wasm", encode(uses, None)),
            text("y.wit", "package x:y; interface types { type b = u8; }"),
        ],
        world: None,
    };
    let (path, message) = refusal(&whole);
    assert_eq!(path, "one.wasm");
    assert!(message.contains("`a`"), "{message}");

    // The same of a part.
    let uses = "package demo:one; interface i { use x:y/types.{a}; f: func() -> a; }
        package x:y { interface types { use z:z/types.{a}; } }
        package z:z { interface types { type a = u8; } }";
    let part = WitSources {
        dependencies: vec![
            binary("one.wasm", encode(uses, None)),
            text("z.wit", "package z:z; interface types { type b = u8; }"),
        ],
        ..whole
    };
    assert_eq!(refusal(&part).0, "one.wasm");
}

#[test]
fn a_package_is_printed_with_the_parts_that_it_uses() {
    let package = |wasm: Vec<u8>| BinaryPackage {
        path: "shop.wasm".into(),
        wasm,
    };
    let printed = print_wit(&package(encode(DOCUMENTED, None))).unwrap();
    for line in [
        "package demo:shop@1.2.0;",
        "  /// A line of a bill.",
        "package units:money {",
    ] {
        assert!(printed.lines().any(|each| each == line), "{printed}");
    }
    let from_text = described(&alone(text("a.wit", &printed)));
    assert_eq!(
        from_text,
        described(&alone(binary("a.wasm", encode(DOCUMENTED, None))))
    );
    for wasm in [b"(module)".to_vec(), b"(component)".to_vec(), Vec::new()] {
        assert!(print_wit(&package(wasm)).is_err());
    }
    let error = print_wit(&package(vec![0; 5 << 20])).expect_err("it is printed");
    assert!(error.to_string().contains("more than 4194304"), "{error}");
}

#[test]
fn a_package_given_for_a_component_is_called_one() {
    let error = bridge_default(&encode(DOCUMENTED, None)).expect_err("it has no code");
    let BridgeError::Unsupported { item, message } = error else {
        panic!("{error}");
    };
    assert_eq!(item, "a WIT package");
    assert!(message.contains("has no code in it"), "{message}");
}
