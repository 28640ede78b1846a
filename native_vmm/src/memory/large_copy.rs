//! A copy of an artifact in large pages.
//!
//! Sandboxes map the artifact's file. Where its pages lie apart in memory, as those of a file on
//! disk do, each page of code costs a new sandbox a fault of its own, and a Python interpreter
//! runs more than a hundred of them before its first result. Large pages of a file of memory take
//! one fault for 512.
//!
//! The copy is made when the second sandbox made from a snapshot is freed, by the thread that
//! frees it, and once for all snapshots of a component. It takes as much memory as the artifact
//! has bytes, until the last of them is gone.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use host_guest_abi::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

use super::region::{Access, Region};
use super::sealed_file::{memory_file, seal};
use super::units::host_size;
use crate::fork;

const FILE_NAME: &CStr = c"hlwasm_artifact";
/// What is read and written at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// Larger artifacts stay where they are: nobody has said that their size may be taken twice.
const COPY_MAX_BYTES: u64 = 128 << 20;
/// Sandboxes that are freed until the copy is made. One alone may stay the only one.
const FREED: u32 = 2;

/// A file and what it holds: device, inode, size, and when it was changed.
type Identity = (u64, u64, u64, (i64, i64));
/// A file, and how many of its bytes are the artifact.
type Key = (Identity, u64);

/// The copies that somebody uses.
static COPIES: Mutex<Vec<(Key, Weak<File>)>> = Mutex::new(Vec::new());

/// The copy of one artifact, once it was wanted.
#[derive(Debug, Default)]
pub struct LargeCopy {
    freed: AtomicU32,
    file: Mutex<Option<Arc<File>>>,
}

impl LargeCopy {
    /// The copy, if there is one.
    pub fn file(&self) -> Option<Arc<File>> {
        fork::lock(&self.file).clone()
    }

    /// A sandbox that had this artifact, the first `bytes` bytes of a file, is freed. Makes the
    /// copy if it is time; that is tried once.
    pub fn clone_freed(&self, file: &File, bytes: u64) {
        let freed = self.freed.fetch_add(1, Relaxed) + 1;
        if freed == FREED && (LARGE_PAGE_BYTES..=COPY_MAX_BYTES).contains(&bytes) {
            // Without it all goes on as before.
            let copy = shared_copy(file, bytes).ok();
            *fork::lock(&self.file) = copy;
        }
    }
}

fn identity(of: &Metadata) -> Identity {
    (of.dev(), of.ino(), of.len(), (of.ctime(), of.ctime_nsec()))
}

/// The copy of a file that there is, or a new one.
fn shared_copy(file: &File, bytes: u64) -> io::Result<Arc<File>> {
    let before = identity(&file.metadata()?);
    let known = {
        let mut copies = fork::lock(&COPIES);
        copies.retain(|(_, copy)| copy.strong_count() > 0);
        let found = copies.iter().find(|(key, _)| *key == (before, bytes));
        found.and_then(|(_, copy)| copy.upgrade())
    };
    if let Some(copy) = known {
        return Ok(copy);
    }
    // Under no lock: it takes milliseconds, and sandboxes are made meanwhile.
    let copy = Arc::new(copy_in_large_pages(file, bytes)?);
    if identity(&file.metadata()?) != before {
        return Err(io::Error::other("the artifact was changed meanwhile"));
    }
    fork::lock(&COPIES).push(((before, bytes), Arc::downgrade(&copy)));
    Ok(copy)
}

/// # Errors
/// If the file is shorter, or the kernel has no large pages to give (before 6.1, or switched off).
fn copy_in_large_pages(file: &File, bytes: u64) -> io::Result<File> {
    let copy = memory_file(FILE_NAME)?;
    let mut piece = vec![0; host_size(PIECE_BYTES)];
    let mut position = 0;
    while position < bytes {
        let piece = &mut piece[..host_size((bytes - position).min(PIECE_BYTES))];
        file.read_exact_at(piece, position)?;
        copy.write_all_at(piece, position)?;
        position += piece.len() as u64;
    }
    let page_bytes = bytes.next_multiple_of(PAGE_BYTES);
    copy.set_len(page_bytes)?;
    seal(&copy)?;
    let region = Region::reserve(page_bytes)?;
    region.overlay(0, page_bytes, Access::Read, (&copy, 0))?;
    region.collapse(0, page_bytes / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES)?;
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
        let bytes = LARGE_PAGE_BYTES + 8;
        let file = numbered(bytes + 8)?;
        let copy = copy_in_large_pages(&file, bytes)?;
        let mut original = vec![0; host_size(LARGE_PAGE_BYTES + PAGE_BYTES)];
        let mut copied = vec![1; original.len()];
        file.read_exact_at(&mut original[..host_size(bytes)], 0)?;
        copy.read_exact_at(&mut copied, 0)?;
        assert!(original == copied);
        assert_eq!(copy.metadata()?.len(), copied.len() as u64);
        assert!(copy.write_at(&[1], 0).is_err());
        Ok(())
    }

    #[test]
    fn a_file_that_was_cut_is_not_copied() -> io::Result<()> {
        let file = numbered(2 * LARGE_PAGE_BYTES)?;
        for cut in [0, LARGE_PAGE_BYTES - 8, 2 * LARGE_PAGE_BYTES - 8] {
            let file = numbered(cut)?;
            assert!(
                copy_in_large_pages(&file, 2 * LARGE_PAGE_BYTES).is_err(),
                "{cut}"
            );
        }
        assert!(copy_in_large_pages(&file, 2 * LARGE_PAGE_BYTES).is_ok());
        Ok(())
    }

    #[test]
    fn is_made_when_the_second_is_freed_and_shared() -> io::Result<()> {
        let file = numbered(LARGE_PAGE_BYTES)?;
        let copies = [LargeCopy::default(), LargeCopy::default()];
        for copy in &copies {
            copy.clone_freed(&file, LARGE_PAGE_BYTES);
            assert!(copy.file().is_none());
            copy.clone_freed(&file, LARGE_PAGE_BYTES);
        }
        let [first, second] = copies.each_ref().map(LargeCopy::file);
        assert!(first.zip(second).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)));
        // One that was changed is another one.
        file.write_all_at(&[7], 0)?;
        file.set_len(LARGE_PAGE_BYTES + 1)?;
        let third = LargeCopy::default();
        (0..FREED).for_each(|_| third.clone_freed(&file, LARGE_PAGE_BYTES));
        let mut byte = [0];
        third
            .file()
            .map(|copy| copy.read_exact_at(&mut byte, 0))
            .transpose()?;
        assert_eq!(byte, [7]);
        Ok(())
    }

    #[test]
    fn little_is_not_copied() -> io::Result<()> {
        let (file, copy) = (numbered(0x1000)?, LargeCopy::default());
        (0..2 * FREED).for_each(|_| copy.clone_freed(&file, 0x1000));
        assert!(copy.file().is_none());
        Ok(())
    }
}
