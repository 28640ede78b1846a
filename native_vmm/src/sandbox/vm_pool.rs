//! VMs that outlive their sandboxes.
//!
//! Making a VM and freeing one takes the kernel longer than all else that a sandbox needs, so
//! neither is done while somebody waits: whoever drops a sandbox leaves its guest to a thread
//! of ours, which puts it back to its snapshot and keeps it, or frees it. A sandbox that is to
//! be made of a snapshot takes a guest that has the same memory, or else one with the same
//! layout, which only has to be mapped anew. One that still waits for the thread will do, too:
//! whoever takes it puts it back.
//!
//! What is kept holds nothing of whoever used it before: memory and extended registers are
//! those of the snapshot before it is kept, all other registers when it is taken.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::guest::Guest;
use super::snapshot::Snapshot;
use crate::fork;

/// VMs kept unless chosen otherwise.
const KEPT_DEFAULT: usize = 16;
/// Guests that may wait for the thread; whoever comes later frees their own.
const WAITING_MAX: usize = 64;
/// A VM that nobody has wanted for so long is freed.
const IDLE: Duration = Duration::from_secs(10);
/// Waking a thread costs more than all else that dropping a sandbox takes. So after work the
/// thread looks for more by itself, in such intervals, so often.
const LOOK: Duration = Duration::from_micros(500);
const LOOKS: u32 = 20;

/// A guest that waits to be taken.
struct Kept {
    guest: Box<Guest>,
    since: Instant,
}

#[derive(Default)]
struct Pool {
    kept: Vec<Kept>,
    waiting: VecDeque<Box<Guest>>,
    /// The guests that the thread has in hand.
    in_hand: usize,
    thread: Option<Thread>,
    /// Whether the thread looks for work by itself.
    looking: bool,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    kept: Vec::new(),
    waiting: VecDeque::new(),
    in_hand: 0,
    thread: None,
    looking: false,
});
static KEPT_MAX: AtomicUsize = AtomicUsize::new(KEPT_DEFAULT);
static MADE: AtomicU64 = AtomicU64::new(0);
static REUSED: AtomicU64 = AtomicU64::new(0);

/// What the pool has done and has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolInfo {
    /// VMs that were made of snapshots because none was kept.
    pub made: u64,
    /// VMs that were taken.
    pub reused: u64,
    /// VMs kept now.
    pub kept: u64,
    /// VMs that wait to be kept or freed.
    pub waiting: u64,
    /// The most that are kept.
    pub limit: u64,
}

/// Chooses how many VMs are kept; those that are too many are freed. Answers how it is now.
pub fn limit(kept: Option<usize>) -> PoolInfo {
    let mut pool = lock();
    let mut surplus = Vec::new();
    if let Some(kept) = kept {
        KEPT_MAX.store(kept, Relaxed);
        let most = kept.min(pool.kept.len());
        surplus = pool.kept.split_off(most);
    }
    let info = PoolInfo {
        made: MADE.load(Relaxed),
        reused: REUSED.load(Relaxed),
        kept: pool.kept.len() as u64,
        waiting: (pool.waiting.len() + pool.in_hand) as u64,
        limit: KEPT_MAX.load(Relaxed) as u64,
    };
    drop(pool);
    drop(surplus);
    info
}

/// A guest like the saved one, from the pool where it has one.
pub(super) fn take(snapshot: &Snapshot) -> Option<Box<Guest>> {
    let taken = take_any(snapshot);
    let counter = if taken.is_some() { &REUSED } else { &MADE };
    counter.fetch_add(1, Relaxed);
    taken
}

fn take_any(snapshot: &Snapshot) -> Option<Box<Guest>> {
    let mut pool = lock();
    let kept = pool.kept.iter();
    if let Some(index) = kept
        .rev()
        .position(|kept| kept.guest.has_memory_of(snapshot))
    {
        let index = pool.kept.len() - 1 - index;
        return Some(pool.kept.swap_remove(index).guest);
    }
    let waiting = pool.waiting.iter();
    if let Some(index) = waiting
        .rev()
        .position(|guest| guest.has_memory_of(snapshot))
    {
        let index = pool.waiting.len() - 1 - index;
        let guest = pool.waiting.remove(index);
        drop(pool);
        return guest.and_then(|mut guest| guest.scrub().is_ok().then_some(guest));
    }
    let fits = pool.kept.iter().position(|kept| kept.guest.fits(snapshot));
    fits.map(|index| pool.kept.swap_remove(index).guest)
}

/// Takes over the guest of a sandbox that is dropped.
pub(super) fn leave(guest: Box<Guest>) {
    if guest.process != fork::process() {
        // The parent's: its VM is none here. Freeing our view of it is all there is to do.
        drop(guest);
        return;
    }
    let mut pool = lock();
    if pool.waiting.len() >= WAITING_MAX {
        drop(pool);
        drop(guest);
        return;
    }
    pool.waiting.push_back(guest);
    match &pool.thread {
        Some(_) if pool.looking => {}
        Some(thread) => thread.unpark(),
        None => start(pool),
    }
}

fn start(mut pool: MutexGuard<'_, Pool>) {
    let started = thread::Builder::new()
        .name("hlwasm-vm-pool".to_owned())
        .stack_size(256 << 10)
        .spawn(run);
    match started {
        Ok(handle) => pool.thread = Some(handle.thread().clone()),
        Err(_) => {
            // No thread is to be had: free them ourselves.
            let waiting = mem::take(&mut pool.waiting);
            drop(pool);
            drop(waiting);
        }
    }
}

fn run() {
    crate::deadline::block_signals();
    let mut looks = 0;
    loop {
        let mut pool = lock();
        pool.in_hand = 0;
        let Some(mut guest) = pool.waiting.pop_front() else {
            pool.looking = looks > 0;
            let old = take_idle(&mut pool);
            let any = !pool.kept.is_empty();
            drop(pool);
            drop(old);
            match (looks, any) {
                (0, false) => thread::park(),
                (0, true) => thread::park_timeout(IDLE / 4),
                _ => {
                    looks -= 1;
                    thread::park_timeout(LOOK);
                }
            }
            continue;
        };
        looks = LOOKS;
        pool.in_hand = 1;
        let room = pool.kept.len() < KEPT_MAX.load(Relaxed);
        drop(pool);
        if room && guest.scrub().is_ok() {
            let mut pool = lock();
            if pool.kept.len() < KEPT_MAX.load(Relaxed) {
                let since = Instant::now();
                pool.kept.push(Kept { guest, since });
                continue;
            }
        } else {
            // Kept or not, whoever comes next learns from it; and if not, nothing is lost.
            let _ = guest.memory.teach();
        }
        drop(guest);
    }
}

/// Those that nobody has wanted for long.
fn take_idle(pool: &mut Pool) -> Vec<Kept> {
    let (old, kept) = mem::take(&mut pool.kept)
        .into_iter()
        .partition(|kept| kept.since.elapsed() >= IDLE);
    pool.kept = kept;
    old
}

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, held across a fork.
pub struct PoolHeld(MutexGuard<'static, Pool>);

/// Takes the lock.
pub fn hold() -> PoolHeld {
    PoolHeld(lock())
}

impl PoolHeld {
    /// In the child: the machines are the parent's, and the thread is not there.
    pub fn start_anew(mut self) {
        mem::forget(mem::take(&mut *self.0));
    }
}
