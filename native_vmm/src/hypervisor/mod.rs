//! What the VMM needs of a hypervisor: a narrow trait with plain data, and its drivers.

pub mod kvm;
mod scripted;

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;

use host_guest_abi::exit::{PORT_EXCEPTION, PORT_REQUEST};

use crate::arch::x86_64::registers::RFLAGS;
use crate::memory::Region;

pub use scripted::{Script, ScriptedMachine, Step};

/// The drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Linux KVM.
    Kvm,
    /// No hypervisor: exits come from a script. For tests.
    Scripted,
}

/// What a hypervisor can refuse.
#[derive(Debug, thiserror::Error)]
pub enum HypervisorError {
    /// There is none, it may not be used, or it lacks something that we need.
    #[error("{0}")]
    Unavailable(String),
    /// It failed.
    #[error("{what} failed: {error}")]
    Failed {
        /// The operation.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// The general registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

impl Registers {
    /// Those with which a guest starts at `entry`.
    pub fn at_start(entry: u64, stack: u64) -> Self {
        Self {
            rip: entry,
            rsp: stack,
            rflags: RFLAGS,
            ..Self::default()
        }
    }
}

/// Why the vCPU stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineExit {
    /// A 32-bit `out` to the port of requests.
    Request(u32),
    /// A 32-bit `out` to the port of exceptions.
    Exception,
    /// A signal, or `immediate_exit`.
    Interrupted,
    /// The instruction touched memory that the host does not let it touch.
    AccessFault,
    /// A triple fault.
    Shutdown,
    /// Anything else; the guest broke the rules or the hypervisor cannot go on.
    Unexpected(String),
}

impl MachineExit {
    /// Sorts an `out`.
    fn from_out(port: u16, data: &[u8]) -> Self {
        match (u64::from(port), <[u8; 4]>::try_from(data)) {
            (PORT_REQUEST, Ok(code)) => Self::Request(u32::from_le_bytes(code)),
            (PORT_EXCEPTION, Ok(_)) => Self::Exception,
            _ => Self::Unexpected(format!("`out` of {} bytes to port {port:#x}", data.len())),
        }
    }
}

/// A VM with one vCPU.
pub trait Machine: Send {
    /// Gives the machine its memory, guest-physical from 0: whole pages, once.
    /// What the host may not do with a page, the guest may not do either.
    ///
    /// # Safety
    /// The memory must stay mapped while the machine exists.
    ///
    /// # Errors
    /// What the hypervisor refused.
    unsafe fn map(&mut self, memory: &Region) -> Result<(), HypervisorError>;

    /// Runs the vCPU until its next exit. The `out` of the previous exit completes first.
    ///
    /// # Errors
    /// A failure of the hypervisor that says nothing about the guest.
    fn run(&mut self) -> Result<MachineExit, HypervisorError>;

    /// The registers at the last exit.
    fn registers(&self) -> Registers;

    /// Sets the registers for the next run.
    fn set_registers(&mut self, registers: &Registers);

    /// Completes what the last exit left unfinished, such as its `out`, without running any
    /// code of the guest, so that its registers are those of a whole instruction.
    ///
    /// # Errors
    /// What the hypervisor refused.
    fn settle(&mut self) -> Result<(), HypervisorError>;

    /// Puts the vCPU in ring 3 with paging on, these general registers, and no exception or
    /// interrupt under way: at the start, or back where a settled vCPU once stood. Takes
    /// effect with the next run.
    fn rewind(&mut self, registers: &Registers);

    /// Clears vector and x87 registers, whatever state a guest that did not come to its
    /// end left them in.
    ///
    /// # Errors
    /// What the hypervisor refused.
    fn clear_extended_state(&mut self) -> Result<(), HypervisorError>;

    /// A flag that, while not 0, makes each run return at once as interrupted. Valid
    /// while the machine exists, for any thread.
    fn immediate_exit(&self) -> NonNull<AtomicU8>;

    /// The script, if this is the scripted driver.
    fn script(&mut self) -> Option<&mut Script> {
        None
    }
}

/// Makes an empty machine.
///
/// # Errors
/// If there is no usable hypervisor.
pub fn create(driver: Driver) -> Result<Box<dyn Machine>, HypervisorError> {
    Ok(match driver {
        Driver::Kvm => Box::new(kvm::KvmMachine::new()?),
        Driver::Scripted => Box::new(ScriptedMachine::new()),
    })
}
