//! Snapshots in files.
//!
//! The file belongs to the caller, who decides what is before and behind our part of it:
//!
//! ```text
//! position                       pages, by extents; then the pages to be copied
//! position + content_bytes       end of our part
//! ```
//! What they mean is in a record, JSON text that the caller keeps too. Nothing in either is
//! trusted: what the guest could not have written (page tables, descriptors, stubs) is not in
//! the file but made anew, and all that is in it is checked as if a guest had chosen it. So a
//! forged file can do what a hostile guest can do, and no more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use host_guest_abi::layout::{IMAGE, IMAGE_END, PAGE_BYTES, STACK, STACK_TOP};
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::snapshot::Snapshot;
use crate::arch::x86_64::registers::{self, RFLAGS};
use crate::hypervisor::Registers;
use crate::memory::{MemoryRecord, MemorySnapshot};

/// Longest record that is looked at.
const RECORD_MAX_BYTES: usize = 8 << 20;
/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;

/// Why a snapshot cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The record is not one, or contradicts itself or the file.
    #[error("the snapshot file is damaged: {0}")]
    Damaged(String),
    /// It is of a sandbox that is configured otherwise.
    #[error("the snapshot was taken of a sandbox with other limits or another component")]
    OtherLayout,
    /// It is of another machine.
    #[error("the snapshot was taken on a machine whose CPU has other features ({0})")]
    OtherCpu(String),
    /// Reading or writing failed.
    #[error("the snapshot file cannot be read or written: {0}")]
    File(#[from] io::Error),
}

/// All that is not pages.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    cpu: String,
    registers: [u64; 18],
    sequence: u64,
    request_sequence: u64,
    trap_entry: Option<u64>,
    memory: MemoryRecord,
}

impl Snapshot {
    /// Writes the pages to a file from `position`, a multiple of the page size, and answers how
    /// many bytes they take there, and the record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, file: &File, position: u64) -> Result<(u64, String), FileError> {
        let mut writer = PageWriter {
            file,
            position,
            chunk: vec![0; CHUNK],
        };
        let mut memory = self
            .memory
            .save(|source, bytes, from| writer.copy(source, bytes, from))?;
        let mut end = writer.position;
        for (page, at) in self.memory.copies_to_save().zip(&mut memory.copies) {
            file.write_all_at(page, end)?;
            at.1 = end;
            end += PAGE_BYTES;
        }
        file.set_len(end)?;
        let record = Record {
            cpu: registers::features(),
            registers: to_array(&self.registers),
            sequence: self.sequence,
            request_sequence: self.request_sequence,
            trap_entry: self.trap_entry,
            memory,
        };
        let record = serde_json::to_string(&record).map_err(io::Error::other)?;
        Ok((end - position, record))
    }

    /// The snapshot in the given part of a file, of a sandbox with this configuration. Its
    /// pages are read when they are needed.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn load(
        config: Config,
        file: File,
        position: u64,
        bytes: u64,
        record: &[u8],
    ) -> Result<Self, FileError> {
        if record.len() > RECORD_MAX_BYTES {
            return Err(damaged("its record is too long"));
        }
        let record: Record = serde_json::from_slice(record)
            .map_err(|error| FileError::Damaged(error.to_string()))?;
        let cpu = registers::features();
        if record.cpu != cpu {
            return Err(FileError::OtherCpu(difference(&record.cpu, &cpu)));
        }
        let length = file.metadata()?.len();
        let end = position.checked_add(bytes).filter(|&end| end <= length);
        let end = end.ok_or_else(|| damaged("it is shorter than it says"))?;
        let registers = from_array(&record.registers);
        if !(IMAGE..IMAGE_END).contains(&registers.rip)
            || !(STACK..=STACK_TOP).contains(&registers.rsp)
        {
            return Err(damaged("its guest does not wait for a command"));
        }
        let inside = |entry: &u64| (IMAGE..IMAGE_END).contains(entry);
        if !record.trap_entry.as_ref().is_none_or(inside) {
            return Err(damaged("its guest handles traps outside of its image"));
        }
        let Config {
            driver,
            plan,
            artifact,
            total_memory_bytes,
            image,
        } = config;
        let artifact = artifact.map(Arc::new);
        let memory = MemorySnapshot::load(
            plan,
            total_memory_bytes,
            artifact,
            &image,
            file,
            position..end,
            record.memory,
        )?;
        Ok(Self {
            driver,
            memory: Arc::new(memory),
            registers,
            sequence: record.sequence,
            request_sequence: record.request_sequence,
            trap_entry: record.trap_entry,
            image: image.range(),
            genuine: false,
        })
    }
}

/// A damaged file.
pub fn damaged(what: &str) -> FileError {
    FileError::Damaged(what.to_owned())
}

/// Copies pages into a file.
struct PageWriter<'f> {
    file: &'f File,
    position: u64,
    chunk: Vec<u8>,
}

impl PageWriter<'_> {
    /// Copies bytes of another file behind what was copied last; answers where they are.
    fn copy(&mut self, source: &File, bytes: u64, from: u64) -> io::Result<u64> {
        let start = self.position;
        let mut done = 0;
        while done < bytes {
            let left = usize::try_from(bytes - done).unwrap_or(usize::MAX);
            let chunk = &mut self.chunk[..left.min(CHUNK)];
            source.read_exact_at(chunk, from + done)?;
            // Zeros need no place on the disk.
            if chunk.iter().any(|&byte| byte != 0) {
                self.file.write_all_at(chunk, start + done)?;
            }
            done += chunk.len() as u64;
        }
        self.position += bytes;
        Ok(start)
    }
}

/// Features that only one of two lists has.
fn difference(there: &str, here: &str) -> String {
    let lacks = |list: &str, name: &&str| !list.split(' ').any(|other| other == *name);
    let missing: Vec<_> = there.split(' ').filter(|name| lacks(here, name)).collect();
    let more: Vec<_> = here.split(' ').filter(|name| lacks(there, name)).collect();
    format!(
        "here missing: {}; here only: {}",
        missing.join(" "),
        more.join(" ")
    )
}

const fn to_array(r: &Registers) -> [u64; 18] {
    [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15, r.rip, r.rflags,
    ]
}

const fn from_array(words: &[u64; 18]) -> Registers {
    /// Carry, parity, adjust, zero, sign, overflow: what ring 3 may set as it likes.
    const STATUS_FLAGS: u64 = 0x8d5;
    let [
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        rsp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip,
        rflags,
    ] = *words;
    Registers {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        rsp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip,
        rflags: rflags & STATUS_FLAGS | RFLAGS,
    }
}
