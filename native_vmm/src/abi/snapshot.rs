//! Entries about snapshots.

use std::ptr;
use std::sync::Arc;

use super::sandbox::HlwSandbox;
use super::{AbiError, entry, quiet};
use crate::sandbox::{Sandbox, Snapshot};

/// `hlw_snapshot`.
pub struct HlwSnapshot {
    snapshot: Arc<Snapshot>,
}

/// Saves a sandbox that waits for a command.
///
/// # Safety
/// The sandbox exists and `snapshot` is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_take(
    sandbox: *const HlwSandbox,
    snapshot: *mut *mut HlwSnapshot,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (sandbox, out) = unsafe { (sandbox.as_ref(), snapshot.as_mut()) };
        let sandbox = sandbox.ok_or(AbiError::Null("sandbox"))?;
        let out = out.ok_or(AbiError::Null("snapshot"))?;
        *out = ptr::null_mut();
        let snapshot = Arc::new(sandbox.sandbox.snapshot()?);
        *out = Box::into_raw(Box::new(HlwSnapshot { snapshot }));
        Ok(0)
    })
}

/// Frees a snapshot, or nothing if it is null. Sandboxes made from it stay as they are.
///
/// # Safety
/// It came from one of the functions that make snapshots, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_free(snapshot: *mut HlwSnapshot) {
    quiet((), || {
        if !snapshot.is_null() {
            // SAFETY: a box of ours, given back.
            drop(unsafe { Box::from_raw(snapshot) });
        }
        Some(())
    });
}

/// Bytes of memory, or of its file, that a snapshot holds.
///
/// # Safety
/// The snapshot exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_bytes(snapshot: *const HlwSnapshot) -> u64 {
    // SAFETY: valid or null, as the caller promised.
    let snapshot = unsafe { snapshot.as_ref() };
    quiet(0, || Some(snapshot?.snapshot.bytes()))
}

/// Makes a sandbox like the saved one.
///
/// # Safety
/// The snapshot exists and `sandbox` is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_sandbox_from_snapshot(
    snapshot: *const HlwSnapshot,
    sandbox: *mut *mut HlwSandbox,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (snapshot, out) = unsafe { (snapshot.as_ref(), sandbox.as_mut()) };
        let snapshot = snapshot.ok_or(AbiError::Null("snapshot"))?;
        let out = out.ok_or(AbiError::Null("sandbox"))?;
        *out = ptr::null_mut();
        let made = HlwSandbox::new(Sandbox::from_snapshot(&snapshot.snapshot)?);
        *out = Box::into_raw(Box::new(made));
        Ok(0)
    })
}

/// Puts a sandbox back to a snapshot, whatever it was doing.
///
/// # Safety
/// Both exist, or are null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_restore(
    sandbox: *const HlwSandbox,
    snapshot: *const HlwSnapshot,
    alone: i32,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (sandbox, snapshot) = unsafe { (sandbox.as_ref(), snapshot.as_ref()) };
        let sandbox = sandbox.ok_or(AbiError::Null("sandbox"))?;
        let snapshot = snapshot.ok_or(AbiError::Null("snapshot"))?;
        sandbox.sandbox.restore(&snapshot.snapshot, alone != 0)?;
        sandbox.restored();
        Ok(0)
    })
}
