//! The guest image: an ELF program for one fixed address range.
//!
//! It is checked and laid out once, in a sealed memory file. Sandboxes map that file
//! copy-on-write, so that code and constants exist once per process, and making a
//! sandbox copies none of them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use host_guest_abi::layout::{IMAGE, IMAGE_END, PAGE_BYTES};

use crate::elf::{Elf, ElfError, PF_W, PF_X, PT_LOAD, ProgramHeader};
use crate::memory::{Access, Region, host_size, memory_file, round_to_page, seal};

/// Why an image cannot be loaded. Images are ours, so the first three are broken builds.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not an ELF file.
    #[error("the guest image is damaged: {0}")]
    Elf(#[from] ElfError),
    /// A segment that is out of place, overlaps another one, or is writable and executable.
    #[error("the guest image has a bad segment at {0:#x}")]
    Segment(u64),
    /// The entry point is not in an executable segment.
    #[error("the guest image starts at {0:#x}, where it has no code")]
    Entry(u64),
    /// There is no memory for it.
    #[error("the guest image cannot be laid out: {0}")]
    Layout(#[from] io::Error),
}

/// One loadable segment, whole pages in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first page.
    pub address: u64,
    /// Bytes in memory, whole pages.
    pub bytes: u64,
    /// Whether the guest may write to it.
    pub writable: bool,
    /// Whether the guest may execute it.
    pub executable: bool,
}

/// A checked image, ready to be mapped.
#[derive(Debug)]
pub struct GuestImage {
    /// Address of the first instruction.
    pub entry: u64,
    /// The segments, in ascending order and without a common page.
    pub segments: Vec<Segment>,
    /// What is in memory from `IMAGE` to the end of the last segment.
    content: File,
}

impl GuestImage {
    /// Checks an ELF file and lays it out.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn new(file: &[u8]) -> Result<Self, ImageError> {
        let elf = Elf::new(file)?;
        let (entry, content) = (elf.entry(), memory_file(c"hlwasm_guest_image")?);
        let mut segments = Vec::new();
        let mut free = IMAGE;
        for header in elf.program_headers()? {
            if header.kind != PT_LOAD || header.memory_bytes == 0 {
                continue;
            }
            let bad = || ImageError::Segment(header.address);
            let segment = place(&header, free).ok_or_else(bad)?;
            let start = host_size(header.offset);
            let end = start
                .checked_add(host_size(header.file_bytes))
                .ok_or_else(bad)?;
            let bytes = file.get(start..end).ok_or_else(bad)?;
            content.write_all_at(bytes, header.address - IMAGE)?;
            free = segment.address + segment.bytes;
            segments.push(segment);
        }
        let inside =
            |s: &Segment| s.executable && (s.address..s.address + s.bytes).contains(&entry);
        if !segments.iter().any(inside) {
            return Err(ImageError::Entry(entry));
        }
        content.set_len(free - IMAGE)?;
        seal(&content)?;
        Ok(Self {
            entry,
            segments,
            content,
        })
    }

    /// Addresses from its first to its last page.
    pub fn range(&self) -> Range<u64> {
        let last = self.segments.last();
        IMAGE..last.map_or(IMAGE, |last| last.address + last.bytes)
    }

    /// Maps the image into memory, where guest-physical is guest-virtual.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn map(&self, memory: &Region) -> io::Result<()> {
        let end = self.range().end;
        memory.overlay(IMAGE, end - IMAGE, Access::ReadWrite, (&self.content, 0))
    }
}

/// The pages of a segment; `None` if they are out of place or the segment has bad rights.
fn place(header: &ProgramHeader, free: u64) -> Option<Segment> {
    let address = header.address - header.address % PAGE_BYTES;
    let end = header
        .address
        .checked_add(header.memory_bytes)
        .and_then(round_to_page)?;
    let (writable, executable) = (header.flags & PF_W != 0, header.flags & PF_X != 0);
    let in_place = address >= free && end <= IMAGE_END;
    let good = in_place && header.file_bytes <= header.memory_bytes && !(writable && executable);
    good.then_some(Segment {
        address,
        bytes: end - address,
        writable,
        executable,
    })
}
