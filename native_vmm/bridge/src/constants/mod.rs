//! What a component's code may compare its arguments with: constants that a test would never
//! meet by chance.
//!
//! | module | subject |
//! |---|---|
//! | `code` | numbers, and places of texts, in the bodies of functions |
//! | `data` | texts in data segments |
//!
//! Nothing is validated or run. All that is found is a guess, and its number is bounded, as is
//! the work.

mod code;
mod data;

use indexmap::IndexSet;
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::error::Result;
use crate::guard;
use crate::input::{self, Input};
use code::Code;
use data::Data;

/// Of each kind. The first ones are kept.
const FOUND_MAX: usize = 2000;
/// Integers before addresses are taken out.
const INTEGERS_MAX: usize = 10 * FOUND_MAX;
/// Of one text.
const TEXT_BYTES_MAX: usize = 64;
/// Instructions that are looked at: about 100 MB of code.
const INSTRUCTIONS_MAX: usize = 50_000_000;

/// What was found, each once, in the order of the code.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Constants {
    /// Integers that something is compared with, as signed ones of their width.
    pub compared: IndexSet<i64>,
    /// Other integers.
    pub integers: IndexSet<i64>,
    /// Finite numbers; those of 32 bits exactly.
    pub floats: Vec<f64>,
    /// Texts that code refers to, then others.
    pub texts: IndexSet<String>,
}

/// Looks through all core modules of a component, a core module or the text of one.
///
/// # Errors
/// `Malformed` where it cannot be read up to its end.
pub fn constants(input: &[u8]) -> Result<Constants> {
    guard::whole(|| {
        let (Input::Component(binary) | Input::Module(binary)) = input::read(input)?;
        find(&binary)
    })
}

fn find(binary: &[u8]) -> Result<Constants> {
    let mut found = Constants::default();
    let mut code = Code::new(INSTRUCTIONS_MAX);
    let mut data = Data::default();
    for payload in Parser::new(0).parse_all(binary) {
        match payload? {
            Payload::CodeSectionEntry(body) => code.add(&body, &mut found)?,
            Payload::DataSection(section) => {
                for segment in section {
                    data.add(&segment?);
                }
            }
            // Of a module, or of a component, which has neither code nor data of its own.
            Payload::End(_) => {
                data.find(&code.take_references(), &mut found);
                data = Data::default();
            }
            _ => {}
        }
    }
    let Constants {
        compared, integers, ..
    } = &mut found;
    integers.retain(|value| !compared.contains(value));
    integers.truncate(FOUND_MAX);
    Ok(found)
}

impl Constants {
    fn add_integer(&mut self, value: i64, compared: bool) {
        let (set, most) = if compared {
            (&mut self.compared, FOUND_MAX)
        } else {
            (&mut self.integers, INTEGERS_MAX)
        };
        if set.len() < most {
            set.insert(value);
        }
    }

    fn add_float(&mut self, value: f64) {
        let known = |other: &f64| other.to_bits() == value.to_bits();
        if value.is_finite() && self.floats.len() < FOUND_MAX && !self.floats.iter().any(known) {
            self.floats.push(value);
        }
    }

    /// Adds what is a text, and not too long.
    fn add_text(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > TEXT_BYTES_MAX || self.texts.len() >= FOUND_MAX {
            return;
        }
        if let Ok(text) = std::str::from_utf8(bytes)
            && text.chars().all(is_printable)
        {
            self.texts.insert(text.to_owned());
        }
    }
}

fn is_printable(character: char) -> bool {
    !character.is_control() || matches!(character, '\t' | '\n' | '\r')
}
