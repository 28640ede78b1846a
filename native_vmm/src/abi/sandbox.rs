//! Entries about sandboxes.

use std::cell::UnsafeCell;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::slice;

use super::{AbiError, entry, quiet};
use crate::deadline::TimeLimits;
use crate::hypervisor::Driver;
use crate::kick::Reason;
use crate::memory::MemoryUsage;
use crate::sandbox::{Config, Counters, Exit, Sandbox, SandboxError};

/// `hlw_config`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwConfig {
    pub driver: u32,
    pub window_count: u32,
    pub window_bytes: *const u64,
    pub ram_bytes: u64,
    pub artifact_fd: i32,
    pub artifact_bytes: u64,
    pub total_memory_bytes: u64,
}

/// `hlw_exit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwExit {
    pub kind: i32,
    pub code: i32,
    pub value0: u64,
    pub value1: u64,
    pub text_bytes: u64,
}

/// `hlw_counters`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwCounters {
    pub exits: u64,
    pub host_calls: u64,
    pub page_faults: u64,
    pub access_faults: u64,
    pub exceptions: u64,
    pub protects: u64,
    pub interrupts: u64,
    pub restores: u64,
    pub restored_pages: u64,
    pub restore_scans: u64,
    pub create_nanoseconds: u64,
    pub boot_nanoseconds: u64,
}

/// `hlw_memory_usage`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwMemoryUsage {
    pub private_bytes: u64,
    pub linear_bytes: u64,
    pub slot_bytes: u64,
}

/// `hlw_sandbox`.
pub struct HlwSandbox {
    pub(super) sandbox: Sandbox,
    /// Written by the thread that uses the sandbox, read by it later.
    exit: UnsafeCell<HlwExit>,
}

impl HlwSandbox {
    pub(super) fn new(sandbox: Sandbox) -> Self {
        Self {
            sandbox,
            exit: UnsafeCell::default(),
        }
    }

    /// A restored sandbox is as after a command that ended well.
    pub(super) fn restored(&self) {
        // SAFETY: only the thread that uses the sandbox, which is the caller, touches it.
        unsafe { self.exit.get().write(HlwExit::default()) };
    }
}

impl HlwExit {
    fn new(exit: Exit, text_bytes: usize) -> Self {
        let (kind, code, [value0, value1]) = match exit {
            Exit::Done { values } => (0, 0, values),
            Exit::HostCall { function, pointer } => (1, 0, [function, pointer]),
            Exit::Failed { status, values } => (2, status, values),
            Exit::Interrupted { reason } => {
                let code = match reason {
                    None => 0,
                    Some(Reason::Cancel) => 1,
                    Some(Reason::Deadline) => 2,
                    Some(Reason::CpuTime) => 3,
                };
                (3, code, [0; 2])
            }
            Exit::Log { level } => (4, 0, [level, 0]),
            Exit::Panic => (5, 0, [0; 2]),
            Exit::Fault(fault) => (6, fault.vector, [fault.rip, fault.address]),
        };
        Self {
            kind,
            code,
            value0,
            value1,
            text_bytes: text_bytes as u64,
        }
    }
}

/// Makes a sandbox and boots its guest.
///
/// # Safety
/// `config` and the windows that it names are readable, `sandbox` is writable; any of
/// them may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_sandbox_new(
    config: *const HlwConfig,
    sandbox: *mut *mut HlwSandbox,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (config, out) = unsafe { (config.as_ref(), sandbox.as_mut()) };
        let config = config.ok_or(AbiError::Null("config"))?;
        let out = out.ok_or(AbiError::Null("sandbox"))?;
        *out = ptr::null_mut();
        // SAFETY: the caller promised that the windows are readable.
        let config = unsafe { read_config(config)? };
        let made = HlwSandbox::new(Sandbox::new(config)?);
        *out = Box::into_raw(Box::new(made));
        Ok(0)
    })
}

