//! What can go wrong with a sandbox on our side; what the guest does wrong is an exit.

use crate::hypervisor::HypervisorError;
use crate::kick::SignalError;
use crate::loader::ImageError;
use crate::memory::{ArtifactError, MemoryError, PlanError};

/// All of it.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The configuration is out of range.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The artifact is refused.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The hypervisor is missing or failed.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// There is no memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The embedded guest is damaged.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Kicks cannot be set up.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The guest did not come up.
    #[error("the guest did not boot: {0}")]
    Boot(String),
    /// Memory could not be saved or put back.
    #[error("guest memory cannot be saved or restored: {0}")]
    Snapshot(std::io::Error),
    /// The snapshot is of a sandbox with other memories, limits or artifact.
    #[error("the snapshot was taken of a sandbox with another layout of memory")]
    OtherLayout,
    /// Another thread runs the sandbox.
    #[error("the sandbox is running in another thread")]
    Busy,
    /// It was made before a fork, by the parent.
    #[error("the sandbox belongs to the process that this one was forked from; make one here")]
    Foreign,
    /// Not possible now.
    #[error("{wanted} is not possible: the sandbox {present}")]
    State {
        /// What was asked for.
        wanted: &'static str,
        /// Why not.
        present: &'static str,
    },
    /// More arguments than a command has.
    #[error("{0} arguments: a command has at most 6")]
    Arguments(usize),
    /// Only the scripted driver has a script.
    #[error("only the scripted driver has a script")]
    NoScript,
    /// A script writes where there is no memory.
    #[error("no memory at {0:#x}")]
    NoMemory(u64),
}
