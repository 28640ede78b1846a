//! A sandbox: one micro-VM with its guest.
//!
//! It is entered and it exits; there are no callbacks:
//!
//! ```text
//!            command                answer                resume
//!   Ready ───────────► running ◄──────────── HostCall    ◄──────── Suspended
//!     ▲                 │  │ ├──────────────────▲                      ▲
//!     └─────────────────┘  │ └─────────────────────────────────────────┘
//!        Done, Failed      └────► Poisoned       HostCall   Interrupted, Log
//!                            Panic, Fault
//! ```
//! A restore leads back to Ready from anywhere but Broken.

mod config;
mod counters;
mod error;
mod exit;
mod guest;
mod mailbox;
mod requests;
mod snapshot;
mod snapshot_file;
mod traps;
pub mod vm_pool;
mod witness;

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use guest::Guest;
use host_guest_abi::command::COMMAND_CALL;

pub use config::Config;
pub use counters::Counters;
pub use error::SandboxError;
pub use exit::{Exit, Fault, State};
pub use snapshot::Snapshot;
pub use snapshot_file::{FileError, damaged};

use crate::deadline::{self, Alarm, TimeLimits};
use crate::fork;
use crate::hypervisor::Script;
use crate::kick::Kick;
use crate::memory::MemoryUsage;

/// A sandbox. Any thread may use it, one at a time; a second one is refused, not made
/// to wait. Only [`Sandbox::kick`] is for other threads at all times.
pub struct Sandbox {
    alarm: Arc<Alarm>,
    /// There until the sandbox is dropped.
    guest: UnsafeCell<ManuallyDrop<Box<Guest>>>,
    /// As they were when the guest was left last. Whoever looks at them must not be in
    /// the way of the thread that runs the guest.
    counters: Mutex<Counters>,
    /// Where its VM works: not in children of this process.
    generation: u32,
}

// SAFETY: `guest` is only reached through `enter`, which lets one thread in at a time.
unsafe impl Sync for Sandbox {}

