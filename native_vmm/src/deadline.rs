//! Deadlines: one thread watches the clock for all sandboxes of the process.
//!
//! A command with a time limit notes when it must end, which takes a look at the clock and a
//! store; when it ends it clears the note. The watcher sleeps until the earliest note that it
//! saw, and is woken only for one that is earlier still: a series of calls with the same limit
//! wakes it once per limit, not once per call. What is too late it kicks.
//!
//! ```text
//! command                                 watcher
//! 1  due = now + limit                    1  wake = earliest due
//! 2  due < wake? unpark the watcher       2  any due < wake? start again
//!                                         3  sleep until wake
//! ```
//! A thread that is kicked but finds no free CPU would not notice: where the process may do
//! that, its scheduling is raised for a moment.

use std::mem::MaybeUninit;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::fork;
use crate::kick::Kick;
use crate::scheduling::{Raised, lower, raise_watcher};
use crate::turns::{self, Look, Seen, TICK, Verdict};

/// The time limits of one sandbox, in nanoseconds, and when they end what runs now.
///
/// Times are of the monotonic clock; 0 means never.
#[derive(Debug)]
pub struct Alarm {
    kick: Kick,
    /// Number of the command that runs.
    command: AtomicU64,
    due: AtomicU64,
    /// When to look at the CPU time of the running thread, the thread, and the limit on its clock.
    cpu_due: AtomicU64,
    cpu_thread: AtomicI32,
    cpu_end: AtomicU64,
    /// Whether the thread that ran the guest is raised and has not used the sandbox since.
    raised: AtomicBool,
}

/// Time limits of each command, in nanoseconds; 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// From the command to its end, host functions included.
    pub wall: u64,
    /// CPU time of the guest and the VMM, host functions not included.
    pub cpu: u64,
}

impl Alarm {
    /// Without limits, until it is told some.
    pub fn new(kick: Kick) -> Arc<Self> {
        Arc::new(Self {
            kick,
            command: AtomicU64::new(0),
            due: AtomicU64::new(0),
            cpu_due: AtomicU64::new(0),
            cpu_thread: AtomicI32::new(0),
            cpu_end: AtomicU64::new(0),
            raised: AtomicBool::new(false),
        })
    }

    /// The bell.
    pub const fn kick(&self) -> &Kick {
        &self.kick
    }

    /// Whether the wall-clock time of the command that runs is up, as far as anybody has
    /// noticed.
    pub fn is_expired(&self) -> bool {
        self.kick.is_expired(self.command.load(SeqCst))
    }

    /// The calling thread uses the sandbox again: if it was raised, it has taken note.
    pub fn note(&self) {
        if self.raised.load(Relaxed) && self.raised.swap(false, SeqCst) {
            lower();
        }
    }

    /// A run begins. Answers nothing, but sees to it that a crowd is looked after.
    pub fn enter_run(&self) {
        if self.kick.turn.begin() {
            watcher().unpark();
        }
    }

    /// A run goes on.
    pub fn go_on(&self) {
        if self.kick.turn.come() {
            watcher().unpark();
        }
    }

    /// The run has ended.
    pub fn leave_run(&self) {
        self.kick.turn.end();
    }

    /// The command of this number begins.
    pub fn begin(&self, command: u64, limits: TimeLimits) {
        self.command.store(command, SeqCst);
        // A program may block all signals at any time, for a `sigwait` of its own.
        crate::kick::unblock();
        if limits.wall > 0 {
            self.set(&self.due, limits.wall);
        }
    }

    /// The command has ended, or is given up.
    pub fn end(&self) {
        self.due.store(0, SeqCst);
    }

    /// The calling thread runs the guest, which has this much CPU time left. Answers the
    /// thread's clock.
    pub fn begin_run(&self, left: u64) -> u64 {
        let now = clock(libc::CLOCK_THREAD_CPUTIME_ID);
        self.cpu_thread.store(crate::kick::thread(), SeqCst);
        self.cpu_end.store(now.saturating_add(left), SeqCst);
        self.set(&self.cpu_due, left);
        now
    }

    /// The run that began at this time of the thread's clock has ended; answers how long it was.
    pub fn end_run(&self, began: u64) -> u64 {
        self.cpu_due.store(0, SeqCst);
        clock(libc::CLOCK_THREAD_CPUTIME_ID).saturating_sub(began)
    }

