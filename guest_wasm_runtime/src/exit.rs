//! Requests to the host: a 32-bit `out` of the code, arguments in mailbox words.

use core::arch::asm;
use core::sync::atomic::Ordering;

use host_guest_abi::exit::PORT_REQUEST;
use host_guest_abi::mailbox::{ANSWER_STATUS, ANSWER_VALUE, REQUEST_ARGUMENTS, REQUEST_SEQUENCE};

use crate::mailbox::word;

/// What the host answered.
pub struct Answer {
    /// 0, or why the request failed.
    pub status: u64,
    /// The value of the answer.
    pub value: u64,
}

impl Answer {
    /// The status as wasmtime's platform functions return it: 0 or an errno.
    pub fn errno(&self) -> i32 {
        i32::try_from(self.status).unwrap_or(i32::MAX)
    }
}

/// Leaves the guest; it goes on when the host resumes it.
#[inline(always)]
pub fn notify(code: u64) {
    // SAFETY: ports of the contract only cause an exit. Memory is not declared untouched:
    // the host reads and writes the shared pages meanwhile.
    unsafe {
        asm!(
            "out dx, eax",
            in("dx") const { low_word(PORT_REQUEST) },
            in("eax") low_half(code),
            options(nostack, preserves_flags),
        );
    }
}

/// Asks the host for something and takes its answer.
#[inline]
pub fn request<const N: usize>(code: u64, arguments: [u64; N]) -> Answer {
    const { assert!(N <= 6) };
    for (index, argument) in (REQUEST_ARGUMENTS..).zip(arguments) {
        word(index).store(argument, Ordering::Relaxed);
    }
    // Only the guest writes this word, so load and store need not be one operation.
    let sequence = word(REQUEST_SEQUENCE).load(Ordering::Relaxed) + 1;
    word(REQUEST_SEQUENCE).store(sequence, Ordering::Release);
    notify(code);
    Answer {
        status: word(ANSWER_STATUS).load(Ordering::Acquire),
        value: word(ANSWER_VALUE).load(Ordering::Relaxed),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "codes are small constants of the contract"
)]
const fn low_half(code: u64) -> u32 {
    code as u32
}

#[expect(clippy::cast_possible_truncation, reason = "ports have 16 bits")]
const fn low_word(port: u64) -> u16 {
    port as u16
}
