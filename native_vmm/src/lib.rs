//! The VMM of hlwasm: micro-VMs for WebAssembly behind a small C ABI.
//!
//! | module | subject |
//! |---|---|
//! | [`abi`] | the C ABI of `hlwasm.h` |
//! | [`sandbox`] | one micro-VM with its guest: enter, exit, requests, traps |
//! | [`memory`] | RAM, windows and artifact: layout, mappings, protections |
//! | [`loader`], [`elf`] | the guest image |
//! | [`kick`], [`deadline`] | stopping a running vCPU, now or when its time is up |
//! | `fork` | what a fork of the process must not break |
//! | [`turns`] | sharing the CPUs among guests that run for long |
//! | [`hypervisor`] | the drivers: KVM and a scripted one for tests |
//! | [`arch`] | machine facts: page tables, descriptors, registers |

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("hlwasm runs on Linux on x86-64 only");

pub mod abi;
pub mod arch;
pub mod deadline;
pub mod elf;
pub mod embedded_guest;
mod fork;
pub mod hypervisor;
pub mod kick;
pub mod loader;
pub mod memory;
pub mod sandbox;
mod scheduling;
pub mod turns;
