//! What a fork of the process must not break.
//!
//! The child has one thread, no VM that works, and locks as they were. So the locks of this
//! library are held across the fork, and the child starts without the parent's machines and
//! threads.

use std::cell::RefCell;
use std::sync::Once;

use crate::deadline::AlarmsHeld;
use crate::sandbox::vm_pool::PoolHeld;
use crate::{deadline, kick};

thread_local! {
    static HELD: RefCell<Option<(AlarmsHeld, PoolHeld)>> = const { RefCell::new(None) };
}

/// Installs the handlers, once per process.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: plain functions that take and give back locks of ours.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}

/// The process of the caller.
pub fn process() -> i32 {
    // SAFETY: only asks.
    unsafe { libc::getpid() }
}

extern "C" fn prepare() {
    let held = (deadline::hold(), crate::sandbox::vm_pool::hold());
    HELD.with_borrow_mut(|place| *place = Some(held));
}

extern "C" fn parent() {
    drop(HELD.take());
}

extern "C" fn child() {
    kick::forget_thread();
    if let Some((alarms, pool)) = HELD.take() {
        deadline::start_anew(alarms);
        pool.start_anew();
    }
}
