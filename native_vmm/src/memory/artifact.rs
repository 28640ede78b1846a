//! The artifact: a file that the guest sees read-only, and of which it may only
//! execute the one section that holds code.
//!
//! The host itself reads the file with `pread`, never through a mapping: a file that
//! somebody truncates must not become a SIGBUS.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use host_guest_abi::layout::ARTIFACT_MAX_BYTES;

use super::large_copy::LargeCopy;
use super::units::{is_page_aligned, round_to_page};
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
    /// The file cannot be examined.
    #[error("the artifact cannot be examined: {0}")]
    File(io::Error),
}

/// A checked artifact.
#[derive(Debug)]
pub struct Artifact {
    file: File,
    bytes: u64,
    page_bytes: u64,
    code: Range<u64>,
    large_copy: LargeCopy,
}

impl Artifact {
    /// Checks the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn new(file: File, bytes: u64) -> Result<Self, ArtifactError> {
        let file_bytes = file.metadata().map_err(ArtifactError::File)?.len();
        let size = || ArtifactError::Size { bytes, file_bytes };
        if bytes == 0 || bytes > ARTIFACT_MAX_BYTES || bytes > file_bytes {
            return Err(size());
        }
        let page_bytes = round_to_page(bytes).ok_or_else(size)?;
        let code = find_code(&file, bytes)?;
        Ok(Self {
            file,
            bytes,
            page_bytes,
            code,
            large_copy: LargeCopy::default(),
        })
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The same in large pages, where that was wanted and possible.
    pub fn large_copy(&self) -> Option<Arc<File>> {
        self.large_copy.file()
    }

    /// A sandbox that was made from a snapshot with this artifact is freed: it may be time for
    /// that copy.
    pub fn clone_freed(&self) {
        self.large_copy.clone_freed(&self.file, self.bytes);
    }

    /// Bytes of the file that count.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of whole pages that they take.
    pub const fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// The pages that hold code, as offsets in the file.
    pub const fn code(&self) -> &Range<u64> {
        &self.code
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
