//! What a fork of the process must not break.
//!
//! The child has one thread, no VM that works, and locks as they were. So the locks of this
//! library are held across the fork, and the child starts without the parent's machines and
//! threads.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::deadline::AlarmsHeld;
use crate::sandbox::vm_pool::PoolHeld;
use crate::{deadline, kick};

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// What is held across a fork. The gate is taken last: who has passed it waits for no other.
type Held = (AlarmsHeld, PoolHeld, RwLockWriteGuard<'static, ()>);

/// Passed by whoever takes a lock that there are many of; closed while a fork happens.
static GATE: RwLock<()> = RwLock::new(());

/// Forks between the first process with this library and the present one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

#[cfg(any(test, debug_assertions))]
thread_local! {
    static HOLDS_ONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Makes sure that a thread takes one such lock at a time: where a fork waits for the gate, it
/// stays shut to whoever has passed it and wants to pass again.
fn mark(holds: bool) {
    #[cfg(any(test, debug_assertions))]
    assert!(HOLDS_ONE.replace(holds) != holds, "a lock within a lock");
    let _ = holds;
}

/// A lock that no fork finds taken.
pub struct Locked<'m, T> {
    // Given back before the gate opens.
    guard: MutexGuard<'m, T>,
    _gate: RwLockReadGuard<'static, ()>,
}

/// Takes a lock that a child may need, for a short time in which no other is taken.
pub fn lock<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    mark(true);
    let gate = GATE.read().unwrap_or_else(PoisonError::into_inner);
    Locked {
        guard: mutex.lock().unwrap_or_else(PoisonError::into_inner),
        _gate: gate,
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        mark(false);
    }
}

/// A number that is another one in each child. Costs nothing, unlike asking for the process.
pub fn generation() -> u32 {
    GENERATION.load(Relaxed)
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
    let (alarms, pool) = (deadline::hold(), crate::sandbox::vm_pool::hold());
    let gate = GATE.write().unwrap_or_else(PoisonError::into_inner);
    let held = (alarms, pool, gate);
    HELD.with_borrow_mut(|place| *place = Some(held));
}

extern "C" fn parent() {
    drop(HELD.take());
}

extern "C" fn child() {
    kick::forget_thread();
    GENERATION.fetch_add(1, Relaxed);
    if let Some((alarms, pool, _gate)) = HELD.take() {
        deadline::start_anew(alarms);
        pool.start_anew();
    }
}