/// # Safety
/// The windows are readable or null, and the file descriptor is not closed meanwhile.
pub(super) unsafe fn read_config(config: &HlwConfig) -> Result<Config, AbiError> {
    let driver = match config.driver {
        1 => Driver::Kvm,
        2 => Driver::Scripted,
        other => return Err(AbiError::Argument(format!("{other} is not a driver"))),
    };
    if config.window_bytes.is_null() {
        return Err(AbiError::Null("window_bytes"));
    }
    let count = usize::try_from(config.window_count)
        .unwrap_or(usize::MAX)
        .min(1024);
    // SAFETY: the caller promised that the windows are readable.
    let windows = unsafe { slice::from_raw_parts(config.window_bytes, count) };
    let mut checked = Config::new(driver, config.ram_bytes, windows)?;
    if config.total_memory_bytes > 0 {
        checked = checked.with_total_memory(config.total_memory_bytes);
    }
    if config.artifact_fd < 0 {
        return Ok(checked);
    }
    // SAFETY: not closed meanwhile; a number that is no descriptor only makes dup fail.
    let artifact = unsafe { BorrowedFd::borrow_raw(config.artifact_fd) };
    let artifact = artifact
        .try_clone_to_owned()
        .map_err(|error| AbiError::Argument(format!("artifact_fd: {error}")))?;
    Ok(checked.with_artifact(File::from(artifact), config.artifact_bytes)?)
}

/// Frees a sandbox, or nothing if it is null.
///
/// # Safety
/// It came from [`hlw_sandbox_new`], and nobody uses it or its windows any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_sandbox_free(sandbox: *mut HlwSandbox) {
    quiet((), || {
        if !sandbox.is_null() {
            // SAFETY: a box of ours, given back.
            drop(unsafe { Box::from_raw(sandbox) });
        }
        Some(())
    });
}

/// Frees the sandbox that a place holds, if any, and leaves null there.
///
/// # Safety
/// The place is null, or writable and holds null or what [`hlw_sandbox_free`] takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_sandbox_release(place: *mut *mut HlwSandbox) {
    // SAFETY: valid or null, as the caller promised.
    if let Some(place) = unsafe { place.as_mut() } {
        // SAFETY: as the caller promised; taken once.
        unsafe { hlw_sandbox_free(std::mem::replace(place, ptr::null_mut())) };
    }
}

/// Where the last exit is described.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_last_exit(sandbox: *const HlwSandbox) -> *const HlwExit {
    // SAFETY: valid or null, as the caller promised.
    unsafe { sandbox.as_ref() }.map_or(ptr::null(), |sandbox| sandbox.exit.get().cast_const())
}

/// The text of the last exit.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_text(sandbox: *const HlwSandbox) -> *const u8 {
    // SAFETY: valid or null, as the caller promised.
    let sandbox = unsafe { sandbox.as_ref() };
    quiet(ptr::null(), || {
        sandbox?.sandbox.text_place().ok().map(|text| text.0)
    })
}

/// Gives a command and runs until the next exit.
///
/// # Safety
/// The sandbox exists and `count` arguments are readable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_command(
    sandbox: *mut HlwSandbox,
    command: u64,
    arguments: *const u64,
    count: u32,
) -> i32 {
    let body = |sandbox: &Sandbox| {
        if count == 0 {
            return Ok(sandbox.command(command, &[])?);
        }
        if arguments.is_null() {
            return Err(AbiError::Null("arguments"));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > 6 {
            return Err(SandboxError::Arguments(count).into());
        }
        // SAFETY: the caller promised that so many are readable.
        let arguments = unsafe { slice::from_raw_parts(arguments, count) };
        Ok(sandbox.command(command, arguments)?)
    };
    // SAFETY: valid or null, as the caller promised.
    unsafe { run(sandbox, body) }
}

/// Runs `call-k` until the next exit.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_call(sandbox: *mut HlwSandbox, index: u64) -> i32 {
    // SAFETY: valid or null, as the caller promised.
    unsafe { run(sandbox, |sandbox| Ok(sandbox.call(index)?)) }
}

/// Answers a host call and runs until the next exit.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_answer(sandbox: *mut HlwSandbox, status: u64, value: u64) -> i32 {
    // SAFETY: valid or null, as the caller promised.
    unsafe { run(sandbox, |sandbox| Ok(sandbox.answer(status, value)?)) }
}

/// Goes on after an interruption or a log record, until the next exit.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_resume(sandbox: *mut HlwSandbox) -> i32 {
    // SAFETY: valid or null, as the caller promised.
    unsafe { run(sandbox, |sandbox| Ok(sandbox.resume()?)) }
}

