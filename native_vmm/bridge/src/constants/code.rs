//! Numbers, and places of texts, in the bodies of functions.

use std::collections::HashSet;
use std::mem;

use indexmap::IndexSet;
use wasmparser::{FunctionBody, Operator};

use super::INTEGERS_MAX;
use super::found::Found;
use crate::error::Result;

/// Of one module.
const REFERENCES_MAX: usize = 100_000;
/// Instructions between a constant and what uses it: a local, and what loads from it.
const NEAR: usize = 3;
/// Of a text in pieces, and instructions between two of them.
const PIECES_BYTES_MAX: usize = 32;
/// Of a text in one piece. Many numbers are two characters.
const PIECE_BYTES_MIN: usize = 3;
const PIECES_APART_MAX: usize = 24;

/// Places in memory where a text may be.
#[derive(Default)]
pub(super) struct References {
    /// An address, and a length that stood near it.
    pub(super) pairs: IndexSet<(u32, u32)>,
    /// All that may be an address.
    pub(super) addresses: IndexSet<u32>,
}

/// What was seen of one module.
#[derive(Default)]
pub(super) struct Seen {
    /// All integers, addresses among them.
    pub(super) integers: IndexSet<i64>,
    /// Those that something is compared with.
    pub(super) compared: HashSet<i64>,
    pub(super) references: References,
}

/// Goes through functions.
pub(super) struct Code {
    instructions_left: usize,
    seen: Seen,
}

/// What was seen in the function so far.
#[derive(Default)]
struct Function {
    /// Integers in the last instructions, each with its age.
    recent: Vec<(i64, usize)>,
    /// The pieces of a text that is compared word by word.
    pieces: Vec<u8>,
    /// The last of them, and how many instructions ago it was.
    piece: Vec<u8>,
    piece_age: usize,
}

impl Code {
    pub(super) fn new(instructions: usize) -> Self {
        Self {
            instructions_left: instructions,
            seen: Seen::default(),
        }
    }

    /// What was seen of the module that ends here.
    pub(super) fn end_module(&mut self) -> Seen {
        mem::take(&mut self.seen)
    }

    /// Looks through a function.
    pub(super) fn add(&mut self, body: &FunctionBody<'_>, found: &mut Found) -> Result<()> {
        let mut function = Function::default();
        for operator in body.get_operators_reader()? {
            if self.instructions_left == 0 {
                return Ok(());
            }
            self.instructions_left -= 1;
            function.step();
            match operator? {
                Operator::I32Const { value } => self.integer(&mut function, value.into()),
                Operator::I64Const { value } => self.integer(&mut function, value),
                Operator::F32Const { value } => {
                    found.add_float(f32::from_bits(value.bits()).into());
                }
                Operator::F64Const { value } => found.add_float(f64::from_bits(value.bits())),
                operator if compares(&operator) => function.compare(&mut self.seen.compared, found),
                _ => {}
            }
        }
        Ok(())
    }

    fn integer(&mut self, function: &mut Function, value: i64) {
        let Seen {
            integers,
            references,
            ..
        } = &mut self.seen;
        if integers.len() < INTEGERS_MAX {
            integers.insert(value);
        }
        if let Some(length) = address(value) {
            for (before, _) in &function.recent {
                if let Some(before) = address(*before)
                    && references.pairs.len() < REFERENCES_MAX
                {
                    references.pairs.insert((before, length));
                }
            }
            if references.addresses.len() < REFERENCES_MAX {
                references.addresses.insert(length);
            }
        }
        function.recent.push((value, 0));
    }
}

impl Function {
    /// Another instruction.
    fn step(&mut self) {
        for (_, age) in &mut self.recent {
            *age += 1;
        }
        self.recent.retain(|(_, age)| *age <= NEAR);
        self.piece_age += 1;
        if self.piece_age > PIECES_APART_MAX {
            self.pieces.clear();
        }
    }

    /// What was last pushed is compared.
    fn compare(&mut self, compared: &mut HashSet<i64>, found: &mut Found) {
        for (value, _) in mem::take(&mut self.recent) {
            if compared.len() < INTEGERS_MAX {
                compared.insert(value);
            }
            found.compared.add(value);
            self.add_piece(value, found);
        }
    }

    /// Compilers compare short texts by their words, in order; the last word may overlap.
    fn add_piece(&mut self, value: i64, found: &mut Found) {
        if found.pieces.is_full() {
            return;
        }
        let bytes = value.to_le_bytes();
        let length = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let piece = &bytes[..length];
        if length == 0 || !piece.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return;
        }
        if length >= PIECE_BYTES_MIN {
            found.pieces.add(piece);
        }
        if !self.pieces.is_empty() {
            let longest = (1..piece.len())
                .rev()
                .find(|shared| self.piece.ends_with(&piece[..*shared]));
            if let Some(shared) = longest {
                found.pieces.add(&[&self.piece, &piece[shared..]].concat());
                found.pieces.add(&[&self.pieces, &piece[shared..]].concat());
            }
            found.pieces.add(&[&self.piece, piece].concat());
            self.pieces.extend_from_slice(piece);
            found.pieces.add(&self.pieces);
        }
        let starts = self.pieces.is_empty() || self.pieces.len() > PIECES_BYTES_MAX;
        if starts && length > 1 {
            self.pieces = piece.to_vec();
        }
        self.piece = piece.to_vec();
        self.piece_age = 0;
    }
}

/// A number that may be an address or a length.
fn address(value: i64) -> Option<u32> {
    // Addresses of 32 bits are written as signed numbers.
    u32::try_from(value)
        .or_else(|_| i32::try_from(value).map(i32::cast_unsigned))
        .ok()
}

fn compares(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Eq
            | Operator::I32Ne
            | Operator::I32LtS
            | Operator::I32LtU
            | Operator::I32GtS
            | Operator::I32GtU
            | Operator::I32LeS
            | Operator::I32LeU
            | Operator::I32GeS
            | Operator::I32GeU
            | Operator::I32Xor
            | Operator::I64Eq
            | Operator::I64Ne
            | Operator::I64LtS
            | Operator::I64LtU
            | Operator::I64GtS
            | Operator::I64GtU
            | Operator::I64LeS
            | Operator::I64LeU
            | Operator::I64GeS
            | Operator::I64GeU
            | Operator::I64Xor
    )
}
