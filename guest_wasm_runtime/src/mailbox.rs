//! The shared page: commands come in, outcomes go out.
//!
//! Every host call, answer and command passes through here, so all of it is plain
//! loads and stores of fixed addresses.

use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use host_guest_abi::layout::{BOOT_INFO, MAILBOX};
use host_guest_abi::mailbox::{
    BOOT_RAM_BYTES, BOOT_WINDOW_BYTES, BOOT_WINDOW_COUNT, COMMAND, COMMAND_ARGUMENTS,
    COMMAND_SEQUENCE, DONE_SEQUENCE, DONE_STATUS, DONE_TEXT_BYTES, DONE_VALUES,
};

use crate::exit;
use crate::units::size;

/// What the host wants done.
pub struct Command {
    sequence: u64,
    /// One of `host_guest_abi::command`.
    pub code: u64,
    /// Meaning depends on the command.
    pub arguments: [u64; 6],
}

/// How a command ended.
pub struct Outcome {
    /// One of the `STATUS_` codes.
    pub status: u64,
    /// Meaning depends on command and status.
    pub values: [u64; 2],
    /// Bytes in the text area.
    pub text_bytes: usize,
}

/// One word of the mailbox page.
pub fn word(index: u64) -> &'static AtomicU64 {
    word_at(MAILBOX, index)
}

fn word_at(page: u64, index: u64) -> &'static AtomicU64 {
    debug_assert!(index < 512);
    let address = size(page + index * 8);
    // SAFETY: both pages are mapped read-write for the whole life of the guest, words are
    // aligned, and both sides access them as whole words only.
    unsafe { &*core::ptr::with_exposed_provenance::<AtomicU64>(address) }
}

/// Bytes of RAM, from guest-physical 0.
pub fn ram_bytes() -> u64 {
    word_at(BOOT_INFO, BOOT_RAM_BYTES).load(Ordering::Relaxed)
}

/// Number of windows.
pub fn window_count() -> u64 {
    word_at(BOOT_INFO, BOOT_WINDOW_COUNT).load(Ordering::Relaxed)
}

/// Capacity of a window in bytes.
pub fn window_bytes(index: u64) -> u64 {
    word_at(BOOT_INFO, BOOT_WINDOW_BYTES + index).load(Ordering::Relaxed)
}

/// Waits for the command after number `last`. The only place where the guest idles.
pub fn wait_for_command(last: u64) -> Command {
    loop {
        exit::notify(host_guest_abi::exit::EXIT_READY);
        let sequence = word(COMMAND_SEQUENCE).load(Ordering::Acquire);
        if sequence != last {
            let argument = |i| word(COMMAND_ARGUMENTS + i).load(Ordering::Relaxed);
            return Command {
                sequence,
                code: word(COMMAND).load(Ordering::Relaxed),
                arguments: [
                    argument(0),
                    argument(1),
                    argument(2),
                    argument(3),
                    argument(4),
                    argument(5),
                ],
            };
        }
    }
}

/// Publishes how a command ended, and answers its number.
pub fn finish(command: &Command, outcome: &Outcome) -> u64 {
    word(DONE_STATUS).store(outcome.status, Ordering::Relaxed);
    word(DONE_VALUES).store(outcome.values[0], Ordering::Relaxed);
    word(DONE_VALUES + 1).store(outcome.values[1], Ordering::Relaxed);
    word(DONE_TEXT_BYTES).store(outcome.text_bytes as u64, Ordering::Relaxed);
    compiler_fence(Ordering::Release);
    word(DONE_SEQUENCE).store(command.sequence, Ordering::Release);
    command.sequence
}
