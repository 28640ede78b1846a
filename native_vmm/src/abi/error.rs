//! Errors of all parts, and what they are in C: a status and a message per thread.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;

use crate::hypervisor::HypervisorError;
use crate::kick::SignalError;
use crate::sandbox::{FileError, SandboxError};

/// `hlw_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub enum Status {
    Ok = 0,
    Argument = -1,
    NoHypervisor = -2,
    System = -3,
    State = -4,
    Panic = -5,
    Input = -6,
    Unsupported = -7,
}

/// Anything that an entry can fail with.
#[derive(Debug, thiserror::Error)]
pub enum AbiError {
    /// A pointer that must not be null is.
    #[error("{0} is null")]
    Null(&'static str),
    /// An argument is out of range.
    #[error("{0}")]
    Argument(String),
    /// A sandbox refused or failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The signal cannot be used.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// A snapshot file is of no use.
    #[error(transparent)]
    SnapshotFile(#[from] FileError),
    /// A system call failed.
    #[error("a system call failed: {0}")]
    System(#[from] std::io::Error),
    /// The input of the bridge generator is malformed.
    #[error("{0}")]
    Input(String),
    /// The input of the bridge generator has something that we do not run.
    #[error("{item}\u{1f}{message}")]
    Unsupported {
        /// WIT name of the item.
        item: String,
        /// One line for the user.
        message: String,
    },
    /// A bug of ours.
    #[error("internal error: {0}")]
    Panic(String),
}

impl AbiError {
    /// What a panic said.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::Panic(text.unwrap_or("unknown").to_owned())
    }

    /// The status that says so in C.
    pub const fn status(&self) -> Status {
        match self {
            Self::Null(_) | Self::Argument(_) => Status::Argument,
            Self::Sandbox(error) => sandbox_status(error),
            Self::Signal(error) => signal_status(error),
            Self::System(_) | Self::SnapshotFile(FileError::File(_)) => Status::System,
            Self::SnapshotFile(_) => Status::Input,
            Self::Input(_) => Status::Input,
            Self::Unsupported { .. } => Status::Unsupported,
            Self::Panic(_) => Status::Panic,
        }
    }
}

const fn sandbox_status(error: &SandboxError) -> Status {
    match error {
        SandboxError::Plan(_)
        | SandboxError::Arguments(_)
        | SandboxError::NoScript
        | SandboxError::NoMemory(_) => Status::Argument,
        SandboxError::Artifact(_) => Status::Input,
        SandboxError::Hypervisor(HypervisorError::Unavailable(_)) => Status::NoHypervisor,
        SandboxError::Hypervisor(HypervisorError::Failed { .. })
        | SandboxError::Memory(_)
        | SandboxError::Image(_)
        | SandboxError::Snapshot(_)
        | SandboxError::Boot(_) => Status::System,
        SandboxError::Signal(error) => signal_status(error),
        SandboxError::Busy
        | SandboxError::Foreign
        | SandboxError::State { .. }
        | SandboxError::OtherLayout => Status::State,
    }
}

const fn signal_status(error: &SignalError) -> Status {
    match error {
        SignalError::NotRealTime(_) => Status::Argument,
        SignalError::TooLate => Status::State,
        SignalError::Install(_) => Status::System,
    }
}

thread_local! {
    static LAST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the message for the thread and returns the status.
pub(super) fn report(failure: &AbiError) -> i32 {
    let message = failure.to_string().replace('\0', " ").into_bytes();
    LAST.with_borrow_mut(|last| *last = message);
    failure.status() as i32
}

/// Copies the calling thread's last message; returns its full length.
///
/// # Safety
/// `buffer` has room for `size` bytes, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_last_error(buffer: *mut c_char, size: usize) -> usize {
    super::quiet(0, || {
        LAST.with_borrow(|last| {
            if !buffer.is_null() && size > 0 {
                let copied = last.len().min(size - 1);
                // SAFETY: the caller has room for `size` bytes.
                unsafe {
                    buffer.cast::<u8>().copy_from(last.as_ptr(), copied);
                    buffer.add(copied).write(0);
                }
            }
            Some(last.len())
        })
    })
}
