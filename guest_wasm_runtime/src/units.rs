//! Numbers of the contract (`u64`) as sizes, and state of a program with one thread.

use core::ops::Deref;

const _: () = assert!(usize::BITS == 64);

/// An address or length of the contract as `usize`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize has 64 bits, asserted above"
)]
pub const fn size(value: u64) -> usize {
    value as usize
}

/// State that only the guest's one thread touches.
pub struct Single<T>(T);

// SAFETY: the guest has one vCPU and no interrupts; nothing runs concurrently. The trap
// entry interrupts other code but never returns to it.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Single<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
