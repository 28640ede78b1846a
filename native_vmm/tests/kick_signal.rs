//! The signal behind kicks, in a process of its own: the choice is final.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use common::{MIB, TestResult};
use native_vmm::hypervisor::Driver;
use native_vmm::kick::{SignalError, choose};
use native_vmm::sandbox::{Config, Sandbox};

static PREVIOUS: AtomicU64 = AtomicU64::new(0);

extern "C" fn previous(_: i32) {
    PREVIOUS.fetch_add(1, SeqCst);
}

#[test]
fn the_previous_handler_is_still_called() -> TestResult {
    let signal = libc::SIGRTMIN() + 3;
    let handler = previous as extern "C" fn(i32) as usize;
    // SAFETY: the handler only counts.
    unsafe { libc::signal(signal, handler) };
    let refused = choose(libc::SIGTERM);
    assert!(matches!(refused, Err(SignalError::NotRealTime(_))));
    choose(signal)?;
    let config = || Config::new(Driver::Scripted, 32 * MIB, &[0, MIB]);
    let sandboxes = [Sandbox::new(config()?)?, Sandbox::new(config()?)?];
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(signal) };
    assert_eq!(PREVIOUS.load(SeqCst), 1);
    assert!(matches!(choose(signal), Err(SignalError::TooLate)));
    drop(sandboxes);
    Ok(())
}
