//! Kicks and signals: none is lost, none changes what the guest computes.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::micro_guest::Do;
use common::{TestResult, done, micro_sandbox};
use native_vmm::kick::Reason;
use native_vmm::sandbox::{Exit, Sandbox, SandboxError};

/// Longer than any test takes.
const ENDLESS: u64 = u64::MAX;

#[test]
fn a_kick_ends_a_run_soon() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    let kicker = thread::spawn({
        let sandbox = Arc::clone(&sandbox);
        move || {
            thread::sleep(Duration::from_millis(20));
            let kicked = Instant::now();
            sandbox.kick();
            kicked
        }
    });
    let exit = sandbox.command(Do::Count.code(), &[ENDLESS])?;
    let returned = Instant::now();
    assert_eq!(
        exit,
        Exit::Interrupted {
            reason: Some(Reason::Cancel)
        }
    );
    let kicked = kicker.join().map_err(|_| "the kicker panicked")?;
    let took = returned.saturating_duration_since(kicked);
    println!("from kick to return: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    Ok(())
}

#[test]
fn a_kick_before_a_run_ends_it_at_once() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    for n in [1, 2, 3] {
        sandbox.kick();
        sandbox.kick();
        let exit = sandbox.command(Do::Count.code(), &[n])?;
        assert_eq!(
            exit,
            Exit::Interrupted {
                reason: Some(Reason::Cancel)
            }
        );
        assert_eq!(done(sandbox.resume()?), [n, 0]);
    }
    assert_eq!(sandbox.counters().interrupts, 3);
    Ok(())
}

/// Goes on until the command ends; returns its values and how often it was kicked.
fn finish(sandbox: &Sandbox, mut exit: Exit) -> Result<([u64; 2], u64), SandboxError> {
    let mut kicks = 0;
    loop {
        exit = match exit {
            Exit::Interrupted { reason } => {
                kicks += u64::from(reason.is_some());
                sandbox.resume()?
            }
            Exit::HostCall { pointer, .. } => sandbox.answer(0, pointer)?,
            other => return Ok((done(other), kicks)),
        };
    }
}

/// Kicks from another thread until told to stop; returns how often.
fn kicking<T>(sandbox: &Arc<Sandbox>, pause: Duration, body: impl FnOnce() -> T) -> (T, u64) {
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let kicker = thread::spawn({
        let (sandbox, stop, count) = (Arc::clone(sandbox), Arc::clone(&stop), Arc::clone(&count));
        move || {
            while !stop.load(SeqCst) {
                sandbox.kick();
                count.fetch_add(1, SeqCst);
                thread::sleep(pause);
            }
        }
    });
    let result = body();
    stop.store(true, SeqCst);
    assert!(kicker.join().is_ok());
    (result, count.load(SeqCst))
}

#[test]
fn an_interrupted_guest_goes_on_where_it_was() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    let n = 200_000_000;
    let (result, sent) = kicking(&sandbox, Duration::from_micros(100), || {
        let exit = sandbox.command(Do::Count.code(), &[n])?;
        finish(&sandbox, exit)
    });
    let (values, kicks) = result?;
    assert_eq!(values, [n, 0]);
    println!("{sent} kicks, {kicks} interruptions");
    assert!(kicks > 0);
    Ok(())
}

#[test]
fn requests_are_neither_lost_nor_repeated() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    let n = 10_000;
    let (result, sent) = kicking(&sandbox, Duration::from_micros(20), || {
        let exit = sandbox.command(Do::HostCalls.code(), &[n])?;
        finish(&sandbox, exit)
    });
    let (values, kicks) = result?;
    println!("{sent} kicks, {kicks} interruptions");
    assert_eq!(values, [n * (n + 1) / 2, n]);
    assert_eq!(sandbox.counters().host_calls, n);
    Ok(())
}

#[test]
fn traps_survive_kicks() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let (result, _) = kicking(&sandbox, Duration::from_micros(20), || {
        for _ in 0..1000 {
            let mut exit = sandbox.command(Do::Divide.code(), &[])?;
            while let Exit::Interrupted { .. } = exit {
                exit = sandbox.resume()?;
            }
            assert!(matches!(exit, Exit::Failed { status: 2, .. }), "{exit:?}");
        }
        Ok::<_, SandboxError>(())
    });
    Ok(result?)
}

#[test]
fn no_kick_is_lost() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    // Each round ends only if its one kick arrives, wherever in the round it comes.
    for round in 0..300 {
        let kicker = thread::spawn({
            let sandbox = Arc::clone(&sandbox);
            move || {
                for _ in 0..round * 7 % 100 * 20 {
                    std::hint::spin_loop();
                }
                sandbox.kick();
            }
        });
        let mut exit = if round == 0 {
            sandbox.command(Do::Count.code(), &[ENDLESS])?
        } else {
            sandbox.resume()?
        };
        while exit == (Exit::Interrupted { reason: None }) {
            exit = sandbox.resume()?;
        }
        assert_eq!(
            exit,
            Exit::Interrupted {
                reason: Some(Reason::Cancel)
            }
        );
        assert!(kicker.join().is_ok());
    }
    Ok(())
}

