//! A VM: its memory.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;

use super::{System, failed};
use crate::hypervisor::HypervisorError;
use crate::memory::Region;

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

    /// Makes memory guest-physical memory from 0, in the VM's only slot.
    ///
    /// # Safety
    /// The memory must stay mapped while the VM exists.
    ///
    /// # Errors
    /// What KVM refused.
    pub unsafe fn map(&mut self, memory: &Region) -> Result<(), HypervisorError> {
        let host = memory.address(0, memory.bytes());
        let slot = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: memory.bytes(),
            userspace_addr: host.expose_provenance() as u64,
        };
        // SAFETY: the caller keeps the memory mapped.
        unsafe { self.fd.set_user_memory_region(slot) }
            .map_err(failed("KVM_SET_USER_MEMORY_REGION"))
    }
}
