//! Entries about snapshots.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::slice;
use std::sync::Arc;

use super::sandbox::{HlwConfig, HlwSandbox, read_config};
use super::{AbiError, HlwBuffer, entry, quiet};
use crate::memory::is_page_aligned;
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

/// Frees the snapshot that a place holds, if any, and leaves null there.
///
/// # Safety
/// The place is null, or writable and holds null or what [`hlw_snapshot_free`] takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_release(place: *mut *mut HlwSnapshot) {
    // SAFETY: valid or null, as the caller promised.
    if let Some(place) = unsafe { place.as_mut() } {
        // SAFETY: as the caller promised; taken once.
        unsafe { hlw_snapshot_free(std::mem::replace(place, ptr::null_mut())) };
    }
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

/// Writes a snapshot's pages to a file from a position on, and answers their bytes and a
/// record, which the caller keeps with them.
///
/// # Safety
/// All exist or are writable, or are null, and the descriptor is not closed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_save(
    snapshot: *const HlwSnapshot,
    fd: i32,
    position: u64,
    bytes: *mut u64,
    record: *mut HlwBuffer,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (snapshot, bytes, out) =
            unsafe { (snapshot.as_ref(), bytes.as_mut(), record.as_mut()) };
        let snapshot = snapshot.ok_or(AbiError::Null("snapshot"))?;
        let bytes = bytes.ok_or(AbiError::Null("bytes"))?;
        let out = out.ok_or(AbiError::Null("record"))?;
        if !is_page_aligned(position) {
            return Err(AbiError::Argument("position is not that of a page".into()));
        }
        // SAFETY: not closed meanwhile, as the caller promised.
        let file = unsafe { duplicate(fd)? };
        let (written, text) = snapshot.snapshot.save(&file, position)?;
        *bytes = written;
        *out = HlwBuffer::new(text.into_bytes());
        Ok(0)
    })
}

/// Takes a part of a file, with the record that goes with it, as a snapshot of a sandbox with
/// this configuration.
///
/// # Safety
/// All exist or are writable, or are null, `record_bytes` of the record are readable, and no
/// descriptor is closed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_snapshot_load(
    config: *const HlwConfig,
    fd: i32,
    position: u64,
    bytes: u64,
    record: *const u8,
    record_bytes: usize,
    snapshot: *mut *mut HlwSnapshot,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (config, out) = unsafe { (config.as_ref(), snapshot.as_mut()) };
        let config = config.ok_or(AbiError::Null("config"))?;
        let out = out.ok_or(AbiError::Null("snapshot"))?;
        *out = ptr::null_mut();
        if record.is_null() {
            return Err(AbiError::Null("record"));
        }
        if !is_page_aligned(position) {
            return Err(AbiError::Argument("position is not that of a page".into()));
        }
        // SAFETY: readable and not closed meanwhile, as the caller promised.
        let (config, file, record) = unsafe {
            (
                read_config(config)?,
                duplicate(fd)?,
                slice::from_raw_parts(record, record_bytes),
            )
        };
        let snapshot = Arc::new(Snapshot::load(config, file, position, bytes, record)?);
        *out = Box::into_raw(Box::new(HlwSnapshot { snapshot }));
        Ok(0)
    })
}

/// Our own descriptor of a caller's file.
///
/// # Safety
/// The descriptor is not closed meanwhile.
unsafe fn duplicate(fd: i32) -> Result<File, AbiError> {
    if fd < 0 {
        return Err(AbiError::Argument(format!("{fd} is no descriptor")));
    }
    // SAFETY: not closed meanwhile; a number that is no descriptor only makes dup fail.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(File::from(file.try_clone_to_owned()?))
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
