//! The mailbox page, word by word.
//!
//! The guest may change its words at any time: each is fetched once and checked after.

use std::sync::atomic::{AtomicU64, Ordering};

use host_guest_abi::layout::MAILBOX;
use host_guest_abi::mailbox::{
    ANSWER_SEQUENCE, ANSWER_STATUS, ANSWER_VALUE, COMMAND, COMMAND_ARGUMENTS, COMMAND_SEQUENCE,
    DONE_SEQUENCE, DONE_STATUS, DONE_TEXT_BYTES, DONE_VALUES, REQUEST_ARGUMENTS, REQUEST_SEQUENCE,
};

use crate::memory::{Region, host_size};

/// Most arguments of a command.
pub const ARGUMENTS_MAX: usize = 6;

/// How a command ended.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub sequence: u64,
    pub status: u64,
    pub values: [u64; 2],
    pub text_bytes: u64,
}

/// A view of the mailbox.
#[derive(Clone, Copy)]
pub struct Mailbox<'m> {
    memory: &'m Region,
}

impl<'m> Mailbox<'m> {
    /// The mailbox in this memory.
    pub const fn new(memory: &'m Region) -> Self {
        Self { memory }
    }

    /// Writes a command; its number last, so that a polling guest finds it complete.
    pub fn write_command(self, sequence: u64, command: u64, arguments: &[u64]) {
        self.set(COMMAND, command);
        for (index, &argument) in (COMMAND_ARGUMENTS..).zip(arguments) {
            self.set(index, argument);
        }
        self.word(COMMAND_SEQUENCE)
            .store(sequence, Ordering::Release);
    }

    /// Reads how the last command ended.
    pub fn done(self) -> Done {
        Done {
            sequence: self.word(DONE_SEQUENCE).load(Ordering::Acquire),
            status: self.get(DONE_STATUS),
            values: [self.get(DONE_VALUES), self.get(DONE_VALUES + 1)],
            text_bytes: self.get(DONE_TEXT_BYTES),
        }
    }

    /// Number of the last request.
    pub fn request_sequence(self) -> u64 {
        self.word(REQUEST_SEQUENCE).load(Ordering::Acquire)
    }

    /// Argument of the last request.
    pub fn request_argument(self, index: u64) -> u64 {
        self.get(REQUEST_ARGUMENTS + index)
    }

    /// Writes the answer to a request, its number last.
    pub fn write_answer(self, sequence: u64, status: u64, value: u64) {
        self.set(ANSWER_STATUS, status);
        self.set(ANSWER_VALUE, value);
        self.word(ANSWER_SEQUENCE)
            .store(sequence, Ordering::Release);
    }

    fn get(self, index: u64) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    fn set(self, index: u64, value: u64) {
        self.word(index).store(value, Ordering::Relaxed);
    }

    fn word(self, index: u64) -> &'m AtomicU64 {
        self.memory.word(MAILBOX + 8 * index)
    }
}

const _: () = assert!(host_size(COMMAND_ARGUMENTS) + ARGUMENTS_MAX <= host_size(DONE_SEQUENCE));
