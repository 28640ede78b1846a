//! The contract between host and guest, and the only place where it is written down.
//!
//! `native_vmm` (host) and `guest_wasm_runtime` (guest) compile against this crate;
//! Python gets the same numbers from [`export::python_source`], written to
//! `hlwasm/native/_abi.py` when the package is built.
//!
//! | module | subject |
//! |---|---|
//! | [`layout`] | guest-physical and guest-virtual addresses |
//! | [`mailbox`] | the shared page: who writes which word |
//! | [`command`] | what the host asks of the guest |
//! | [`exit`] | what the guest asks of the host |
//! | [`status`] | how a command ended, and trap codes |
//! | [`transfer`] | the transfer memories of the two bridges |
#![no_std]

/// Defines `u64` constants and a table of them, so that no constant can be left
/// out of the Python export.
macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: u64 = $value;)*
        /// Every constant of this module, by name.
        pub const ALL: &[(&str, u64)] = &[$((stringify!($name), $name)),*];
    };
}

pub mod command;
pub mod exit;
pub mod export;
pub mod layout;
pub mod mailbox;
pub mod status;
pub mod transfer;
