//! A machine without a hypervisor: its exits are written down in advance.
//!
//! All above the trait runs as it does with KVM: memory, tables, run loop, checks.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use host_guest_abi::exit::EXIT_READY;

use super::{HypervisorError, Machine, MachineExit, Mapping, Registers};

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
    mappings: Vec<Mapping>,
    registers: Registers,
    immediate_exit: Box<AtomicU8>,
}

// SAFETY: the mappings belong to the sandbox that owns the machine, whatever its thread.
unsafe impl Send for ScriptedMachine {}

impl ScriptedMachine {
    /// A machine with an empty script.
    pub fn new() -> Self {
        Self {
            script: Script::default(),
            mappings: Vec::new(),
            registers: Registers::default(),
            immediate_exit: Box::new(AtomicU8::new(0)),
        }
    }

    fn store(&self, physical: u64, data: &[u8]) -> bool {
        let bytes = data.len() as u64;
        for mapping in self.mappings.iter().filter(|mapping| !mapping.readonly) {
            let Some(offset) = physical.checked_sub(mapping.physical) else {
                continue;
            };
            if offset
                .checked_add(bytes)
                .is_some_and(|end| end <= mapping.bytes)
            {
                let offset = crate::memory::host_size(offset);
                // SAFETY: inside the mapping, which outlives the machine; the test that
                // wrote the script chose accessible memory.
                unsafe {
                    mapping
                        .host
                        .add(offset)
                        .copy_from(data.as_ptr(), data.len())
                };
                return true;
            }
        }
        false
    }
}

impl Default for ScriptedMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for ScriptedMachine {
    unsafe fn map(&mut self, mapping: &Mapping) -> Result<(), HypervisorError> {
        self.mappings.push(*mapping);
        Ok(())
    }

    fn start(&mut self, entry: u64, stack: u64) -> Result<(), HypervisorError> {
        self.registers = Registers {
            rip: entry,
            rsp: stack,
            ..Registers::default()
        };
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
            if !self.store(*physical, data) {
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

    fn immediate_exit(&self) -> NonNull<AtomicU8> {
        NonNull::from(&*self.immediate_exit)
    }

    fn script(&mut self) -> Option<&mut Script> {
        Some(&mut self.script)
    }
}
