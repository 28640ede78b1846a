//! Just enough of ELF64: program headers of the guest image, section headers of artifacts.
//!
//! Nothing here trusts the file: every offset is checked before it is used, and the
//! tables are bounded, so a hostile artifact costs a refusal.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;
/// More entries than any file of ours has.
const ENTRIES_MAX: u16 = 4096;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_X86_64: u16 = 62;

/// Segment type: to be loaded.
pub const PT_LOAD: u32 = 1;
/// Segment flag: executable.
pub const PF_X: u32 = 1;
/// Segment flag: writable.
pub const PF_W: u32 = 2;
/// Section type: occupies no bytes of the file.
pub const SHT_NOBITS: u32 = 8;
/// Section flag: executable.
pub const SHF_EXECINSTR: u64 = 4;

/// Why a file is not an ELF64 file for x86-64.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not ELF, or for another machine.
    #[error("not an ELF64 file for x86-64")]
    Kind,
    /// A table or its entries lie outside of the file, or have an odd size.
    #[error("the {0} headers are damaged")]
    Table(&'static str),
    /// The file cannot be read.
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
}

/// Something with bytes at offsets.
pub trait Source {
    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if there are fewer bytes.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for File {
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Source for [u8] {
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(buffer.len())
            .and_then(|end| self.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramHeader {
    /// `PT_…`.
    pub kind: u32,
    /// `PF_…`.
    pub flags: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Virtual address.
    pub address: u64,
    /// Bytes in the file.
    pub file_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
}

/// A section header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionHeader {
    /// `SHT_…`.
    pub kind: u32,
    /// `SHF_…`.
    pub flags: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The ELF header.
#[derive(Debug)]
pub struct Elf<'s, S: Source + ?Sized> {
    source: &'s S,
    header: [u8; HEADER_BYTES],
}

impl<'s, S: Source + ?Sized> Elf<'s, S> {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is not one of an ELF64 file for x86-64.
    pub fn new(source: &'s S) -> Result<Self, ElfError> {
        let mut header = [0; HEADER_BYTES];
        source.fill(0, &mut header)?;
        let elf = Self { source, header };
        let identified = header.starts_with(b"\x7fELF")
            && header[4] == CLASS_64
            && header[5] == LITTLE_ENDIAN
            && u16_at(&header, 18) == MACHINE_X86_64;
        if identified {
            Ok(elf)
        } else {
            Err(ElfError::Kind)
        }
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        u64_at(&self.header, 24)
    }

    /// All program headers.
    ///
    /// # Errors
    /// If their table is damaged.
    pub fn program_headers(&self) -> Result<Vec<ProgramHeader>, ElfError> {
        let table = self.table("program", 32, 54, PROGRAM_HEADER_BYTES)?;
        let parse = |entry: &[u8]| ProgramHeader {
            kind: u32_at(entry, 0),
            flags: u32_at(entry, 4),
            offset: u64_at(entry, 8),
            address: u64_at(entry, 16),
            file_bytes: u64_at(entry, 32),
            memory_bytes: u64_at(entry, 40),
        };
        Ok(table
            .chunks_exact(PROGRAM_HEADER_BYTES)
            .map(parse)
            .collect())
    }

    /// All section headers.
    ///
    /// # Errors
    /// If their table is damaged.
    pub fn section_headers(&self) -> Result<Vec<SectionHeader>, ElfError> {
        let table = self.table("section", 40, 58, SECTION_HEADER_BYTES)?;
        let parse = |entry: &[u8]| SectionHeader {
            kind: u32_at(entry, 4),
            flags: u64_at(entry, 8),
            offset: u64_at(entry, 24),
            bytes: u64_at(entry, 32),
        };
        Ok(table
            .chunks_exact(SECTION_HEADER_BYTES)
            .map(parse)
            .collect())
    }

    /// The table whose offset is at `offset_at`, entry size at `size_at` and count behind it.
    fn table(
        &self,
        name: &'static str,
        offset_at: usize,
        size_at: usize,
        entry_bytes: usize,
    ) -> Result<Vec<u8>, ElfError> {
        let count = u16_at(&self.header, size_at + 2);
        if count > ENTRIES_MAX || usize::from(u16_at(&self.header, size_at)) != entry_bytes {
            return Err(ElfError::Table(name));
        }
        let mut table = vec![0; usize::from(count) * entry_bytes];
        let offset = u64_at(&self.header, offset_at);
        self.source
            .fill(offset, &mut table)
            .map_err(|_| ElfError::Table(name))?;
        Ok(table)
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(section_offset: u64, count: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 62;
        bytes[40..48].copy_from_slice(&section_offset.to_le_bytes());
        bytes[58] = 64;
        bytes[60..62].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    #[test]
    fn refuses_other_files() {
        assert!(matches!(Elf::new(&b"\0asm"[..]), Err(ElfError::Read(_))));
        assert!(matches!(Elf::new(&[0; 64][..]), Err(ElfError::Kind)));
    }

    #[test]
    fn refuses_tables_outside_of_the_file() -> Result<(), ElfError> {
        for (offset, count) in [(64, 1), (u64::MAX, 1), (u64::MAX - 63, 1), (64, 5000)] {
            let file = header(offset, count);
            let sections = Elf::new(&file[..])?.section_headers();
            assert!(
                matches!(sections, Err(ElfError::Table("section"))),
                "{offset:#x}"
            );
        }
        assert_eq!(Elf::new(&header(64, 0)[..])?.section_headers()?, []);
        Ok(())
    }
}
