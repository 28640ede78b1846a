//! Constants of a component's code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use component_bridge::{BridgeError, Constants, constants};
use wasm_encoder::{
    CodeSection, Component, ConstExpr, DataSection, Encode, Function, FunctionSection, Instruction,
    Module, ModuleSection, TypeSection,
};

fn found(text: &str) -> Constants {
    constants(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn texts(constants: &Constants) -> Vec<&str> {
    constants.texts.iter().map(String::as_str).collect()
}

#[test]
fn numbers_are_found_and_those_that_are_compared_come_first() {
    let found = found(
        "(component (core module (func (param i32 i64 f32 f64)
           (drop (i32.add (local.get 0) (i32.const 99999)))
           (drop (i32.eq (local.get 0) (i32.const 0x12345678)))
           (drop (i32.lt_u (i32.const -5) (local.get 0)))
           (drop (i64.ne (local.get 1) (i64.const -81985529216486896)))
           (drop (f32.eq (local.get 2) (f32.const 0.1)))
           (drop (f64.eq (local.get 3) (f64.const 2.5)))
           (drop (f64.eq (local.get 3) (f64.const nan)))
           (drop (f64.eq (local.get 3) (f64.const 2.5))))))",
    );
    let compared: Vec<i64> = found.compared.iter().copied().collect();
    assert_eq!(compared, [0x1234_5678, -5, -81_985_529_216_486_896]);
    let integers: Vec<i64> = found.integers.iter().copied().collect();
    assert_eq!(integers, [99_999]);
    assert_eq!(found.floats, [f64::from(0.1_f32), 2.5]);
}

#[test]
fn texts_are_found_by_reference_and_by_themselves() {
    // One behind the other without an end, as Rust has them; with an end, as C.
    let found = found(
        "(component (core module
           (memory 1)
           (data (i32.const 1024) \"helloopen sesameworld\")
           (data (i32.const 2048) \"swordfish\\00\\01\\02tail\\00\\e2\\82\\ac5\")
           (func $compare (param i32 i32 i32) (result i32) (i32.const 0))
           (func (param i32 i32)
             (drop (call $compare (local.get 0) (i32.const 1029) (i32.const 11)))
             (drop (call $compare (i32.const 1024) (local.get 0) (i32.const 5)))
             (drop (call $compare (local.get 0) (i32.const 2048) (local.get 1))))))",
    );
    assert_eq!(
        texts(&found),
        [
            "open sesame",
            "hello",
            "swordfish",
            "helloopen sesameworld",
            "tail",
            "€5"
        ]
    );
    assert!(!found.integers.contains(&1029));
}

#[test]
fn texts_that_are_compared_word_by_word_are_put_together() {
    let found = found(
        "(module (memory 1) (func (param i32) (result i32)
           (i32.xor (i32.load (local.get 0)) (i32.const 0x6967616d))
           (i32.xor (i32.load8_u offset=4 (local.get 0)) (i32.const 0x63))
           i32.or)
         (func (param i32) (result i32)
           (i64.eq (i64.load (local.get 0)) (i64.const 0x64726f7773736170))
           (i32.eq (i32.load offset=6 (local.get 0)) (i32.const 0x73216472))
           i32.and))",
    );
    let texts = texts(&found);
    for text in ["magic", "password", "password!s"] {
        assert!(texts.contains(&text), "{text}: {texts:?}");
    }
}

