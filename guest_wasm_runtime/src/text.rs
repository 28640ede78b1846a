//! Text for the host: a writer into the shared text area that never overflows it.

use core::fmt;

use host_guest_abi::layout::{TEXT, TEXT_BYTES};

use crate::units::size;

const CAPACITY: usize = size(TEXT_BYTES);

/// Writes UTF-8 from the start of the text area. What does not fit is cut off at a
/// character's boundary.
pub struct TextWriter {
    length: usize,
    full: bool,
}

impl TextWriter {
    pub fn new() -> Self {
        Self {
            length: 0,
            full: false,
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Forgets what was written after `mark`, a former `len()`.
    pub fn rewind(&mut self, mark: usize) {
        self.length = self.length.min(mark);
        self.full = false;
    }

    /// What was written after `mark`.
    pub fn since(&self, mark: usize) -> &[u8] {
        let start = mark.min(self.length);
        // SAFETY: the range was written by this writer and lies in the text area.
        unsafe { core::slice::from_raw_parts(area().add(start), self.length - start) }
    }
}

fn area() -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(size(TEXT))
}

impl fmt::Write for TextWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Ok(());
        }
        let room = CAPACITY - self.length;
        let bytes = if text.len() <= room {
            text.len()
        } else {
            self.full = true;
            text.floor_char_boundary(room)
        };
        // SAFETY: `bytes` fits behind `length`; the area is the guest's to write while a
        // command runs, and `text` does not lie in it.
        unsafe { core::ptr::copy_nonoverlapping(text.as_ptr(), area().add(self.length), bytes) };
        self.length += bytes;
        Ok(())
    }
}
