//! Why control came back to whoever entered the sandbox.

use crate::kick::Reason;

/// Plain data; text that belongs to it is in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command ended well.
    Done {
        /// What it returned.
        values: [u64; 2],
    },
    /// A host function is to be called and answered.
    HostCall {
        /// Its number.
        function: u64,
        /// Where its parameters lie in the import bridge's memory.
        pointer: u64,
    },
    /// The command failed; has text.
    Failed {
        /// A `STATUS_` constant, not `STATUS_OK`.
        status: i32,
        /// What it returned; first a `TRAP_` constant if it trapped.
        values: [u64; 2],
    },
    /// A signal came, or a kick, or the guest had many requests served. To be resumed.
    Interrupted {
        /// Why, if it was a kick.
        reason: Option<Reason>,
    },
    /// A log record; has text. To be resumed.
    Log {
        /// Its level.
        level: u64,
    },
    /// The guest runtime panicked; has text. The end of the sandbox.
    Panic,
    /// The guest faulted or broke the rules; has text. The end of the sandbox.
    Fault(Fault),
}

/// Where a guest fault happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The CPU exception, -1 if it was something else.
    pub vector: i32,
    /// The instruction.
    pub rip: u64,
    /// For page faults: the address.
    pub address: u64,
}

/// What may happen to a sandbox next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The guest boots.
    Booting,
    /// A command may be given.
    Ready,
    /// A host call waits for its answer.
    HostCall,
    /// The guest can be resumed where it was.
    Suspended,
    /// Only a restore.
    Poisoned,
    /// Nothing any more: the hypervisor or the memory failed.
    Broken,
}

impl Exit {
    /// The state that it leaves the sandbox in.
    pub const fn state(&self) -> State {
        match self {
            Self::Done { .. } | Self::Failed { .. } => State::Ready,
            Self::HostCall { .. } => State::HostCall,
            Self::Interrupted { .. } | Self::Log { .. } => State::Suspended,
            Self::Panic | Self::Fault(_) => State::Poisoned,
        }
    }
}
