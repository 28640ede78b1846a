//! A machine without a hypervisor: its exits are written down in advance.
//!
//! All above the trait runs as it does with KVM: memory, tables, run loop, checks.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use host_guest_abi::exit::EXIT_READY;

use super::{HypervisorError, Machine, MachineExit, Registers};
use crate::memory::{Region, host_size};

#[allow(clippy::cast_possible_truncation, reason = "a small constant")]
const READY: u32 = EXIT_READY as u32;

/// What the guest does in one run.
#[derive(Debug, Clone)]
pub struct Step {
    /// Memory that it writes: guest-physical address and bytes.
    pub writes: Vec<(u64, Vec<u8>)>,
    /// Registers that it leaves, if they matter.
    pub registers: Option<Registers>,
    /// How the run ends.
    pub exit: MachineExit,
}

/// The steps to come.
#[derive(Debug, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    writes: Vec<(u64, Vec<u8>)>,
}

impl Script {
    /// Adds the boot: its first ready.
    pub fn boot(&mut self) {
        self.step(MachineExit::Request(READY), None);
    }

    /// Adds a write to the next step.
    pub fn write(&mut self, physical: u64, data: &[u8]) {
        self.writes.push((physical, data.to_vec()));
    }

    /// Adds a step that does the writes so far.
    pub fn step(&mut self, exit: MachineExit, registers: Option<Registers>) {
        let writes = std::mem::take(&mut self.writes);
        self.steps.push_back(Step {
            writes,
            registers,
            exit,
        });
    }
}

/// The machine.
#[derive(Debug)]
pub struct ScriptedMachine {
    script: Script,
    memory: Option<Memory>,
    registers: Registers,
    immediate_exit: Box<AtomicU8>,
}

/// Guest-physical memory.
#[derive(Debug)]
struct Memory {
    base: *mut u8,
    bytes: u64,
}

// SAFETY: it belongs to the sandbox that owns the machine, whatever its thread.
unsafe impl Send for Memory {}

impl Memory {
    fn store(&self, physical: u64, data: &[u8]) -> bool {
        let end = physical.checked_add(data.len() as u64);
        let inside = end.is_some_and(|end| end <= self.bytes);
        if inside {
            // SAFETY: inside the memory, which outlives the machine; the test that wrote
            // the script chose accessible pages.
            unsafe {
                self.base
                    .add(host_size(physical))
                    .copy_from(data.as_ptr(), data.len())
            };
        }
        inside
    }
}

impl ScriptedMachine {
    /// A machine with an empty script.
    pub fn new() -> Self {
        Self {
            script: Script::default(),
            memory: None,
            registers: Registers::default(),
            immediate_exit: Box::new(AtomicU8::new(0)),
        }
    }
}

impl Default for ScriptedMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for ScriptedMachine {
    unsafe fn map(&mut self, memory: &Region) -> Result<(), HypervisorError> {
        let bytes = memory.bytes();
        let base = memory.address(0, bytes);
        self.memory = Some(Memory { base, bytes });
        Ok(())
    }

    fn run(&mut self) -> Result<MachineExit, HypervisorError> {
        if self.immediate_exit.load(Ordering::SeqCst) != 0 {
            return Ok(MachineExit::Interrupted);
        }
        let Some(step) = self.script.steps.pop_front() else {
            return Ok(MachineExit::Unexpected("the script has ended".to_owned()));
        };
        for (physical, data) in &step.writes {
            let memory = self.memory.as_ref();
            if !memory.is_some_and(|memory| memory.store(*physical, data)) {
                return Ok(MachineExit::Unexpected(format!(
                    "no memory at {physical:#x}"
                )));
            }
        }
        self.registers = step.registers.unwrap_or(self.registers);
        Ok(step.exit)
    }

    fn registers(&self) -> Registers {
        self.registers
    }

    fn set_registers(&mut self, registers: &Registers) {
        self.registers = *registers;
    }

    fn settle(&mut self) -> Result<(), HypervisorError> {
        Ok(())
    }

    fn rewind(&mut self, registers: &Registers) {
        self.registers = *registers;
    }

    fn clear_extended_state(&mut self) -> Result<(), HypervisorError> {
        Ok(())
    }

    fn immediate_exit(&self) -> NonNull<AtomicU8> {
        NonNull::from(&*self.immediate_exit)
    }

    fn script(&mut self) -> Option<&mut Script> {
        Some(&mut self.script)
    }
}