#[test]
fn all_modules_of_a_component_are_looked_at() {
    let found = found(
        "(component
           (component (core module (memory 1) (data (i32.const 8) \"inner\")
             (func (drop (i32.eq (i32.const 8) (i32.const 8))))))
           (core module (memory 1) (data (i32.const 8) \"outer\")))",
    );
    assert_eq!(texts(&found), ["inner", "outer"]);
}

#[test]
fn what_is_found_is_bounded() {
    let mut text = "(module (memory 100) (func\n".to_owned();
    for number in 0..50_000 {
        text += &format!("(drop (i32.eq (i32.const {number}) (i32.const 1)))\n");
        text += &format!(
            "(drop (i32.const {}))(drop (f64.const {number}.5))\n",
            -number
        );
    }
    text += ") (data (i32.const 0) \"";
    for number in 0..50_000 {
        text += &format!("text{number}\\00");
    }
    text += &"x".repeat(1000);
    text += "\"))";
    let found = found(&text);
    assert_eq!(found.compared.len(), 2000);
    assert_eq!(found.integers.len(), 2000);
    assert_eq!(found.floats.len(), 2000);
    assert_eq!(found.texts.len(), 2000);
    assert!(found.texts.iter().all(|text| text.len() <= 64));
}

/// A component of so many modules, each with these instructions in a function of its own.
fn modules(count: usize, code: &[u8], data: &[u8]) -> Vec<u8> {
    let mut sections = CodeSection::new();
    let mut function = Function::new([]);
    function.raw(code.iter().copied());
    function.instruction(&Instruction::End);
    sections.function(&function);
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut segments = DataSection::new();
    segments.active(0, &ConstExpr::i32_const(0), data.iter().copied());
    let mut module = Module::new();
    module.section(&types).section(&functions);
    module.section(&sections).section(&segments);
    let mut component = Component::new();
    for _ in 0..count {
        component.section(&ModuleSection(&module));
    }
    component.finish()
}

/// `i32.const` and `drop` of each.
fn dropped(values: impl Iterator<Item = i32>) -> Vec<u8> {
    let mut code = Vec::new();
    for value in values {
        Instruction::I32Const(value).encode(&mut code);
        Instruction::Drop.encode(&mut code);
    }
    code
}

#[test]
fn the_work_is_bounded() {
    let start = Instant::now();
    // All are addresses.
    let addresses = modules(50, &dropped(0..20_000), &[1; 20_001]);
    assert!(constants(&addresses).unwrap().integers.is_empty());
    // Small modules behind a large one.
    let mut small = modules(1, &dropped(0..20_000), &[]);
    small.extend_from_slice(&modules(100_000, &dropped(0..2), &[1; 4])[8..]);
    assert_eq!(constants(&small).unwrap().integers.len(), 2000);

    let mut floats = Vec::new();
    for number in 0_u16..1999 {
        Instruction::F64Const(f64::from(number).into()).encode(&mut floats);
    }
    for _ in 0..1_000_000 {
        Instruction::F64Const(1998.0.into()).encode(&mut floats);
    }
    let found = constants(&modules(1, &floats, &[])).unwrap();
    assert_eq!(found.floats.len(), 1999);
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn a_module_leaves_places_for_those_behind_it() {
    let large: String = (0..4000)
        .map(|n| {
            format!(
                "(drop (i32.eq (i32.const {n}) (i32.const {n})))
                 (drop (i32.const {})) (drop (f64.const {n}.5))",
                n + 10_000
            )
        })
        .collect();
    let texts: String = (0..4000).map(|n| format!("text{n}\\00")).collect();
    let found = found(&format!(
        "(component
           (core module (memory 1) (func {large}) (data (i32.const 100000) \"{texts}\"))
           (core module (memory 1)
             (func (drop (i32.eq (i32.const 99999) (i32.const 1))) (drop (i32.const 77777))
               (drop (f64.const 0.25)))
             (data (i32.const 0) \"last\")))"
    ));
    assert!(found.compared.contains(&99_999));
    assert!(found.integers.contains(&77_777));
    assert!(found.floats.contains(&0.25));
    assert!(found.texts.contains("last"));
    // And nothing is left empty.
    let lengths = [
        found.compared.len(),
        found.integers.len(),
        found.texts.len(),
    ];
    assert_eq!(lengths, [2000; 3]);
    assert_eq!(found.floats.len(), 2000);
}

#[test]
fn an_address_of_one_module_is_a_number_of_another() {
    let found = found(
        "(component
           (core module (func (drop (i32.const 1029))))
           (core module (memory 1) (data (i32.const 1024) \"something\")
             (func (drop (i32.const 1030)))))",
    );
    let integers: Vec<i64> = found.integers.iter().copied().collect();
    assert_eq!(integers, [1029]);
}

#[test]
fn texts_that_are_referred_to_come_first_and_pieces_do_not_fill_the_places() {
    // Behind many numbers that could be texts.
    let pieces: String = (0..3000)
        .map(|n| {
            let bytes = format!("{n:04}");
            let number = u32::from_le_bytes(bytes.as_bytes().try_into().unwrap());
            format!("(drop (i32.eq (local.get 0) (i32.const {number})))")
        })
        .collect();
    let others: String = (0..3000).map(|n| format!("other{n}\\00")).collect();
    let two = u16::from_le_bytes(*b"xH");
    let found = found(&format!(
        "(component (core module
           (memory 2)
           (data (i32.const 65536) \"first\\00second\\00{others}\")
           (func (param i32)
             (drop (i32.eq (local.get 0) (i32.const {two})))
             (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop)
             (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop)
             {pieces}
             (drop (i32.const 65536)) (nop) (nop) (nop) (nop) (drop (i32.const 65542)))))"
    ));
    let texts = texts(&found);
    assert_eq!(texts.len(), 2000);
    assert_eq!(texts[..3], ["first", "second", "0000"]);
    let place = |wanted: &str| texts.iter().position(|text| *text == wanted);
    assert_eq!(place("other0"), Some(252));
    assert_eq!(place("other1747"), Some(1999));
    assert_eq!(place("xH"), None);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let module = wat::parse_str(
        "(module (memory 1) (func (drop (i32.eq (i32.const 7) (i32.const 8)))) (data (i32.const 0) \"abc\"))",
    )
    .unwrap();
    let whole = constants(&module).unwrap();
    // What is found in what can be read, or a reason why not, in one line.
    let check = |input: &[u8]| match constants(input) {
        Ok(found) => Some(found),
        Err(BridgeError::Malformed(message)) => {
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
            None
        }
        Err(error) => panic!("{error:?}"),
    };
    let mut sections = 0;
    for length in 0..module.len() {
        if let Some(found) = check(&module[..length]) {
            // Cut between two sections it is a module all the same, with less in it.
            assert_ne!(found, whole, "{length}");
            sections += 1;
        }
    }
    // Behind the header, the types and the code.
    assert_eq!(sections, 3);
    let (mut read, mut refused) = (0, 0);
    for index in 0..module.len() {
        for wrong in [0, 0x7f, 0xff] {
            let mut damaged = module.clone();
            damaged[index] = wrong;
            match check(&damaged) {
                Some(found) => {
                    assert!(found.compared.len() <= 2 && found.texts.len() <= 1);
                    read += 1;
                }
                None => refused += 1,
            }
        }
    }
    assert!(read > 10 && refused > 10, "{read} {refused}");
    assert!(constants(b"garbage").is_err());
}
