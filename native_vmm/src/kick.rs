//! Stopping a vCPU from another thread.
//!
//! A kick must end a run in progress, or else the next one, and none may get lost:
//!
//! ```text
//! kicker                              runner
//! 1  kicked = true, stop if it was     1  runner = own thread
//! 2  immediate_exit = 1               2  KVM_RUN (the kernel reads immediate_exit)
//! 3  signal the runner, if any        3  on EINTR: immediate_exit = 0, then take `kicked`
//! ```
//! All steps are sequentially consistent. If the kicker sees no runner, the runner sees
//! `immediate_exit`. A kick that comes while an earlier one is being taken may leave
//! `immediate_exit` behind: the next run then returns as if a signal had come, which
//! every caller must expect anyway.

mod signal;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering::SeqCst};

pub use signal::{SignalError, choose, thread};

/// The bell of one vCPU, and the lock that lets one thread at a time run it.
#[derive(Debug)]
pub struct Kick {
    immediate_exit: NonNull<AtomicU8>,
    kicked: AtomicBool,
    /// Thread id of the runner, 0 while there is none.
    runner: AtomicI32,
}

// SAFETY: the flag is atomic and outlives `self`, as `new` demands.
unsafe impl Send for Kick {}
// SAFETY: as above.
unsafe impl Sync for Kick {}

impl Kick {
    /// A bell for the machine that has this flag.
    ///
    /// # Safety
    /// The flag must stay valid as long as the bell exists.
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub unsafe fn new(immediate_exit: NonNull<AtomicU8>) -> Result<Self, SignalError> {
        signal::install()?;
        Ok(Self {
            immediate_exit,
            kicked: AtomicBool::new(false),
            runner: AtomicI32::new(0),
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
    pub fn ring(&self) {
        if self.kicked.swap(true, SeqCst) {
            // An earlier kick is on its way. Real-time signals queue: a flood of them
            // would keep the runner from its work.
            return;
        }
        self.flag().store(1, SeqCst);
        let runner = self.runner.load(SeqCst);
        if runner != 0 {
            signal::send(runner);
        }
    }

    /// By the runner, after an interrupted run: whether a kick was the reason.
    pub fn take(&self) -> bool {
        self.flag().store(0, SeqCst);
        self.kicked.swap(false, SeqCst)
    }

    fn flag(&self) -> &AtomicU8 {
        // SAFETY: valid, as `new` demands.
        unsafe { self.immediate_exit.as_ref() }
    }
}
