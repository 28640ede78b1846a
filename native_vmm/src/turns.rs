//! Turns: guests that run for long take them when there are more of them than CPUs.
//!
//! The kernel would share the CPUs among all of them, and among the threads that call
//! guests for a moment, handle what they return, or hold Python's lock meanwhile; those would
//! wait behind every guest that spins. So no more guests than CPUs run for long at the same
//! time: the watcher looks every few milliseconds which runs are still the same, has those
//! that are too many wait, and lets the others have their turn after a while. A guest that
//! comes back to the host soon never notices, and while there are no more running guests than
//! CPUs nobody looks at all.
//!
//! ```text
//! runner                                       watcher, every TICK while there is a crowd
//! run += 1 (odd)                               same odd run as before: long
//! KVM_RUN                                      too many long ones: word = WAIT, ring
//! EINTR: back to Python, which looks for signals and resumes
//! word == WAIT: sleep on the word ──────────── a place is free: word = GO, wake
//! run += 1 (even)
//! ```
//! A kick sets the word to GO, too, so whoever waits for a turn is as easy to stop as
//! whoever runs.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// How often the watcher looks, in nanoseconds.
pub const TICK: u64 = 3_000_000;
/// Ticks of a turn while others wait.
const TURN: u32 = 4;

const GO: u32 = 0;
const WAIT: u32 = 1;

/// Guests that are in a run now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whether the watcher looks.
static LOOKING: AtomicBool = AtomicBool::new(false);

/// The turn of one sandbox.
#[derive(Debug, Default)]
pub struct Turn {
    /// Odd while the guest runs; another number for each run.
    run: AtomicU64,
    /// GO or WAIT.
    word: AtomicU32,
    /// Whether a thread is in the run, or waits for its turn; not while the caller has it.
    inside: AtomicBool,
}

impl Turn {
    /// A run begins; whether there are more runs now than CPUs, and nobody looks after them.
    pub fn begin(&self) -> bool {
        // What the last run was told does not concern this one.
        self.go();
        self.run.fetch_add(1, SeqCst);
        self.come()
    }

    /// A thread enters, or goes on with, the run.
    pub fn come(&self) -> bool {
        self.inside.store(true, SeqCst);
        RUNNING.fetch_add(1, SeqCst) >= places() && !LOOKING.swap(true, SeqCst)
    }

    /// The thread has left it, perhaps to go on later.
    pub fn pause(&self) {
        if self.inside.swap(false, SeqCst) {
            RUNNING.fetch_sub(1, SeqCst);
        }
    }

    /// The run has ended.
    pub fn end(&self) {
        self.pause();
        self.run.fetch_add(1, SeqCst);
    }

    /// Whether the runner is to wait for its turn.
    pub fn is_over(&self) -> bool {
        self.word.load(SeqCst) == WAIT
    }

    /// Sleeps until it is the sandbox's turn, somebody rings, or a signal comes.
    pub fn wait(&self) {
        // SAFETY: the word lives as long as `self`; the kernel only compares it.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                WAIT,
                ptr::null::<libc::timespec>(),
            );
        }
    }

    /// Lets the runner go on.
    pub fn go(&self) {
        if self.word.swap(GO, SeqCst) == WAIT {
            // SAFETY: the word lives as long as `self`; waking changes nothing else.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.word.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                );
            }
        }
    }
}

/// What the watcher remembers of a sandbox.
#[derive(Debug, Default)]
pub struct Seen {
    run: u64,
    /// How often it was found in this run, since its turn began.
    ticks: u32,
    /// Its place among those that wait, counted from the first; 0 if it does not.
    waits: u64,
    /// How often it was found with nobody inside.
    away: u32,
}

/// One look at all sandboxes.
#[derive(Debug, Default)]
pub struct Look {
    /// Indices of those that run for long, and for how long.
    long: Vec<(u32, usize)>,
    /// Those that wait.
    waiting: Vec<(u64, usize)>,
    running: bool,
}

/// What to do with a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has to wait.
    Wait(usize),
    /// It may go on.
    Go(usize),
}

impl Look {
    /// Looks at the sandbox of this index.
    pub fn see(&mut self, index: usize, turn: &Turn, seen: &mut Seen) {
        let run = turn.run.load(SeqCst);
        if run.is_multiple_of(2) || run != seen.run {
            *seen = Seen {
                run,
                ..Seen::default()
            };
            // A new run that is still told to wait is not waiting for anything.
            turn.go();
            self.running |= run % 2 == 1;
            return;
        }
        if !turn.inside.load(SeqCst) {
            // With its caller, who may never go on with it.
            seen.away += 1;
            if seen.away > 1 {
                (seen.waits, seen.ticks) = (0, 0);
                turn.go();
            }
            return;
        }
        seen.away = 0;
        self.running = true;
        if turn.is_over() {
            if seen.waits > 0 {
                self.waiting.push((seen.waits, index));
            }
            return;
        }
        if seen.waits > 0 {
            // Somebody rang while it waited.
            (seen.waits, seen.ticks) = (0, 0);
        }
        seen.ticks += 1;
        self.long.push((seen.ticks, index));
    }

