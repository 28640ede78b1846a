//! Entries about the library and the machine.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use super::{AbiError, entry, quiet};
use crate::deadline;
use crate::hypervisor::kvm;
use crate::kick;
use crate::sandbox::vm_pool;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// `hlw_hypervisor_info`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwHypervisorInfo {
    pub device: i32,
    pub api_version: i32,
    pub vcpu_mmap_bytes: u32,
    pub memslots_max: u32,
    pub sync_regs: i32,
    pub readonly_mem: i32,
    pub immediate_exit: i32,
}

/// Version of the library.
#[unsafe(no_mangle)]
pub extern "C" fn hlw_version() -> *const c_char {
    CStr::from_bytes_until_nul(VERSION.as_bytes())
        .unwrap_or_default()
        .as_ptr()
}

/// Python source of the constants shared by host and guest.
#[unsafe(no_mangle)]
pub extern "C" fn hlw_abi_constants() -> *const c_char {
    static SOURCE: OnceLock<CString> = OnceLock::new();
    quiet(c"".as_ptr(), || {
        if let Some(known) = SOURCE.get() {
            return Some(known.as_ptr());
        }
        let mut source = String::new();
        let made = host_guest_abi::export::python_source(&mut source)
            .ok()
            .and_then(|()| CString::new(source).ok())
            .unwrap_or_default();
        Some(SOURCE.get_or_init(|| made).as_ptr())
    })
}

/// Asks the hypervisor about itself. Never fails because there is none.
///
/// # Safety
/// `info` points to room for the answer, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_hypervisor_query(info: *mut HlwHypervisorInfo) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let info = unsafe { info.as_mut() }.ok_or(AbiError::Null("info"))?;
        let answer = kvm::query();
        *info = HlwHypervisorInfo {
            device: answer.device,
            api_version: answer.api_version,
            vcpu_mmap_bytes: u32::try_from(answer.vcpu_mmap_bytes).unwrap_or(u32::MAX),
            memslots_max: u32::try_from(answer.memslots_max).unwrap_or(u32::MAX),
            sync_regs: i32::from(answer.sync_regs),
            readonly_mem: i32::from(answer.readonly_mem),
            immediate_exit: i32::from(answer.immediate_exit),
        };
        Ok(0)
    })
}

/// Chooses the real-time signal behind kicks.
#[unsafe(no_mangle)]
pub extern "C" fn hlw_kick_signal(signal: i32) -> i32 {
    entry(|| {
        kick::choose(signal)?;
        Ok(0)
    })
}

/// `hlw_vm_pool_info`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwVmPoolInfo {
    pub made: u64,
    pub reused: u64,
    pub kept: u64,
    pub waiting: u64,
    pub limit: u64,
}

/// Chooses how many VMs are kept, unless `limit` is negative, and says how it is.
///
/// # Safety
/// `info` is writable, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_vm_pool(limit: i64, info: *mut HlwVmPoolInfo) -> i32 {
    entry(|| {
        let now = vm_pool::limit(usize::try_from(limit).ok());
        // SAFETY: valid or null, as the caller promised.
        if let Some(info) = unsafe { info.as_mut() } {
            *info = HlwVmPoolInfo {
                made: now.made,
                reused: now.reused,
                kept: now.kept,
                waiting: now.waiting,
                limit: now.limit,
            };
        }
        Ok(0)
    })
}

/// A descriptor that becomes readable whenever a deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn hlw_expiry_descriptor() -> i32 {
    entry(|| Ok(deadline::expiry_descriptor()?))
}
