//! The guest runtime, built by `build.rs`.

/// An ELF program for the guest's address range.
pub const IMAGE: &[u8] = include_bytes!(env!("HLWASM_GUEST_IMAGE"));