impl Sandbox {
    /// Makes a sandbox and boots its guest.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn new(config: Config) -> Result<Self, SandboxError> {
        let started = Instant::now();
        let guest = Box::new(Guest::new(config)?);
        // SAFETY: the flag is valid while the machine exists, and nobody enters or rings later:
        // when the sandbox is dropped, the watcher is told first.
        let kick = unsafe { Kick::new(guest.machine.immediate_exit())? };
        let sandbox = Self {
            alarm: Alarm::new(kick),
            guest: UnsafeCell::new(ManuallyDrop::new(guest)),
            counters: Mutex::default(),
            generation: fork::generation(),
        };
        deadline::watch(&sandbox.alarm);
        let created = Instant::now();
        sandbox.enter(|guest| {
            guest.boot(&sandbox.alarm)?;
            guest.counters.create_nanoseconds = nanoseconds(created - started);
            guest.counters.boot_nanoseconds = nanoseconds(created.elapsed());
            Ok(())
        })?;
        Ok(sandbox)
    }

    /// Makes a sandbox like the one that a snapshot was taken of. Nothing has to boot.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn from_snapshot(snapshot: &Snapshot) -> Result<Self, SandboxError> {
        let started = Instant::now();
        let mut guest = Guest::from_snapshot(snapshot)?;
        // SAFETY: as in `new`.
        let kick = unsafe { Kick::new(guest.machine.immediate_exit())? };
        guest.counters.create_nanoseconds = nanoseconds(started.elapsed());
        let sandbox = Self {
            alarm: Alarm::new(kick),
            counters: Mutex::new(guest.counters),
            generation: fork::generation(),
            guest: UnsafeCell::new(ManuallyDrop::new(guest)),
        };
        deadline::watch(&sandbox.alarm);
        Ok(sandbox)
    }

    /// Saves the guest, which waits for a command.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn snapshot(&self) -> Result<Snapshot, SandboxError> {
        self.enter(|guest| {
            let snapshot = guest.snapshot();
            self.alarm.kick().remind();
            snapshot
        })
    }

    /// Puts the guest back to a snapshot, whatever it was doing. `alone` says that no other
    /// thread than those that entered the sandbox has written to its transfer windows since
    /// the last restore.
    ///
    /// # Errors
    /// See [`SandboxError`]. After any but `Busy` and `OtherLayout` the sandbox is unusable.
    pub fn restore(&self, snapshot: &Snapshot, alone: bool) -> Result<(), SandboxError> {
        self.enter(|guest| {
            let restored = guest.restore(&self.alarm, snapshot, alone);
            self.alarm.kick().remind();
            restored
        })
    }

    /// Gives a command and runs until the next exit.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn command(&self, command: u64, arguments: &[u64]) -> Result<Exit, SandboxError> {
        self.enter(|guest| guest.command(&self.alarm, command, arguments))
    }

    /// Runs `call-k`, until the next exit.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn call(&self, index: u64) -> Result<Exit, SandboxError> {
        self.enter(|guest| guest.command(&self.alarm, COMMAND_CALL, &[index]))
    }

    /// Answers a host call and runs until the next exit.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn answer(&self, status: u64, value: u64) -> Result<Exit, SandboxError> {
        self.enter(|guest| guest.answer(&self.alarm, status, value))
    }

    /// Goes on after an interruption or a log record, until the next exit.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn resume(&self) -> Result<Exit, SandboxError> {
        self.enter(|guest| guest.resume(&self.alarm))
    }

    /// Makes the present run, or the next one, end as interrupted.
    pub fn kick(&self) {
        if self.is_foreign() {
            // The flag that stops the vCPU is shared with the parent.
            return;
        }
        self.alarm.kick().cancel();
    }

    /// Limits the time of each command from now on.
    ///
    /// # Errors
    /// If another thread runs the sandbox.
    pub fn limit_time(&self, limits: TimeLimits) -> Result<(), SandboxError> {
        self.enter(|guest| {
            guest.limits = limits;
            Ok(())
        })?;
        Ok(())
    }

    /// Whether the wall-clock time of the command that runs is up. Any thread may ask.
    pub fn is_expired(&self) -> bool {
        self.alarm.is_expired()
    }

    /// What happened up to the last exit. Any thread may ask at any time.
    pub fn counters(&self) -> Counters {
        if self.is_foreign() {
            // The thread that has the lock may exist in the parent only.
            return self
                .counters
                .try_lock()
                .map_or_else(|_| Counters::default(), |c| *c);
        }
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What memory takes now.
    ///
    /// # Errors
    /// If another thread runs the sandbox, or the kernel does not tell.
    pub fn memory_usage(&self) -> Result<MemoryUsage, SandboxError> {
        self.enter(|guest| guest.memory.usage().map_err(SandboxError::Snapshot))
    }

    /// A copy of the text of the last exit.
    ///
    /// # Errors
    /// If another thread runs the sandbox.
    pub fn text(&self) -> Result<Vec<u8>, SandboxError> {
        self.enter(|guest| Ok(guest.text.clone()))
    }

    /// Where the text of the last exit is, and its length. The place never changes.
    ///
    /// # Errors
    /// If another thread runs the sandbox.
    pub fn text_place(&self) -> Result<(*const u8, usize), SandboxError> {
        self.enter(|guest| Ok((guest.text.as_ptr(), guest.text.len())))
    }

    /// Host address and size of a transfer window. Both never change.
    ///
    /// # Errors
    /// If another thread runs the sandbox.
    pub fn transfer_window(&self, index: usize) -> Result<Option<(*mut u8, u64)>, SandboxError> {
        self.enter(|guest| Ok(guest.memory.transfer_window(index)))
    }

    /// Accessible bytes of any window.
    ///
    /// # Errors
    /// If another thread runs the sandbox.
    pub fn accessible(&self, window: usize) -> Result<u64, SandboxError> {
        self.enter(|guest| Ok(guest.memory.accessible(window)))
    }

    /// Changes the script of the scripted driver.
    ///
    /// # Errors
    /// If the driver is another one.
    pub fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> Result<T, SandboxError> {
        self.enter(|guest| {
            guest
                .machine
                .script()
                .map(change)
                .ok_or(SandboxError::NoScript)
        })
    }

    /// Guest-physical address of `bytes` bytes at a guest-virtual one, in RAM or a window.
    ///
    /// # Errors
    /// If there is no such memory.
    pub fn physical(&self, address: u64, bytes: u64) -> Result<u64, SandboxError> {
        let missing = SandboxError::NoMemory(address);
        self.enter(|guest| guest.memory.plan.physical(address, bytes).ok_or(missing))
    }

    /// Whether the sandbox belongs to a process that this one was forked from. What its vCPU
    /// shares with us is that process's then: nothing may be written there.
    fn is_foreign(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Lets the calling thread in, if it is alone.
    fn enter<T>(
        &self,
        body: impl FnOnce(&mut Guest) -> Result<T, SandboxError>,
    ) -> Result<T, SandboxError> {
        if self.is_foreign() {
            return Err(SandboxError::Foreign);
        }
        if !self.alarm.kick().enter() {
            return Err(SandboxError::Busy);
        }
        let inside = Inside { sandbox: self };
        self.alarm.note();
        // SAFETY: `Kick::enter` succeeded, so no other reference exists until `inside` drops.
        let guest = unsafe { &mut *self.guest.get() };
        let result = body(guest);
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = guest.counters;
        drop(inside);
        result
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_foreign() {
            deadline::forget(&self.alarm);
            // What runs in the parent does not count here.
            self.guest.get_mut().leave_run(&self.alarm);
        }
        // SAFETY: nobody uses it any more, and it is taken once.
        vm_pool::leave(unsafe { ManuallyDrop::take(self.guest.get_mut()) });
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The right to touch the guest, given back when dropped.
struct Inside<'s> {
    sandbox: &'s Sandbox,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // SAFETY: still the only one inside.
            unsafe { (*self.sandbox.guest.get()).state = State::Broken };
        }
        self.sandbox.alarm.kick().leave();
    }
}
