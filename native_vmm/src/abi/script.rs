//! Entries about the scripted driver.

use std::slice;

use super::sandbox::HlwSandbox;
use super::{AbiError, entry};
use crate::hypervisor::MachineExit;

/// Adds a write to the next step of the script.
///
/// # Safety
/// The sandbox exists and `length` bytes of `data` are readable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_script_write(
    sandbox: *mut HlwSandbox,
    guest_address: u64,
    data: *const u8,
    length: usize,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let sandbox = unsafe { sandbox.as_ref() }.ok_or(AbiError::Null("sandbox"))?;
        if data.is_null() {
            return Err(AbiError::Null("data"));
        }
        let physical = sandbox.sandbox.physical(guest_address, length as u64)?;
        // SAFETY: the caller promised that so many are readable.
        let data = unsafe { slice::from_raw_parts(data, length) };
        sandbox
            .sandbox
            .script(|script| script.write(physical, data))?;
        Ok(0)
    })
}

/// Adds a step that does the writes so far and ends a run.
///
/// # Safety
/// The sandbox exists, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_script_step(sandbox: *mut HlwSandbox, kind: u32, code: u32) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let sandbox = unsafe { sandbox.as_ref() }.ok_or(AbiError::Null("sandbox"))?;
        let exit = match kind {
            0 => MachineExit::Request(code),
            1 => MachineExit::Interrupted,
            2 => MachineExit::AccessFault,
            3 => MachineExit::Shutdown,
            4 => MachineExit::Unexpected(format!("scripted ({code})")),
            other => return Err(AbiError::Argument(format!("{other} is not a kind of step"))),
        };
        sandbox.sandbox.script(|script| script.step(exit, None))?;
        Ok(0)
    })
}