    fn set(&self, due: &AtomicU64, from_now: u64) {
        let time = now().saturating_add(from_now).max(1);
        due.store(time, SeqCst);
        if time < WAKE.load(SeqCst) {
            SPAN.fetch_max(from_now, SeqCst);
            watcher().unpark();
        }
    }

    /// Kicks what is too late, and answers when to look again.
    fn check(&self, time: u64, raised: &mut Vec<Raised>) -> u64 {
        // Before the notes: one that is replaced meanwhile belongs to a later command.
        let command = self.command.load(SeqCst);
        let (due, cpu_due) = (self.due.load(SeqCst), self.cpu_due.load(SeqCst));
        let mut next = u64::MAX;
        if due != 0 && due <= time {
            if self.due.compare_exchange(due, 0, SeqCst, SeqCst).is_ok() {
                self.expire(command, false, time, raised);
                notify();
            }
        } else if due != 0 {
            next = due;
        }
        if cpu_due != 0 && cpu_due <= time {
            let left = self.cpu_left();
            let later = if left > 0 {
                time.saturating_add(left)
            } else {
                0
            };
            if self
                .cpu_due
                .compare_exchange(cpu_due, later, SeqCst, SeqCst)
                .is_ok()
            {
                if left == 0 {
                    self.expire(command, true, time, raised);
                } else {
                    next = next.min(later);
                }
            }
        } else if cpu_due != 0 {
            next = next.min(cpu_due);
        }
        next
    }

    fn expire(&self, command: u64, cpu: bool, time: u64, raised: &mut Vec<Raised>) {
        let thread = self.kick.expire(command, cpu);
        if Raised::add(raised, thread, time) {
            self.raised.store(true, SeqCst);
        }
    }

    /// CPU time that the running thread has left; 0 also if it has ended.
    fn cpu_left(&self) -> u64 {
        // The clock of a thread, as `pthread_getcpuclockid` makes it of its number.
        let id = !self.cpu_thread.load(SeqCst) << 3 | 6;
        self.cpu_end.load(SeqCst).saturating_sub(clock(id))
    }
}

/// A sandbox, as the watcher knows it.
#[derive(Debug)]
pub struct Watched {
    alarm: Arc<Alarm>,
    seen: Seen,
}

/// All sandboxes.
static ALARMS: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
/// When the watcher wakes up.
static WAKE: AtomicU64 = AtomicU64::new(u64::MAX);
/// The longest time limit that woke it lately: so long it stays awake without a reason.
static SPAN: AtomicU64 = AtomicU64::new(0);
/// The watcher, and the process that it is a thread of.
static WATCHER: Mutex<Option<(i32, Thread)>> = Mutex::new(None);
/// Where expired deadlines are told, -1 before anybody asked.
static EXPIRY: AtomicI32 = AtomicI32::new(-1);

/// Has the watcher look after an alarm.
pub fn watch(alarm: &Arc<Alarm>) {
    let mut alarms = hold();
    alarms.push(Watched {
        alarm: Arc::clone(alarm),
        seen: Seen::default(),
    });
}

/// From now on the watcher does not touch the alarm.
pub fn forget(alarm: &Arc<Alarm>) {
    let mut alarms = hold();
    if let Some(index) = alarms
        .iter()
        .position(|known| Arc::ptr_eq(&known.alarm, alarm))
    {
        alarms.swap_remove(index);
    }
}

/// A descriptor that becomes readable, as an eventfd does, whenever a deadline has passed:
/// for whoever runs host functions. One for the process; it stays open.
///
/// # Errors
/// The errno of `eventfd`.
pub fn expiry_descriptor() -> std::io::Result<i32> {
    static MADE: Mutex<()> = Mutex::new(());
    let _lock = fork::lock(&MADE);
    let known = EXPIRY.load(SeqCst);
    if known >= 0 {
        return Ok(known);
    }
    // SAFETY: makes a new descriptor or fails.
    let made = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if made < 0 {
        return Err(std::io::Error::last_os_error());
    }
    EXPIRY.store(made, SeqCst);
    Ok(made)
}

/// The lock on the alarms, held across a fork.
pub type AlarmsHeld = MutexGuard<'static, Vec<Watched>>;

