//! Linux KVM, one file per kind of file descriptor.

mod system;
mod vcpu;
mod vm;

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;

use super::{HypervisorError, Machine, MachineExit, Registers};
use crate::memory::Region;

pub use system::{Query, System, query};
pub use vcpu::Vcpu;
pub use vm::Vm;

/// A VM and its vCPU.
pub struct KvmMachine {
    // Dropped first: the vCPU keeps the VM alive.
    vcpu: Vcpu,
    vm: Vm,
}

impl KvmMachine {
    /// Makes an empty VM with a vCPU.
    ///
    /// # Errors
    /// If KVM is not there, may not be used, or refuses.
    pub fn new() -> Result<Self, HypervisorError> {
        let system = System::shared()?;
        let vm = Vm::new(system)?;
        let vcpu = Vcpu::new(system, &vm)?;
        Ok(Self { vcpu, vm })
    }
}

impl Machine for KvmMachine {
    unsafe fn map(&mut self, memory: &Region) -> Result<(), HypervisorError> {
        // SAFETY: as the caller promised.
        unsafe { self.vm.map(memory) }
    }

    fn run(&mut self) -> Result<MachineExit, HypervisorError> {
        self.vcpu.run()
    }

    fn registers(&self) -> Registers {
        self.vcpu.registers()
    }

    fn set_registers(&mut self, registers: &Registers) {
        self.vcpu.set_registers(registers);
    }

    fn settle(&mut self) -> Result<(), HypervisorError> {
        self.vcpu.settle()
    }

    fn rewind(&mut self, registers: &Registers) {
        self.vcpu.rewind(registers);
    }

    fn clear_extended_state(&mut self) -> Result<(), HypervisorError> {
        self.vcpu.clear_extended_state()
    }

    fn immediate_exit(&self) -> NonNull<AtomicU8> {
        self.vcpu.immediate_exit()
    }
}

/// The failure of an ioctl.
fn failed(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> HypervisorError {
    move |error| HypervisorError::Failed {
        what,
        error: io::Error::from_raw_os_error(error.errno()),
    }
}