#[test]
fn other_signals_interrupt_without_a_kick() -> TestResult {
    static CAUGHT: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(_: i32) {
        CAUGHT.fetch_add(1, SeqCst);
    }
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let handler = count as extern "C" fn(i32) as usize;
    // SAFETY: the handler only counts; no other test uses this signal.
    unsafe { libc::signal(libc::SIGUSR1, handler) };
    // SAFETY: asks for the calling thread.
    let runner = unsafe { libc::pthread_self() };
    let signaller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        // SAFETY: the runner joins this thread before it ends.
        unsafe { libc::pthread_kill(runner, libc::SIGUSR1) }
    });
    let exit = sandbox.command(Do::Count.code(), &[ENDLESS])?;
    assert_eq!(exit, Exit::Interrupted { reason: None });
    assert_eq!(CAUGHT.load(SeqCst), 1);
    assert_eq!(signaller.join().ok(), Some(0));
    Ok(())
}

#[test]
fn a_second_thread_is_refused() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let sandbox = Arc::new(sandbox);
    let other = thread::spawn({
        let sandbox = Arc::clone(&sandbox);
        move || {
            let start = Instant::now();
            let mut refused = false;
            while !refused && start.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(1));
                refused = matches!(sandbox.accessible(0), Err(SandboxError::Busy));
            }
            let also = matches!(sandbox.call(0), Err(SandboxError::Busy));
            sandbox.kick();
            refused && also
        }
    });
    let exit = sandbox.command(Do::Count.code(), &[ENDLESS])?;
    assert_eq!(
        exit,
        Exit::Interrupted {
            reason: Some(Reason::Cancel)
        }
    );
    assert_eq!(other.join().ok(), Some(true));
    Ok(())
}

#[test]
fn looking_at_counters_disturbs_nobody() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let (sandbox, stop) = (Arc::new(sandbox), Arc::new(AtomicBool::new(false)));
    let watcher = thread::spawn({
        let (sandbox, stop) = (Arc::clone(&sandbox), Arc::clone(&stop));
        move || {
            let mut last = sandbox.counters().exits;
            while !stop.load(SeqCst) {
                let now = sandbox.counters().exits;
                assert!(now >= last, "{last}, then {now}");
                last = now;
            }
        }
    });
    let work = || {
        for n in 1..=20_000 {
            assert_eq!(done(sandbox.command(Do::Count.code(), &[n])?), [n, 0]);
        }
        Ok::<_, SandboxError>(())
    };
    let worked = work();
    stop.store(true, SeqCst);
    watcher.join().map_err(|_| "the watcher panicked")?;
    Ok(worked?)
}

#[test]
fn a_sandbox_moves_between_threads() -> TestResult {
    let Some(mut sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    for n in 1..20 {
        let mover = thread::spawn(move || {
            let values = sandbox.command(Do::Count.code(), &[n]).map(done);
            (sandbox, values)
        });
        let (returned, values) = mover.join().map_err(|_| "the thread panicked")?;
        assert_eq!(values?, [n, 0]);
        sandbox = returned;
    }
    Ok(())
}

#[test]
fn no_kick_is_lost_while_a_snapshot_is_taken() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    let (round, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(3);
    thread::scope(|scope| -> TestResult {
        let kicker = scope.spawn(|| {
            for number in 1.. {
                while round.load(SeqCst) < number {
                    if Instant::now() > end + Duration::from_secs(20) {
                        return;
                    }
                    std::hint::spin_loop();
                }
                if round.load(SeqCst) == u64::MAX {
                    return;
                }
                // At another moment of the snapshot each time.
                for _ in 0..number * 37 % 3000 {
                    std::hint::spin_loop();
                }
                sandbox.kick();
                let kicked = Instant::now();
                while ended.load(SeqCst) < number {
                    if kicked.elapsed() > Duration::from_secs(5) {
                        // Nothing stops the guest any more.
                        std::process::abort();
                    }
                    thread::yield_now();
                }
            }
        });
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            round.store(number, SeqCst);
            sandbox.snapshot()?;
            let mut exit = sandbox.command(Do::Count.code(), &[ENDLESS])?;
            while exit == (Exit::Interrupted { reason: None }) {
                exit = sandbox.resume()?;
            }
            let reason = Some(Reason::Cancel);
            assert_eq!(exit, Exit::Interrupted { reason });
            ended.store(number, SeqCst);
            sandbox.restore(&snapshot, true)?;
        }
        round.store(u64::MAX, SeqCst);
        ended.store(u64::MAX, SeqCst);
        drop(kicker.join());
        Ok(())
    })
}
