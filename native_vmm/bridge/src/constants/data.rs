//! Texts in data segments.

use std::collections::HashSet;

use wasmparser::{DataKind, Operator};

use super::TEXT_BYTES_MAX;
use super::code::References;
use super::found::Found;

/// A run of characters that nothing refers to is a text if it is that long.
const RUN_BYTES_MIN: usize = 3;

/// The segments of one module.
#[derive(Default)]
pub(super) struct Data<'a> {
    /// Where they are put at the start, as far as that is a constant.
    placed: Vec<(u32, &'a [u8])>,
    all: Vec<&'a [u8]>,
}

impl<'a> Data<'a> {
    /// Adds a segment.
    pub(super) fn add(&mut self, segment: &wasmparser::Data<'a>) {
        self.all.push(segment.data);
        if let DataKind::Active { offset_expr, .. } = &segment.kind {
            let start = match offset_expr.get_operators_reader().read() {
                Ok(Operator::I32Const { value }) => value.cast_unsigned(),
                _ => return,
            };
            self.placed.push((start, segment.data));
        }
    }

    /// Finds what the code refers to, and all else. Returns the numbers that are addresses.
    pub(super) fn find(mut self, references: &References, found: &mut Found) -> HashSet<i64> {
        self.placed.sort_by_key(|(start, _)| *start);
        for (address, length) in &references.pairs {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            if length <= TEXT_BYTES_MAX
                && let Some(text) = self.from(*address).and_then(|bytes| bytes.get(..length))
            {
                found.referenced.add(text);
            }
        }
        let mut addresses = HashSet::new();
        for address in &references.addresses {
            let bytes = self.from(*address).unwrap_or_default();
            let head = &bytes[..bytes.len().min(TEXT_BYTES_MAX + 1)];
            if let Some(length) = head.iter().position(|byte| *byte == 0) {
                found.referenced.add(&head[..length]);
            }
            if !bytes.is_empty() {
                addresses.insert(i64::from(address.cast_signed()));
            }
        }
        for bytes in self.all {
            for run in bytes.split(|byte| byte.is_ascii_control()) {
                if run.len() >= RUN_BYTES_MIN {
                    found.others.add(run);
                }
            }
        }
        addresses
    }

    /// What is in memory from an address to the end of its segment.
    fn from(&self, address: u32) -> Option<&'a [u8]> {
        let after = self.placed.partition_point(|(start, _)| *start <= address);
        let (start, bytes) = self.placed.get(after.checked_sub(1)?)?;
        bytes.get(usize::try_from(address - start).ok()?..)
    }
}
