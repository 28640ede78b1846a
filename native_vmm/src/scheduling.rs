//! How threads are scheduled: the watcher, and for a moment those whose time is up.
//!
//! Does nothing where the process may not raise a thread.

use std::mem::MaybeUninit;

/// How long the scheduling of a thread whose time was up stays raised, unless it uses the
/// sandbox again before: enough for its caller to get Python's lock and take note.
const RAISED: u64 = 50_000_000;
/// Real-time priorities, the lowest that there are: of threads that were kicked, and of the
/// watcher.
const PRIORITY_KICKED: i32 = 1;
const PRIORITY_WATCHER: i32 = 2;

/// Raises the calling thread, which is the watcher.
pub fn raise_watcher() {
    Scheduling::raise(0, PRIORITY_WATCHER);
}

/// Makes the calling thread, which was raised, an ordinary one. What else it was the
/// watcher knows, and sees to later.
pub fn lower() {
    let ordinary = libc::sched_param { sched_priority: 0 };
    let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
    // SAFETY: only changes how the calling thread is scheduled.
    unsafe { libc::sched_setscheduler(0, policy, &raw const ordinary) };
}

/// How a thread is scheduled.
struct Scheduling {
    policy: i32,
    priority: libc::sched_param,
}

impl Scheduling {
    /// Raises a thread, 0 for the calling one; answers how it was scheduled before. Does
    /// nothing where the process may not do that, or the thread is a real-time one already.
    fn raise(thread: i32, priority: i32) -> Option<Self> {
        let mut before = MaybeUninit::zeroed();
        // SAFETY: only asks; `before` has room for the answer, all zeros of which are valid.
        let (policy, before) = unsafe {
            libc::sched_getparam(thread, before.as_mut_ptr());
            (libc::sched_getscheduler(thread), before.assume_init())
        };
        let ordinary = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE];
        if !ordinary.contains(&(policy & !libc::SCHED_RESET_ON_FORK)) {
            return None;
        }
        let before = Self {
            policy,
            priority: before,
        };
        let wanted = libc::sched_param {
            sched_priority: priority,
        };
        let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
        // SAFETY: only changes how a thread of this process is scheduled.
        let result = unsafe { libc::sched_setscheduler(thread, policy, &raw const wanted) };
        (result == 0).then_some(before)
    }

    fn restore(&self, thread: i32) {
        // Whoever may raise by a resource limit alone may not take the flag away again, and
        // would be refused all of it.
        let policy = self.policy | libc::SCHED_RESET_ON_FORK;
        // SAFETY: as above. A thread that has ended meanwhile is no error.
        unsafe { libc::sched_setscheduler(thread, policy, &raw const self.priority) };
    }
}

/// A thread whose scheduling is raised.
pub struct Raised {
    thread: i32,
    until: u64,
    before: Scheduling,
}

impl Raised {
    /// Raises a thread, 0 for none; whether that was possible.
    pub fn add(raised: &mut Vec<Self>, thread: i32, time: u64) -> bool {
        if thread == 0 {
            return false;
        }
        let Some(before) = Scheduling::raise(thread, PRIORITY_KICKED) else {
            return false;
        };
        raised.push(Self {
            thread,
            until: time + RAISED,
            before,
        });
        true
    }

    /// Lowers those whose time has come; answers when the next one's comes.
    pub fn lower(raised: &mut Vec<Self>, time: u64) -> u64 {
        raised.retain(|one| {
            let keep = one.until > time;
            if !keep {
                one.before.restore(one.thread);
            }
            keep
        });
        raised.iter().map(|one| one.until).min().unwrap_or(u64::MAX)
    }
}
