//! Kicks and deadlines at any instruction, each followed by a restore and calls whose results
//! are checked: nothing stray is left, no exception, no result, no kick.
//!
//! 15,000 kicks and as many deadlines; `HLWASM_STRESS=1` makes them 100,000, two minutes.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use common::micro_guest::{DATA, Do};
use common::{MIB, READ_WRITE, TestResult, answered, done, micro_sandbox};
use host_guest_abi::exit::EXIT_PROTECT;
use native_vmm::deadline::TimeLimits;
use native_vmm::kick::Reason;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Exit, Sandbox, SandboxError, Snapshot};

const ENDLESS: u64 = u64::MAX;
const WINDOW: u64 = Plan::window_address(2);

fn rounds() -> u64 {
    if std::env::var_os("HLWASM_STRESS").is_some_and(|value| value == "1") {
        100_000
    } else {
        15_000
    }
}

/// A small generator, so that failures can be had again.
struct Random(u64);

impl Random {
    const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Something that a guest is busy with until it is interrupted.
const BUSY: [Busy; 7] = [
    Busy::Spinning,
    Busy::HostCalls,
    Busy::Exits,
    Busy::Resizing,
    Busy::Filling,
    Busy::Trapping,
    Busy::Stores,
];

#[derive(Debug, Clone, Copy)]
enum Busy {
    Spinning,
    HostCalls,
    Exits,
    Resizing,
    Filling,
    Trapping,
    Stores,
}

impl Busy {
    fn begin(self, sandbox: &Sandbox) -> Result<Exit, SandboxError> {
        match self {
            Self::Spinning => sandbox.command(Do::Count.code(), &[ENDLESS]),
            Self::HostCalls => sandbox.command(Do::HostCalls.code(), &[ENDLESS]),
            Self::Exits => sandbox.command(Do::Exits.code(), &[ENDLESS]),
            Self::Resizing => sandbox.command(Do::Resize.code(), &[WINDOW + MIB, 0]),
            // Fresh pages, each a fault that the hypervisor is busy with.
            Self::Filling => sandbox.command(Do::Fill.code(), &[0xd0_0000, 4 * MIB, 0xa5]),
            Self::Trapping => sandbox.command(Do::Divide.code(), &[]),
            Self::Stores => sandbox.command(Do::Store.code(), &[DATA, 0xbad]),
        }
    }

    /// Is busy until the kick comes, whatever it is that is interrupted.
    fn until_kicked(self, sandbox: &Sandbox, reason: Reason) -> Result<Exit, SandboxError> {
        let mut exit = self.begin(sandbox)?;
        loop {
            exit = match exit {
                Exit::Interrupted { reason: None } => sandbox.resume()?,
                Exit::HostCall { .. } => sandbox.answer(0, 1)?,
                Exit::Done { .. } | Exit::Failed { .. } => self.begin(sandbox)?,
                other => {
                    let reason = Some(reason);
                    assert_eq!(other, Exit::Interrupted { reason }, "{self:?}");
                    return Ok(other);
                }
            };
        }
    }
}

/// The sandbox is as the snapshot says, and computes what it should.
fn check(sandbox: &Sandbox, round: u64) -> TestResult {
    let busy = || format!("round {round}");
    let finish = |mut exit: Exit| -> Result<[u64; 2], SandboxError> {
        // Signals that came for the last command but after its end.
        while exit == (Exit::Interrupted { reason: None }) {
            exit = sandbox.resume()?;
        }
        assert!(matches!(exit, Exit::Done { .. }), "{}: {exit:?}", busy());
        Ok(done(exit))
    };
    let values = finish(sandbox.command(Do::Load.code(), &[DATA])?)?;
    assert_eq!(values, [7, 0], "{}", busy());
    let values = finish(sandbox.command(Do::Count.code(), &[round + 1])?)?;
    assert_eq!(values, [round + 1, 0], "{}", busy());
    let values = finish(sandbox.command(Do::Load.code(), &[0xd0_0000])?)?;
    assert_eq!(values, [0, 0], "{}", busy());
    assert_eq!(sandbox.accessible(2)?, MIB, "{}", busy());
    Ok(())
}

fn prepared() -> Result<Option<(Sandbox, Snapshot)>, Box<dyn std::error::Error>> {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(None);
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    answered(&sandbox, EXIT_PROTECT, [WINDOW, MIB, READ_WRITE, 0], 0)?;
    done(sandbox.command(Do::Store.code(), &[DATA, 7])?);
    let snapshot = sandbox.snapshot()?;
    Ok(Some((sandbox, snapshot)))
}

#[test]
fn kicks_at_any_instruction() -> TestResult {
    let Some((sandbox, snapshot)) = prepared()? else {
        return Ok(());
    };
    let (turn, kicked, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    std::thread::scope(|scope| -> TestResult {
        scope.spawn(|| {
            let mut random = Random(0x5eed);
            let mut last = 0;
            while !stop.load(SeqCst) {
                let now = turn.load(SeqCst);
                if now == last {
                    // The other core may be busy with something else.
                    std::thread::yield_now();
                    continue;
                }
                // Often before the guest has begun, often long after.
                for _ in 0..random.below(12_000) {
                    std::hint::spin_loop();
                }
                sandbox.kick();
                last = now;
                kicked.store(now, SeqCst);
            }
        });
        let work = || -> TestResult {
            for round in 1..=rounds() {
                let busy = BUSY[usize::try_from(round % BUSY.len() as u64)?];
                turn.store(round, SeqCst);
                busy.until_kicked(&sandbox, Reason::Cancel)?;
                // The kick itself has to be over, or it belongs to what comes.
                while kicked.load(SeqCst) != round {
                    std::thread::yield_now();
                }
                sandbox.restore(&snapshot, true)?;
                check(&sandbox, round)?;
            }
            Ok(())
        };
        let worked = work();
        stop.store(true, SeqCst);
        worked
    })?;
    println!("{} kicks in {:?}", rounds(), started.elapsed());
    Ok(())
}

#[test]
fn deadlines_at_any_instruction() -> TestResult {
    let Some((sandbox, snapshot)) = prepared()? else {
        return Ok(());
    };
    let mut random = Random(0xdead);
    let started = Instant::now();
    let unlimited = TimeLimits::default();
    for round in 1..=rounds() {
        let busy = BUSY[usize::try_from(round % BUSY.len() as u64)?];
        let wall = 1_000 + random.below(150_000);
        sandbox.limit_time(TimeLimits { wall, cpu: 0 })?;
        // A command that ends is given again, with a deadline of its own: it may take many.
        match busy {
            Busy::Trapping | Busy::Stores | Busy::Filling => {
                let exit = busy.begin(&sandbox)?;
                let expected = matches!(
                    exit,
                    Exit::Done { .. }
                        | Exit::Failed { .. }
                        | Exit::Interrupted {
                            reason: Some(Reason::Deadline) | None
                        }
                );
                assert!(expected, "{busy:?}: {exit:?}");
            }
            _ => _ = busy.until_kicked(&sandbox, Reason::Deadline)?,
        }
        sandbox.restore(&snapshot, true)?;
        sandbox.limit_time(unlimited)?;
        check(&sandbox, round)?;
    }
    println!("{} deadlines in {:?}", rounds(), started.elapsed());
    Ok(())
}
