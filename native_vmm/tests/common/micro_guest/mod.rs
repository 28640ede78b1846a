//! A guest of a few instructions, for exits and faults that must happen exactly so.
//!
//! Its commands are its own, see [`Do`]. Trap entries end the command with `STATUS_TRAP`,
//! the values ip and address, and 1 byte of text per `has_address`.
//!
//! | file | subject |
//! |---|---|
//! | `commands.rs` | what it can be told to do |
//! | `code.rs` | its instructions |

mod code;
mod commands;

use std::sync::Arc;

use host_guest_abi::layout::{IMAGE, MAILBOX};
use native_vmm::loader::{GuestImage, ImageError};

use super::elf::elf;

pub use commands::{Do, End};

/// Where the data segment starts: readable, writable, not executable.
pub const DATA: u64 = IMAGE + 0x10_0000;
/// Where the read-only segment starts; its first word is [`CONSTANT`].
pub const CONSTANTS: u64 = IMAGE + 0x8_0000;
/// Where [`Do::Dump`] finds what the dispatcher needs for itself: rcx, rbp, r8 to r14.
pub const SAVED: u64 = MAILBOX + 0x800;
/// Where it writes the others: rbx, rdx, rsi, rdi, rsp, r15, flags, six segment registers.
pub const DUMP: u64 = DATA + 0x1000;
/// And vector and x87 registers, as XSAVE does.
pub const DUMP_EXTENDED: u64 = DATA + 0x1800;
/// What is there.
pub const CONSTANT: u64 = 0x0123_4567_89ab_cdef;

/// Where its code ends, amply, counted from `IMAGE`.
pub const IMAGE_END_OF_CODE: u64 = 0x1000;

/// The micro guest.
pub fn image() -> Result<Arc<GuestImage>, ImageError> {
    GuestImage::new(&file()).map(Arc::new)
}

/// The micro guest as an ELF file.
pub fn file() -> Vec<u8> {
    let (code, constants) = (code::bytes(), CONSTANT.to_le_bytes());
    elf(
        IMAGE,
        &[
            (IMAGE, 5, code, code.len() as u64),
            (CONSTANTS, 4, &constants, 8),
            (DATA, 6, &[], 0x3000),
        ],
    )
}
