//! Stopping a vCPU from another thread.
//!
//! A kick must end a run in progress, or else the next one, and none may get lost:
//!
//! ```text
//! kicker                              runner
//! 1  reason = …, stop if it was        1  runner = own thread
//! 2  immediate_exit = 1               2  KVM_RUN (the kernel reads immediate_exit)
//! 3  signal the runner, if any        3  on EINTR: immediate_exit = 0, then take the reasons
//! ```
//! All steps are sequentially consistent. If the kicker sees no runner, the runner sees
//! `immediate_exit`. A kick that comes while an earlier one is being taken may leave
//! `immediate_exit` behind: the next run then returns as if a signal had come, which
//! every caller must expect anyway.
//!
//! A cancel is for whatever runs now or next. A time that is up belongs to one command,
//! told by its number: one that comes too late for it is forgotten.

mod signal;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering::SeqCst};

pub use signal::{SignalError, choose, forget_thread, thread, unblock};

use crate::turns::Turn;

/// Why a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Cancel,
    /// The command's wall-clock time is up.
    Deadline,
    /// The command's CPU time is up.
    CpuTime,
}

/// The bell of one vCPU, and the lock that lets one thread at a time run it.
#[derive(Debug)]
pub struct Kick {
    immediate_exit: NonNull<AtomicU8>,
    cancelled: AtomicBool,
    /// Number of the command whose time is up, twice, and 1 for its CPU time; 0 for none.
    expired: AtomicU64,
    /// Thread id of the runner, 0 while there is none.
    runner: AtomicI32,
    /// Whether the sandbox may run, or has to wait for its turn.
    pub turn: Turn,
}

// SAFETY: the flag is atomic and outlives all use of it, as `new` demands.
unsafe impl Send for Kick {}
// SAFETY: as above.
unsafe impl Sync for Kick {}

impl Kick {
    /// A bell for the machine that has this flag.
    ///
    /// # Safety
    /// The flag must stay valid as long as anybody enters or rings.
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub unsafe fn new(immediate_exit: NonNull<AtomicU8>) -> Result<Self, SignalError> {
        signal::install()?;
        // SAFETY: valid, as the caller promised. A kick of an earlier owner may be left.
        unsafe { immediate_exit.as_ref() }.store(0, SeqCst);
        Ok(Self {
            immediate_exit,
            cancelled: AtomicBool::new(false),
            expired: AtomicU64::new(0),
            runner: AtomicI32::new(0),
            turn: Turn::default(),
        })
    }

    /// Makes the calling thread the runner; `false` if there is one already.
    pub fn enter(&self) -> bool {
        let thread = signal::thread();
        self.runner
            .compare_exchange(0, thread, SeqCst, SeqCst)
            .is_ok()
    }

    /// Ends what [`Kick::enter`] began.
    pub fn leave(&self) {
        self.runner.store(0, SeqCst);
    }

    /// Ends the present run, or the next one. Any thread may do this.
    pub fn cancel(&self) {
        // An earlier kick may be on its way. Real-time signals queue: a flood of them
        // would keep the runner from its work.
        if !self.cancelled.swap(true, SeqCst) {
            self.ring();
        }
    }

    /// Ends the run of the command of this number, if it still runs. Answers the thread
    /// that runs it, 0 if none does.
    pub fn expire(&self, command: u64, cpu: bool) -> i32 {
        let expired = command << 1 | u64::from(cpu);
        if self.expired.swap(expired, SeqCst) == 0 {
            return self.ring();
        }
        self.runner.load(SeqCst)
    }

    /// Has the runner wait for its turn, which its [`Turn`] says by now.
    pub fn interrupt(&self) {
        self.ring_only();
    }

    fn ring(&self) -> i32 {
        let runner = self.ring_only();
        // Somebody who waits for a turn is to look at the reason.
        self.turn.go();
        runner
    }

    fn ring_only(&self) -> i32 {
        self.flag().store(1, SeqCst);
        let runner = self.runner.load(SeqCst);
        if runner != 0 {
            signal::send(runner);
        }
        runner
    }

    /// By the runner, after its machine was settled: a kick that came meanwhile may have lost
    /// its flag.
    pub fn remind(&self) {
        if self.is_pending() {
            self.flag().store(1, SeqCst);
        }
    }

    /// Whether there is a reason that nobody has taken.
    pub fn is_pending(&self) -> bool {
        self.cancelled.load(SeqCst) || self.expired.load(SeqCst) != 0
    }

    /// By the runner, after an interrupted run of the command of this number: whether a
    /// kick was the reason, and which.
    pub fn take(&self, command: u64) -> Option<Reason> {
        self.flag().store(0, SeqCst);
        let expired = self.expired.swap(0, SeqCst);
        if self.cancelled.swap(false, SeqCst) {
            return Some(Reason::Cancel);
        }
        (expired != 0 && expired >> 1 == command).then_some(match expired & 1 {
            0 => Reason::Deadline,
            _ => Reason::CpuTime,
        })
    }

    /// Whether the time of the command of this number is up, as far as anybody has noticed.
    pub fn is_expired(&self, command: u64) -> bool {
        let expired = self.expired.load(SeqCst);
        expired != 0 && expired >> 1 == command
    }

    fn flag(&self) -> &AtomicU8 {
        // SAFETY: valid, as `new` demands.
        unsafe { self.immediate_exit.as_ref() }
    }
}
