//! What was found so far, with a bound.
//!
//! No module and no kind of text takes all places: what a large runtime has would leave none
//! for the code that it runs.

use std::hash::Hash;

use indexmap::IndexSet;

use super::{Constants, FOUND_MAX, TEXT_BYTES_MAX};

/// Places that texts in pieces have at most, while there are others.
const PIECES_MAX: usize = 250;
/// Places that are left for texts that nothing refers to.
const OTHERS_MIN: usize = 500;

/// Values, each once. A module has half of the places that those before it left, and what it
/// has more goes behind that of all others.
pub(super) struct Shared<T> {
    first: IndexSet<T>,
    rest: IndexSet<T>,
    room: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            first: IndexSet::new(),
            rest: IndexSet::new(),
            room: FOUND_MAX / 2,
        }
    }
}

impl<T: Hash + Eq> Shared<T> {
    pub(super) fn add(&mut self, value: T) {
        if self.is_full() || self.first.contains(&value) {
            return;
        }
        if self.room > 0 {
            self.room -= 1;
            self.first.insert(value);
        } else {
            self.rest.insert(value);
        }
    }

    /// Whether nothing is taken of this module any more.
    fn is_full(&self) -> bool {
        self.room == 0 && self.rest.len() >= FOUND_MAX
    }

    fn contains(&self, value: &T) -> bool {
        self.first.contains(value) || self.rest.contains(value)
    }

    /// Another module begins.
    fn end_module(&mut self) {
        self.room = FOUND_MAX.saturating_sub(self.first.len()).div_ceil(2);
    }

    fn into_all(self) -> impl Iterator<Item = T> {
        let all: IndexSet<T> = self.first.into_iter().chain(self.rest).collect();
        all.into_iter().take(FOUND_MAX)
    }
}

/// All that was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) compared: Shared<i64>,
    pub(super) integers: Shared<i64>,
    /// Their bits.
    floats: Shared<u64>,
    /// Texts that code refers to.
    pub(super) referenced: Texts,
    /// Texts that it compares in pieces, as numbers.
    pub(super) pieces: Texts,
    /// Texts that are in data.
    pub(super) others: Texts,
}

impl Found {
    pub(super) fn add_float(&mut self, value: f64) {
        if value.is_finite() {
            self.floats.add(value.to_bits());
        }
    }

    pub(super) fn end_module(&mut self) {
        self.compared.end_module();
        self.integers.end_module();
        self.floats.end_module();
        for texts in [&mut self.referenced, &mut self.pieces, &mut self.others] {
            texts.0.end_module();
        }
    }

    pub(super) fn into_constants(self) -> Constants {
        let Self {
            compared, integers, ..
        } = self;
        let integers = integers.into_all();
        let integers = integers.filter(|value| !compared.contains(value)).collect();
        let [referenced, pieces, others] =
            [self.referenced, self.pieces, self.others].map(|texts| texts.0.into_all());
        let (pieces, others): (Vec<String>, Vec<String>) = (pieces.collect(), others.collect());
        let left = pieces.len().min(PIECES_MAX) + others.len().min(OTHERS_MIN);
        let mut texts: IndexSet<String> = referenced.take(FOUND_MAX - left).collect();
        texts.extend(pieces.into_iter().take(PIECES_MAX));
        texts.extend(others);
        texts.truncate(FOUND_MAX);
        Constants {
            compared: compared.into_all().collect(),
            integers,
            floats: self.floats.into_all().map(f64::from_bits).collect(),
            texts,
        }
    }
}

/// Texts of one kind.
#[derive(Default)]
pub(super) struct Texts(Shared<String>);

impl Texts {
    /// Adds what is a text, and not too long.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > TEXT_BYTES_MAX || self.is_full() {
            return;
        }
        if let Ok(text) = std::str::from_utf8(bytes)
            && text.chars().all(is_printable)
        {
            self.0.add(text.to_owned());
        }
    }

    /// Whether nothing is taken of this module any more.
    pub(super) fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

fn is_printable(character: char) -> bool {
    !character.is_control() || matches!(character, '\t' | '\n' | '\r')
}
