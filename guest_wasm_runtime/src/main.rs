//! The guest of hlwasm: wasmtime in ring 3 of a micro-VM, without an operating system.
//!
//! | module | subject |
//! |---|---|
//! | [`entry`] | first instruction, boot, the command loop |
//! | [`mailbox`] | commands in, outcomes out |
//! | [`exit`] | requests to the host |
//! | [`dispatch`] | what each command does |
//! | [`engine`] | wasmtime's configuration, CPU features |
//! | [`component`] | load, instantiate, call |
//! | [`windows`] | which linear memory lies where |
//! | [`fuel`] | counted work |
//! | [`limits`] | what a component may exceed |
//! | [`report`] | errors as status, trap code and text |
//! | [`platform`] | what wasmtime asks of an operating system |
//! | [`heap`], [`intrinsics`], [`text`], [`log`], [`mod@panic`], [`units`] | the ground it stands on |
//!
//! One thread, no interrupts. The host is trusted, the component is not; what the
//! component can break is this guest, never more than its micro-VM.
#![no_std]
#![no_main]

extern crate alloc;

mod component;
mod dispatch;
mod engine;
mod entry;
mod exit;
mod fuel;
mod heap;
mod intrinsics;
mod limits;
mod log;
mod mailbox;
mod panic;
mod platform;
mod report;
mod text;
mod units;
mod windows;
