//! Snapshots: a guest that waits for a command, saved; and guests put back to it.
//!
//! A snapshot never changes, so sandboxes of any thread share it. A restore leaves nothing
//! of what ran before: memory, registers, what the CPU was about to deliver, and our own
//! record of the guest are those of the snapshot.

use std::ops::Range;
use std::sync::Arc;

use super::counters::Counters;
use super::error::SandboxError;
use super::exit::State;
use super::guest::Guest;
use super::vm_pool;
use super::witness::Witness;
use crate::deadline::{Alarm, TimeLimits};
use crate::hypervisor::{self, Driver, Registers};
use crate::memory::{GuestMemory, MemorySnapshot};

/// A guest that waits for a command.
pub struct Snapshot {
    pub(super) driver: Driver,
    pub(super) memory: Arc<MemorySnapshot>,
    pub(super) registers: Registers,
    pub(super) sequence: u64,
    pub(super) request_sequence: u64,
    pub(super) trap_entry: Option<u64>,
    pub(super) image: Range<u64>,
    /// Whether the guest runtime in it is surely ours, as it is not in a file.
    pub(super) genuine: bool,
}

impl Snapshot {
    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

impl Guest {
    /// Saves the guest, which waits for a command.
    pub(super) fn snapshot(&mut self) -> Result<Snapshot, SandboxError> {
        self.require(State::Ready, "a snapshot")?;
        // The `out` of the last exit must not happen again in every copy.
        self.machine.settle()?;
        let memory = MemorySnapshot::capture(&self.memory, &self.image);
        Ok(Snapshot {
            driver: self.driver,
            memory: Arc::new(memory.map_err(SandboxError::Snapshot)?),
            registers: self.machine.registers(),
            sequence: self.sequence,
            request_sequence: self.request_sequence,
            trap_entry: self.trap_entry,
            image: self.image.clone(),
            genuine: self.genuine,
        })
    }

    /// Puts the guest back to a snapshot, whatever it was doing. `alone` says that no other
    /// thread than those that entered the sandbox has written to its transfer windows.
    pub(super) fn restore(
        &mut self,
        alarm: &Alarm,
        snapshot: &Snapshot,
        alone: bool,
    ) -> Result<(), SandboxError> {
        if self.state == State::Broken {
            return Err(self.refusal("a restore"));
        }
        if !self.fits(snapshot) {
            return Err(SandboxError::OtherLayout);
        }
        let certain = alone && self.clean && self.witness.is_certain();
        let clean = std::mem::replace(&mut self.clean, false);
        // Until the end, nothing is whole.
        self.state = State::Broken;
        // A kick that was meant for what is over must not hit what comes.
        alarm.end();
        self.leave_run(alarm);
        alarm.kick().take(self.commands);
        self.clear_machine(clean)?;
        // The limit is the sandbox's own, whoever the snapshot is of.
        let total = self.memory.total_limit();
        let restored = self.memory.restore(&snapshot.memory, certain);
        self.memory.limit_total(total);
        let restored = restored.map_err(SandboxError::Snapshot)?;
        self.adopt(snapshot);
        self.witness.restored(!restored.scanned);
        self.counters.restores += 1;
        self.counters.restored_pages += restored.copied;
        self.counters.restore_scans += u64::from(restored.scanned);
        self.clean = true;
        Ok(())
    }

    /// Whether a restore to the snapshot is possible: the layout of memory is the same.
    pub(super) fn fits(&self, snapshot: &Snapshot) -> bool {
        snapshot.memory.fits(&self.memory) && snapshot.driver == self.driver
    }

    /// Whether its memory was made of the snapshot.
    pub(super) fn has_memory_of(&self, snapshot: &Snapshot) -> bool {
        let memory = self.memory.snapshot();
        memory.is_some_and(|memory| Arc::ptr_eq(memory, &snapshot.memory))
    }

    /// Leaves nothing of what ran in vector and x87 registers. The guest runtime clears them
    /// before each command, so after a command that ended well there is nothing to do, unless
    /// it may be another runtime than ours.
    fn clear_machine(&mut self, clean: bool) -> Result<(), SandboxError> {
        if !clean {
            self.machine.settle()?;
        }
        if !clean || !self.genuine {
            self.machine.clear_extended_state()?;
        }
        Ok(())
    }

    /// Leaves nothing of what ran, for whoever gets the guest next.
    pub(super) fn scrub(&mut self) -> Result<(), SandboxError> {
        let memory = self.memory.snapshot().cloned();
        let Some(memory) = memory.filter(|_| self.state != State::Broken) else {
            return Err(self.refusal("to be used again"));
        };
        self.state = State::Broken;
        let clean = std::mem::replace(&mut self.clean, false);
        self.clear_machine(clean)?;
        self.memory
            .restore(&memory, false)
            .map_err(SandboxError::Snapshot)?;
        Ok(())
    }

    /// A guest like the saved one: one that was kept, or a new one.
    pub(super) fn from_snapshot(snapshot: &Snapshot) -> Result<Box<Self>, SandboxError> {
        let mut guest = match vm_pool::take(snapshot) {
            Some(mut guest) => {
                if !guest.has_memory_of(snapshot) {
                    let memory = guest.memory.restore(&snapshot.memory, false);
                    memory.map_err(SandboxError::Snapshot)?;
                }
                guest
            }
            None => Box::new(Self::new_from_snapshot(snapshot)?),
        };
        guest.adopt(snapshot);
        // Whoever had the guest before may have had another one.
        guest.memory.limit_total(snapshot.memory.total_limit());
        guest.clean = true;
        guest.commands = 0;
        guest.limits = TimeLimits::default();
        guest.counters = Counters::default();
        guest.witness = Witness::default();
        guest.witness.restored(false);
        Ok(guest)
    }

    fn new_from_snapshot(snapshot: &Snapshot) -> Result<Self, SandboxError> {
        let memory = GuestMemory::from_snapshot(&snapshot.memory)?;
        let mut machine = hypervisor::create(snapshot.driver)?;
        // SAFETY: `memory` outlives `machine`: fields drop in order.
        unsafe { machine.map(&memory.region)? };
        Ok(Self::with(
            machine,
            memory,
            snapshot.driver,
            snapshot.image.clone(),
        ))
    }

    /// Registers and record of the saved guest.
    fn adopt(&mut self, snapshot: &Snapshot) {
        self.machine.rewind(&snapshot.registers);
        self.sequence = snapshot.sequence;
        self.request_sequence = snapshot.request_sequence;
        self.trap_entry = snapshot.trap_entry;
        self.genuine = snapshot.genuine;
        self.trapping = false;
        self.text.clear();
        self.state = State::Ready;
    }
}
