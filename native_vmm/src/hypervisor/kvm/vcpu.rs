//! A vCPU: registers and exits.
//!
//! General registers travel in the shared `kvm_run` page, so that looking at them or
//! changing them costs no system call.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;

use kvm_bindings::{kvm_regs, kvm_xcrs};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};

use super::{System, Vm, failed};
use crate::arch::x86_64::registers;
use crate::hypervisor::{HypervisorError, MachineExit, Registers};

/// The one vCPU of a VM.
pub struct Vcpu {
    fd: VcpuFd,
    immediate_exit: NonNull<AtomicU8>,
}

// SAFETY: the pointer leads into the `kvm_run` mapping, which `fd` owns; KVM allows the
// use of a vCPU from one thread after another.
unsafe impl Send for Vcpu {}

impl Vcpu {
    /// Makes the vCPU, with the CPU features that KVM offers.
    ///
    /// # Errors
    /// What KVM refused.
    pub fn new(system: &System, vm: &Vm) -> Result<Self, HypervisorError> {
        let mut fd = vm.fd.create_vcpu(0).map_err(failed("KVM_CREATE_VCPU"))?;
        fd.set_cpuid2(&system.cpuid)
            .map_err(failed("KVM_SET_CPUID2"))?;
        fd.set_sync_valid_reg(SyncReg::Register);
        let flag = NonNull::from(&mut fd.get_kvm_run().immediate_exit).cast();
        Ok(Self {
            fd,
            immediate_exit: flag,
        })
    }

    /// Puts it in ring 3 at `entry`.
    ///
    /// # Errors
    /// What KVM refused.
    pub fn start(&mut self, entry: u64, stack: u64) -> Result<(), HypervisorError> {
        let mut sregs = self.fd.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        registers::set_system_registers(&mut sregs);
        self.fd.set_sregs(&sregs).map_err(failed("KVM_SET_SREGS"))?;
        let mut xcrs = kvm_xcrs {
            nr_xcrs: 1,
            ..Default::default()
        };
        xcrs.xcrs[0].value = registers::XCR0;
        self.fd.set_xcrs(&xcrs).map_err(failed("KVM_SET_XCRS"))?;
        self.fd.sync_regs_mut().regs = kvm_regs {
            rip: entry,
            rsp: stack,
            rflags: registers::RFLAGS,
            ..Default::default()
        };
        self.fd.set_sync_dirty_reg(SyncReg::Register);
        Ok(())
    }

    /// Runs until the next exit.
    ///
    /// # Errors
    /// A failure of KVM itself.
    pub fn run(&mut self) -> Result<MachineExit, HypervisorError> {
        Ok(match self.fd.run() {
            Ok(VcpuExit::IoOut(port, data)) => MachineExit::from_out(port, data),
            Ok(VcpuExit::Intr) => MachineExit::Interrupted,
            Ok(VcpuExit::MemoryFault { .. }) => MachineExit::AccessFault,
            Ok(VcpuExit::Shutdown) => MachineExit::Shutdown,
            Ok(exit) => MachineExit::Unexpected(format!("{exit:?}")),
            Err(error) => match error.errno() {
                libc::EINTR | libc::EAGAIN => MachineExit::Interrupted,
                libc::EFAULT => MachineExit::AccessFault,
                errno => {
                    let error = io::Error::from_raw_os_error(errno);
                    return Err(HypervisorError::Failed {
                        what: "KVM_RUN",
                        error,
                    });
                }
            },
        })
    }

    /// The registers at the last exit.
    pub fn registers(&self) -> Registers {
        let regs = self.fd.sync_regs().regs;
        Registers {
            rax: regs.rax,
            rcx: regs.rcx,
            rdx: regs.rdx,
            rsi: regs.rsi,
            rdi: regs.rdi,
            rbp: regs.rbp,
            rsp: regs.rsp,
            rip: regs.rip,
            rflags: regs.rflags,
        }
    }

    /// Sets the registers for the next run; those that we do not name stay.
    pub fn set_registers(&mut self, registers: &Registers) {
        let regs = &mut self.fd.sync_regs_mut().regs;
        *regs = kvm_regs {
            rax: registers.rax,
            rcx: registers.rcx,
            rdx: registers.rdx,
            rsi: registers.rsi,
            rdi: registers.rdi,
            rbp: registers.rbp,
            rsp: registers.rsp,
            rip: registers.rip,
            rflags: registers.rflags,
            ..*regs
        };
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// The flag that makes runs return at once.
    pub fn immediate_exit(&self) -> NonNull<AtomicU8> {
        self.immediate_exit
    }
}
