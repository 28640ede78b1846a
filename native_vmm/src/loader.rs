//! Loads the guest image, an ELF program for one fixed address range.

use host_guest_abi::layout::{IMAGE, IMAGE_END, PAGE_BYTES};

use crate::elf::{Elf, ElfError, PF_W, PF_X, PT_LOAD};
use crate::memory::{Region, host_size, is_page_aligned, round_to_page};

/// Why an image cannot be loaded. Images are ours, so each of these is a broken build.
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
    /// Where its content lies in the file, and where it goes.
    source: (usize, usize),
    target: u64,
}

/// A checked image.
#[derive(Debug)]
pub struct GuestImage<'f> {
    file: &'f [u8],
    /// Address of the first instruction.
    pub entry: u64,
    /// The segments, in ascending order and without a common page.
    pub segments: Vec<Segment>,
}

impl<'f> GuestImage<'f> {
    /// Checks an image.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn parse(file: &'f [u8]) -> Result<Self, ImageError> {
        let elf = Elf::new(file)?;
        let entry = elf.entry();
        let mut segments = Vec::new();
        let mut free = IMAGE;
        for header in elf.program_headers()? {
            if header.kind != PT_LOAD || header.memory_bytes == 0 {
                continue;
            }
            let bad = || ImageError::Segment(header.address);
            let address = header.address - header.address % PAGE_BYTES;
            let end = header.address.checked_add(header.memory_bytes).and_then(round_to_page);
            let end = end.filter(|&end| end <= IMAGE_END).ok_or_else(bad)?;
            let (writable, executable) = (header.flags & PF_W != 0, header.flags & PF_X != 0);
            let content_end = header.offset.checked_add(header.file_bytes);
            let in_file = content_end.is_some_and(|end| end <= file.len() as u64);
            let fits = header.file_bytes <= header.memory_bytes && in_file;
            if address < free || !fits || (writable && executable) {
                return Err(bad());
            }
            free = end;
            segments.push(Segment {
                address,
                bytes: end - address,
                writable,
                executable,
                source: (host_size(header.offset), host_size(header.file_bytes)),
                target: header.address,
            });
        }
        let inside = |s: &Segment| s.executable && (s.address..s.address + s.bytes).contains(&entry);
        if !segments.iter().any(inside) {
            return Err(ImageError::Entry(entry));
        }
        Ok(Self { file, entry, segments })
    }

    /// Copies the segments into fresh memory, where guest-physical is guest-virtual.
    pub fn load(&self, memory: &Region) {
        for segment in &self.segments {
            debug_assert!(is_page_aligned(segment.address));
            let (offset, bytes) = segment.source;
            memory.write(segment.target, &self.file[offset..offset + bytes]);
        }
    }
}
