//! Whether memory can have got new private pages since the last restore.
//!
//! A page becomes private by a fault, and the kernel counts the faults of each thread, those
//! that it takes on behalf of the guest included. So if one thread alone has touched the
//! memory, and has had no fault, there is no new page.

use std::mem::MaybeUninit;

use crate::kick;

/// Who has touched memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nobody,
    Thread(i32),
    Several,
}

/// What is known since the last restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witness {
    seen: Seen,
    /// The thread that did the restore, and its faults so far; nothing before the first one.
    before: Option<(i32, i64)>,
}

impl Witness {
    /// The calling thread runs the guest, or touches its memory.
    pub fn see(&mut self) {
        let thread = kick::thread();
        self.seen = match self.seen {
            Seen::Nobody => Seen::Thread(thread),
            Seen::Thread(other) if other == thread => return,
            _ => Seen::Several,
        };
    }

    /// Whether there can be no new page: the calling thread alone was there, without a fault.
    pub fn is_certain(&self) -> bool {
        let thread = kick::thread();
        let alone = matches!(self.seen, Seen::Nobody) || self.seen == Seen::Thread(thread);
        alone
            && self
                .before
                .is_some_and(|(other, faults)| other == thread && faults == count())
    }

    /// Memory was put back. If it is `settled`, that took no fault, and the count is the same.
    pub fn restored(&mut self, settled: bool) {
        self.seen = Seen::Nobody;
        if !settled {
            self.before = Some((kick::thread(), count()));
        }
    }
}

/// Page faults of the calling thread.
fn count() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: only fills in the structure, all zeros of which are valid.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_minflt.wrapping_add(usage.ru_majflt)
}