    /// Who has to wait and who may go on.
    pub fn decide(&mut self) -> Vec<Verdict> {
        // The longest first.
        self.long.sort_unstable_by(|a, b| b.cmp(a));
        self.waiting.sort_unstable();
        let places = places();
        let excess = self.long.len().saturating_sub(places);
        let due = self.long.iter().filter(|(ticks, _)| *ticks >= TURN).count();
        // Whose turn is over makes room for those that wait, if there are any.
        let stopped = excess.max(due.min(self.waiting.len())).min(self.long.len());
        let free = (places + stopped).saturating_sub(self.long.len());
        let stop = self.long.iter().take(stopped);
        let go = self.waiting.iter().take(free);
        stop.map(|&(_, index)| Verdict::Wait(index))
            .chain(go.map(|&(_, index)| Verdict::Go(index)))
            .collect()
    }

    /// Whether it is worth to look again.
    pub const fn again(&self) -> bool {
        self.running
    }
}

/// Carries out a verdict, but for ringing. Places in the queue are counted by `queue`.
pub fn carry_out(verdict: Verdict, turn: &Turn, seen: &mut Seen, queue: &mut u64) {
    match verdict {
        Verdict::Wait(_) => {
            *queue += 1;
            seen.waits = *queue;
            turn.word.store(WAIT, SeqCst);
        }
        Verdict::Go(_) => {
            (seen.waits, seen.ticks) = (0, 0);
            turn.go();
        }
    }
}

/// Nobody looks any more, unless a crowd has come meanwhile; whether that is so.
pub fn stop_looking() -> bool {
    LOOKING.store(false, SeqCst);
    RUNNING.load(SeqCst) > places() && !LOOKING.swap(true, SeqCst)
}

/// Whether the watcher is to look.
pub fn looking() -> bool {
    LOOKING.load(SeqCst)
}

/// In the child of a fork nothing runs.
pub fn start_anew() {
    RUNNING.store(0, SeqCst);
    LOOKING.store(false, SeqCst);
}

/// Guests that may run for long at the same time.
fn places() -> usize {
    static PLACES: OnceLock<usize> = OnceLock::new();
    // Known first: a fork meanwhile would leave the child with a place that is never filled.
    if let Some(known) = PLACES.get() {
        return *known;
    }
    let places = std::thread::available_parallelism().map_or(1, Into::into);
    *PLACES.get_or_init(|| places)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sandboxes with a run each, and what a watcher knows of them.
    struct Crowd {
        turns: Vec<Turn>,
        seen: Vec<Seen>,
        queue: u64,
    }

    impl Crowd {
        fn new(count: usize) -> Self {
            let turns: Vec<_> = (0..count).map(|_| Turn::default()).collect();
            for turn in &turns {
                turn.run.fetch_add(1, SeqCst);
                turn.inside.store(true, SeqCst);
            }
            Self {
                turns,
                seen: (0..count).map(|_| Seen::default()).collect(),
                queue: 0,
            }
        }

        fn tick(&mut self) -> usize {
            let mut look = Look::default();
            for (index, turn) in self.turns.iter().enumerate() {
                look.see(index, turn, &mut self.seen[index]);
            }
            for verdict in look.decide() {
                let (Verdict::Wait(index) | Verdict::Go(index)) = verdict;
                carry_out(
                    verdict,
                    &self.turns[index],
                    &mut self.seen[index],
                    &mut self.queue,
                );
            }
            self.turns.iter().filter(|turn| !turn.is_over()).count()
        }
    }

    #[test]
    fn all_get_their_turn_and_no_more_than_there_are_places() {
        let count = 4 * places() + 1;
        let mut crowd = Crowd::new(count);
        crowd.tick(); // the first look knows no run yet
        let mut turns = vec![0; count];
        for _ in 0..200 {
            assert_eq!(crowd.tick(), places());
            for (turn, had) in crowd.turns.iter().zip(&mut turns) {
                *had += u32::from(!turn.is_over());
            }
        }
        let (least, most) = (turns.iter().min(), turns.iter().max());
        let (Some(least), Some(most)) = (least, most) else {
            panic!("no turns");
        };
        assert!(most - least <= 4 * TURN, "{turns:?}");
    }

    #[test]
    fn runs_that_nobody_goes_on_with_take_no_turns() {
        let count = 4 * places();
        let mut crowd = Crowd::new(count + places());
        for turn in &crowd.turns[..count] {
            turn.inside.store(false, SeqCst);
        }
        // However long they are away, those that run have the places.
        for _ in 0..20 {
            crowd.tick();
            assert!(crowd.turns[count..].iter().all(|turn| !turn.is_over()));
        }
        // And whoever comes back is in the queue again.
        for turn in &crowd.turns {
            turn.inside.store(true, SeqCst);
        }
        for _ in 0..3 {
            crowd.tick();
        }
        assert_eq!(crowd.tick(), places());
    }

    #[test]
    fn short_runs_and_few_long_ones_are_left_alone() {
        let mut crowd = Crowd::new(places());
        for _ in 0..20 {
            assert_eq!(crowd.tick(), places());
        }
        let mut crowd = Crowd::new(10 * places());
        for _ in 0..20 {
            for turn in &crowd.turns {
                turn.run.fetch_add(2, SeqCst);
            }
            assert_eq!(crowd.tick(), 10 * places());
        }
    }

    #[test]
    fn whoever_rings_ends_a_wait() {
        let turn = Turn::default();
        turn.word.store(WAIT, SeqCst);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                while turn.is_over() {
                    turn.wait();
                }
            });
            turn.go();
            assert!(waiter.join().is_ok());
        });
    }
}
