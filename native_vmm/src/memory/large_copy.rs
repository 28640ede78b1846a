//! A copy of an artifact in large pages.
//!
//! Sandboxes map the artifact's file. Where its pages lie apart in memory, as those of a file on
//! disk do, each page of code costs a new sandbox a fault of its own, and a Python interpreter
//! runs more than a hundred of them before its first result. Large pages of a file of memory take
//! one fault for 512. The copy is made once many sandboxes are, by a thread that nobody waits for.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use host_guest_abi::layout::LARGE_PAGE_BYTES;

use super::region::{Access, Region};
use super::sealed_file::{memory_file, seal};
use super::units::host_size;
use crate::fork;

const FILE_NAME: &CStr = c"hlwasm_artifact";
/// What is read and written at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// The copy, once it was wanted.
#[derive(Debug, Default)]
pub struct LargeCopy {
    /// Nothing until it was tried; nothing in it where it cannot be had.
    tried: Mutex<Option<Option<Arc<File>>>>,
}

impl LargeCopy {
    /// The copy, if there is one.
    pub fn file(&self) -> Option<Arc<File>> {
        fork::lock(&self.tried).clone().flatten()
    }

    /// Makes the copy of the first `bytes` bytes, whole pages, unless that was tried before.
    pub fn make(&self, file: &File, bytes: u64) {
        if bytes < LARGE_PAGE_BYTES || fork::lock(&self.tried).is_some() {
            return;
        }
        // Not under the lock: it takes milliseconds, and sandboxes are made meanwhile.
        let copy = copy_in_large_pages(file, bytes).ok().map(Arc::new);
        *fork::lock(&self.tried) = Some(copy);
    }
}

/// # Errors
/// If the file is shorter, or the kernel has no large pages to give (before 6.1, or switched off).
fn copy_in_large_pages(file: &File, bytes: u64) -> io::Result<File> {
    let copy = memory_file(FILE_NAME)?;
    let mut piece = vec![0; host_size(PIECE_BYTES)];
    let length = file.metadata()?.len().min(bytes);
    let mut position = 0;
    while position < length {
        let piece = &mut piece[..host_size((length - position).min(PIECE_BYTES))];
        file.read_exact_at(piece, position)?;
        copy.write_all_at(piece, position)?;
        position += piece.len() as u64;
    }
    copy.set_len(bytes)?;
    seal(&copy)?;
    let region = Region::reserve(bytes)?;
    region.overlay(0, bytes, Access::Read, (&copy, 0))?;
    region.collapse(0, bytes / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(bytes: u64) -> io::Result<File> {
        let file = memory_file(c"test")?;
        for position in (0..bytes).step_by(8) {
            file.write_all_at(&position.to_le_bytes(), position)?;
        }
        Ok(file)
    }

    #[test]
    fn has_the_same_bytes_and_zeros_behind_them() -> io::Result<()> {
        let (bytes, page) = (LARGE_PAGE_BYTES + 8, 0x1000);
        let file = numbered(bytes)?;
        let copy = copy_in_large_pages(&file, LARGE_PAGE_BYTES + page)?;
        let (mut original, mut copied) = (vec![0; host_size(LARGE_PAGE_BYTES + page)], Vec::new());
        file.read_exact_at(&mut original[..host_size(bytes)], 0)?;
        copied.resize(original.len(), 1);
        copy.read_exact_at(&mut copied, 0)?;
        assert!(original == copied);
        assert!(copy.write_at(&[1], 0).is_err());
        Ok(())
    }

    #[test]
    fn is_made_once_and_not_of_little() -> io::Result<()> {
        let small = LargeCopy::default();
        small.make(&numbered(0x1000)?, 0x1000);
        assert!(small.file().is_none());
        let (file, copy) = (numbered(LARGE_PAGE_BYTES)?, LargeCopy::default());
        copy.make(&file, LARGE_PAGE_BYTES);
        let first = copy.file();
        copy.make(&file, LARGE_PAGE_BYTES);
        let again = copy.file();
        assert!(first.zip(again).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)));
        Ok(())
    }
}
