//! Constants of a component's code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use component_bridge::{BridgeError, Constants, constants};

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

#[test]
fn what_cannot_be_read_is_an_error() {
    let module = wat::parse_str(
        "(module (memory 1) (func (drop (i32.eq (i32.const 7) (i32.const 8)))) (data (i32.const 0) \"abc\"))",
    )
    .unwrap();
    constants(&module).unwrap();
    for length in 0..module.len() {
        // Cut between two sections it is a module all the same.
        if let Err(error) = constants(&module[..length]) {
            assert!(matches!(error, BridgeError::Malformed(_)), "{error:?}");
        }
    }
    for index in 0..module.len() {
        for wrong in [0, 0x7f, 0xff] {
            let mut damaged = module.clone();
            damaged[index] = wrong;
            let _ = constants(&damaged);
        }
    }
    assert!(constants(b"garbage").is_err());
}
