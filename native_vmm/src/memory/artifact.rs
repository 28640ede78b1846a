//! The artifact: a file that the guest sees read-only, and of which it may only
//! execute the one section that holds code.
//!
//! The host itself reads the file with `pread`, never through the mapping: a file that
//! somebody truncates must not become a SIGBUS.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use host_guest_abi::layout::ARTIFACT_MAX_BYTES;

use super::units::{host_size, is_page_aligned, round_to_page};
use crate::elf::{Elf, ElfError, SHF_EXECINSTR, SHT_NOBITS};

/// Why an artifact is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Empty, too large, or longer than the file.
    #[error(
        "{bytes} bytes of a file of {file_bytes}: must be 1 to {ARTIFACT_MAX_BYTES}, inside it"
    )]
    Size {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes of the file.
        file_bytes: u64,
    },
    /// Not an ELF file as wasmtime writes it.
    #[error("not a compiled component: {0}")]
    Elf(#[from] ElfError),
    /// No code, or more than one section of it.
    #[error("not a compiled component: {0} sections hold code, must be 1")]
    CodeSections(usize),
    /// The code is not in the file, or shares pages with what precedes it.
    #[error("not a compiled component: code at {offset:#x}, {bytes:#x} bytes, is misplaced")]
    Code {
        /// Offset in the file.
        offset: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The file cannot be examined or mapped.
    #[error("the artifact cannot be mapped: {0}")]
    Map(io::Error),
}

/// A mapped artifact.
#[derive(Debug)]
pub struct Artifact {
    file: File,
    base: NonNull<u8>,
    mapped_bytes: u64,
    file_bytes: u64,
    code: Range<u64>,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Artifact {}

impl Artifact {
    /// Checks and maps the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn new(file: File, bytes: u64) -> Result<Self, ArtifactError> {
        let file_bytes = file.metadata().map_err(ArtifactError::Map)?.len();
        let size = || ArtifactError::Size { bytes, file_bytes };
        if bytes == 0 || bytes > ARTIFACT_MAX_BYTES || bytes > file_bytes {
            return Err(size());
        }
        let code = find_code(&file, bytes)?;
        let mapped_bytes = round_to_page(bytes).ok_or_else(size)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                host_size(mapped_bytes),
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(ArtifactError::Map(io::Error::last_os_error()));
        }
        let base = NonNull::new(base.cast()).ok_or_else(size)?;
        Ok(Self {
            file,
            base,
            mapped_bytes,
            file_bytes: bytes,
            code,
        })
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Host address of the mapping.
    pub const fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes of the mapping, a multiple of the page size.
    pub const fn mapped_bytes(&self) -> u64 {
        self.mapped_bytes
    }

    /// Bytes of the file that count.
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The pages that hold code, as offsets in the file.
    pub const fn code(&self) -> &Range<u64> {
        &self.code
    }
}

impl Drop for Artifact {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the host never borrows from it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), host_size(self.mapped_bytes)) };
    }
}

/// Finds the pages of the one section with code.
fn find_code(file: &File, bytes: u64) -> Result<Range<u64>, ArtifactError> {
    let sections = Elf::new(file)?.section_headers()?;
    let code: Vec<_> = sections
        .iter()
        .filter(|section| section.flags & SHF_EXECINSTR != 0 && section.kind != SHT_NOBITS)
        .collect();
    let [section] = code[..] else {
        return Err(ArtifactError::CodeSections(code.len()));
    };
    let misplaced = || ArtifactError::Code {
        offset: section.offset,
        bytes: section.bytes,
    };
    let end = section
        .offset
        .checked_add(section.bytes)
        .filter(|&end| end <= bytes);
    let end = end.and_then(round_to_page).ok_or_else(misplaced)?;
    if section.bytes == 0 || !is_page_aligned(section.offset) {
        return Err(misplaced());
    }
    Ok(section.offset..end)
}
