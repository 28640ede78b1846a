//! What a component's code may compare its arguments with: constants that a test would never
//! meet by chance.
//!
//! | module | subject |
//! |---|---|
//! | `code` | numbers, and places of texts, in the bodies of functions |
//! | `data` | texts in data segments |
//! | `found` | what was found so far, with a bound |
//!
//! Nothing is validated or run. All that is found is a guess, and its number is bounded, as is
//! the work.

mod code;
mod data;
mod found;

use indexmap::IndexSet;
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::error::Result;
use crate::guard;
use crate::input::{self, Input};
use code::{Code, Seen};
use data::Data;
use found::Found;

/// Of each kind.
const FOUND_MAX: usize = 2000;
/// Integers of one module before addresses are taken out.
const INTEGERS_MAX: usize = 10 * FOUND_MAX;
/// Of one text.
const TEXT_BYTES_MAX: usize = 64;
/// Instructions that are looked at: about 40 MB of code, and three seconds at worst.
const INSTRUCTIONS_MAX: usize = 20_000_000;

/// What was found, each once, in the order of the code, as long as there are places for all.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Constants {
    /// Integers that something is compared with, as signed ones of their width.
    pub compared: IndexSet<i64>,
    /// Other integers.
    pub integers: IndexSet<i64>,
    /// Finite numbers; those of 32 bits exactly.
    pub floats: Vec<f64>,
    /// Texts that code refers to, then those that it compares in pieces, then others.
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
    let mut found = Found::default();
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
                let Seen {
                    integers,
                    compared,
                    references,
                } = code.end_module();
                let addresses = data.find(&references, &mut found);
                for value in integers {
                    // A number that is an address is hardly ever an argument.
                    if !addresses.contains(&value) && !compared.contains(&value) {
                        found.integers.add(value);
                    }
                }
                found.end_module();
                data = Data::default();
            }
            _ => {}
        }
    }
    Ok(found.into_constants())
}