/// Runs, notes the exit and returns its kind.
///
/// # Safety
/// The sandbox exists, or is null.
unsafe fn run(
    sandbox: *mut HlwSandbox,
    body: impl FnOnce(&Sandbox) -> Result<Exit, AbiError>,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null. Shared, because another thread may kick it meanwhile.
        let sandbox = unsafe { sandbox.as_ref() }.ok_or(AbiError::Null("sandbox"))?;
        let exit = body(&sandbox.sandbox)?;
        let text_bytes = match exit {
            Exit::Done { .. } | Exit::HostCall { .. } | Exit::Interrupted { .. } => 0,
            _ => sandbox.sandbox.text_place()?.1,
        };
        let exit = HlwExit::new(exit, text_bytes);
        // SAFETY: only the thread that uses the sandbox, which is the caller, touches it.
        unsafe { sandbox.exit.get().write(exit) };
        Ok(exit.kind)
    })
}

/// Makes the present run, or the next one, end as interrupted. For any thread.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_kick(sandbox: *const HlwSandbox) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let sandbox = unsafe { sandbox.as_ref() }.ok_or(AbiError::Null("sandbox"))?;
        sandbox.sandbox.kick();
        Ok(0)
    })
}

/// Limits the time of each command from now on, in nanoseconds; 0 for no limit.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_limit_time(sandbox: *const HlwSandbox, wall: u64, cpu: u64) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let sandbox = unsafe { sandbox.as_ref() }.ok_or(AbiError::Null("sandbox"))?;
        sandbox.sandbox.limit_time(TimeLimits { wall, cpu })?;
        Ok(0)
    })
}

/// Whether the wall-clock time of the command that runs is up. For any thread.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_is_expired(sandbox: *const HlwSandbox) -> i32 {
    // SAFETY: valid or null, as the caller promised.
    let sandbox = unsafe { sandbox.as_ref() };
    quiet(0, || Some(i32::from(sandbox?.sandbox.is_expired())))
}

/// Host address and size of a transfer window; null if there is none.
///
/// # Safety
/// The sandbox exists and `bytes` is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_window(
    sandbox: *const HlwSandbox,
    index: u32,
    bytes: *mut u64,
) -> *mut u8 {
    // SAFETY: valid or null, as the caller promised.
    let (sandbox, bytes) = unsafe { (sandbox.as_ref(), bytes.as_mut()) };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let window = quiet(None, || sandbox?.sandbox.transfer_window(index).ok());
    let (base, size) = window
        .filter(|window| window.1 > 0)
        .unwrap_or((ptr::null_mut(), 0));
    if let Some(bytes) = bytes {
        *bytes = size;
    }
    base
}

/// What the sandbox's memory takes now.
///
/// # Safety
/// The sandbox exists and `usage` is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_memory_usage_read(
    sandbox: *const HlwSandbox,
    usage: *mut HlwMemoryUsage,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (sandbox, out) = unsafe { (sandbox.as_ref(), usage.as_mut()) };
        let sandbox = sandbox.ok_or(AbiError::Null("sandbox"))?;
        let out = out.ok_or(AbiError::Null("usage"))?;
        let MemoryUsage {
            private,
            linear,
            slot,
        } = sandbox.sandbox.memory_usage()?;
        *out = HlwMemoryUsage {
            private_bytes: private,
            linear_bytes: linear,
            slot_bytes: slot,
        };
        Ok(0)
    })
}

/// Copies the counters as they were at the last exit. For any thread.
///
/// # Safety
/// The sandbox exists and `counters` is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_counters_read(sandbox: *const HlwSandbox, counters: *mut HlwCounters) {
    // SAFETY: valid or null, as the caller promised.
    let (sandbox, counters) = unsafe { (sandbox.as_ref(), counters.as_mut()) };
    let Some(counters) = counters else { return };
    let now = quiet(Counters::default(), || Some(sandbox?.sandbox.counters()));
    *counters = HlwCounters {
        exits: now.exits,
        host_calls: now.host_calls,
        page_faults: now.page_faults,
        access_faults: now.access_faults,
        exceptions: now.exceptions,
        protects: now.protects,
        interrupts: now.interrupts,
        restores: now.restores,
        restored_pages: now.restored_pages,
        restore_scans: now.restore_scans,
        create_nanoseconds: now.create_nanoseconds,
        boot_nanoseconds: now.boot_nanoseconds,
    };
}
