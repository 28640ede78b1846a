//! A vCPU: registers and exits.
//!
//! General registers travel in the shared `kvm_run` page, so that looking at them or
//! changing them costs no system call.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::{kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};

use super::{System, Vm, failed};
use crate::arch::x86_64::registers;
use crate::hypervisor::{HypervisorError, MachineExit, Registers};

/// The one vCPU of a VM.
pub struct Vcpu {
    fd: VcpuFd,
    system_registers: kvm_sregs,
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
        let mut xcrs = kvm_xcrs {
            nr_xcrs: 1,
            ..Default::default()
        };
        xcrs.xcrs[0].value = registers::XCR0;
        fd.set_xcrs(&xcrs).map_err(failed("KVM_SET_XCRS"))?;
        fd.set_sync_valid_reg(SyncReg::Register);
        let system_registers = system.system_registers(&fd)?;
        let flag = NonNull::from(&mut fd.get_kvm_run().immediate_exit).cast();
        Ok(Self {
            fd,
            system_registers,
            immediate_exit: flag,
        })
    }

    /// Puts it in ring 3 with these general registers and nothing pending, at the next run.
    ///
    /// All of it travels in the shared page: that is three system calls less.
    pub fn rewind(&mut self, registers: &Registers) {
        let shared = self.fd.sync_regs_mut();
        shared.regs = to_kvm(registers);
        shared.sregs = self.system_registers;
        // A vCPU that was kicked may be about to deliver an exception.
        shared.events = kvm_vcpu_events::default();
        self.fd.set_sync_dirty_reg(SyncReg::Register);
        self.fd.set_sync_dirty_reg(SyncReg::SystemRegister);
        self.fd.set_sync_dirty_reg(SyncReg::VcpuEvents);
    }

    /// Completes the instruction of the last exit without entering the guest.
    ///
    /// # Errors
    /// What KVM refused.
    pub fn settle(&mut self) -> Result<(), HypervisorError> {
        // SAFETY: the flag lies in the mapping of `fd`.
        let flag = unsafe { self.immediate_exit.as_ref() };
        // A kick that comes meanwhile finds its flag still set, or sets it again: it is
        // put back as it was found.
        let before = flag.swap(1, Ordering::SeqCst);
        let exit = self.run();
        if before == 0 {
            let _ = flag.compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
        match exit? {
            MachineExit::Interrupted => Ok(()),
            other => Err(HypervisorError::Failed {
                what: "KVM_RUN to complete an exit",
                error: io::Error::other(format!("{other:?}")),
            }),
        }
    }

    /// Clears vector and x87 registers.
    ///
    /// # Errors
    /// What KVM refused.
    pub fn clear_extended_state(&mut self) -> Result<(), HypervisorError> {
        let mut xsave = kvm_xsave::default();
        // The legacy area: FCW and MXCSR as after a reset, every component present.
        xsave.region[0] = registers::FCW;
        xsave.region[6] = registers::MXCSR;
        // SAFETY: the guest may use no state beyond XCR0, which this structure has room for.
        unsafe { self.fd.set_xsave(&xsave) }.map_err(failed("KVM_SET_XSAVE"))
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
        from_kvm(&self.fd.sync_regs().regs)
    }

    /// Sets the registers for the next run.
    pub fn set_registers(&mut self, registers: &Registers) {
        self.fd.sync_regs_mut().regs = to_kvm(registers);
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// The flag that makes runs return at once.
    pub fn immediate_exit(&self) -> NonNull<AtomicU8> {
        self.immediate_exit
    }
}

/// The same registers, as KVM has them.
const fn to_kvm(registers: &Registers) -> kvm_regs {
    kvm_regs {
        rax: registers.rax,
        rbx: registers.rbx,
        rcx: registers.rcx,
        rdx: registers.rdx,
        rsi: registers.rsi,
        rdi: registers.rdi,
        rbp: registers.rbp,
        rsp: registers.rsp,
        r8: registers.r8,
        r9: registers.r9,
        r10: registers.r10,
        r11: registers.r11,
        r12: registers.r12,
        r13: registers.r13,
        r14: registers.r14,
        r15: registers.r15,
        rip: registers.rip,
        rflags: registers.rflags,
    }
}

/// The same registers, as we have them.
const fn from_kvm(regs: &kvm_regs) -> Registers {
    Registers {
        rax: regs.rax,
        rbx: regs.rbx,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rbp: regs.rbp,
        rsp: regs.rsp,
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rip: regs.rip,
        rflags: regs.rflags,
    }
}
