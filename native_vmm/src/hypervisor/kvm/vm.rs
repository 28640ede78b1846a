//! A VM: its memory slots.

use kvm_bindings::{KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;

use super::{System, failed};
use crate::hypervisor::{HypervisorError, Mapping};

/// A VM without devices, interrupt controller and clock.
pub struct Vm {
    pub(super) fd: VmFd,
}

impl Vm {
    /// Makes an empty one.
    ///
    /// # Errors
    /// What KVM refused.
    pub fn new(system: &System) -> Result<Self, HypervisorError> {
        loop {
            match system.kvm.create_vm() {
                Ok(fd) => return Ok(Self { fd }),
                // A signal came while it was being made.
                Err(error) if error.errno() == libc::EINTR => {}
                Err(error) => return Err(failed("KVM_CREATE_VM")(error)),
            }
        }
    }

    /// Adds memory.
    ///
    /// # Safety
    /// The host memory must stay mapped while the VM exists.
    ///
    /// # Errors
    /// What KVM refused.
    pub unsafe fn map(&mut self, mapping: &Mapping) -> Result<(), HypervisorError> {
        let region = kvm_userspace_memory_region {
            slot: mapping.slot,
            flags: if mapping.readonly {
                KVM_MEM_READONLY
            } else {
                0
            },
            guest_phys_addr: mapping.physical,
            memory_size: mapping.bytes,
            userspace_addr: mapping.host.expose_provenance() as u64,
        };
        // SAFETY: the caller keeps the memory mapped; overlaps KVM refuses by itself.
        unsafe { self.fd.set_user_memory_region(region) }
            .map_err(failed("KVM_SET_USER_MEMORY_REGION"))
    }
}