/// Takes the lock.
pub fn hold() -> AlarmsHeld {
    ALARMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In the child of a fork: no watcher, and the parent's sandboxes are none.
pub fn start_anew(mut alarms: AlarmsHeld) {
    std::mem::forget(std::mem::take(&mut *alarms));
    WAKE.store(u64::MAX, SeqCst);
    // The parent reads what is told there. Whoever knows the number still may close it.
    EXPIRY.store(-1, SeqCst);
    turns::start_anew();
}

fn notify() {
    let descriptor = EXPIRY.load(SeqCst);
    if descriptor >= 0 {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: writes to a descriptor of ours, from a buffer of ours.
        unsafe { libc::write(descriptor, one.as_ptr().cast(), one.len()) };
    }
}

/// The watcher of this process, started if there is none.
fn watcher() -> Thread {
    static FAST: OnceLock<(i32, Thread)> = OnceLock::new();
    let process = fork::process();
    if let Some((owner, thread)) = FAST.get()
        && *owner == process
    {
        return thread.clone();
    }
    let mut watcher = fork::lock(&WATCHER);
    // A child of a fork has none of its parent's threads.
    if let Some((owner, thread)) = &*watcher
        && *owner == process
    {
        return thread.clone();
    }
    let started = thread::Builder::new()
        .name("hlwasm-deadline".to_owned())
        .stack_size(64 << 10)
        .spawn(run);
    let thread = match started {
        Ok(handle) => handle.thread().clone(),
        // No thread is to be had: the next command with a limit tries again.
        Err(_) => return thread::current(),
    };
    *watcher = Some((process, thread.clone()));
    let _ = FAST.set((process, thread.clone()));
    thread
}

fn run() {
    block_signals();
    raise_watcher();
    let mut raised = Vec::new();
    let mut grace = true;
    let mut queue = 0;
    let mut look_at = 0;
    loop {
        let time = now();
        let mut next = u64::MAX;
        {
            let mut alarms = hold();
            for watched in alarms.iter() {
                next = next.min(watched.alarm.check(time, &mut raised));
            }
            if turns::looking() {
                if look_at <= time {
                    look_at = time + TICK;
                    if !look(&mut alarms, &mut queue) && !turns::stop_looking() {
                        look_at = 0;
                    }
                }
                next = next.min(look_at.max(1));
            }
        }
        next = next.min(Raised::lower(&mut raised, time));
        if next == u64::MAX && grace {
            // Calls that follow each other closely should not have to wake us each time.
            grace = false;
            next = time.saturating_add(SPAN.swap(0, SeqCst).max(1_000_000));
        } else if next != u64::MAX {
            grace = true;
        }
        WAKE.store(next, SeqCst);
        if earliest() < next {
            continue;
        }
        if next == u64::MAX {
            thread::park();
        } else {
            thread::park_timeout(Duration::from_nanos(next.saturating_sub(now())));
        }
        // Whoever comes now need not wake us.
        WAKE.store(0, SeqCst);
    }
}

/// Sees to it that no more guests than CPUs run for long. Whether to look again.
fn look(watched: &mut [Watched], queue: &mut u64) -> bool {
    let mut look = Look::default();
    for (index, one) in watched.iter_mut().enumerate() {
        look.see(index, &one.alarm.kick.turn, &mut one.seen);
    }
    for verdict in look.decide() {
        let (Verdict::Wait(index) | Verdict::Go(index)) = verdict;
        let one = &mut watched[index];
        turns::carry_out(verdict, &one.alarm.kick.turn, &mut one.seen, queue);
        if matches!(verdict, Verdict::Wait(_)) {
            one.alarm.kick.interrupt();
            if one.alarm.kick.is_pending() {
                // It was rung for before it was told to wait.
                one.alarm.kick.turn.go();
            }
        }
    }
    look.again()
}

fn earliest() -> u64 {
    let alarms = hold();
    let alarms = alarms.iter().map(|watched| &watched.alarm);
    let times = alarms.flat_map(|alarm| [&alarm.due, &alarm.cpu_due]);
    let times = times.map(|time| time.load(SeqCst));
    times.filter(|&time| time != 0).min().unwrap_or(u64::MAX)
}

/// Signals are for the threads of the program.
pub fn block_signals() {
    // SAFETY: these calls only read and change the calling thread's own state.
    unsafe {
        let mut set = MaybeUninit::zeroed();
        libc::sigfillset(set.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of a clock; the end of time if there is no such clock (any more).
fn clock(id: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: fills in the structure, or leaves its zeros.
    let (result, time) = unsafe {
        (
            libc::clock_gettime(id, time.as_mut_ptr()),
            time.assume_init(),
        )
    };
    if result != 0 {
        return u64::MAX;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
