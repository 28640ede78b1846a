//! Time limits of commands.

mod common;

use std::time::{Duration, Instant};

use common::micro_guest::Do;
use common::{TestResult, done, micro_sandbox};
use native_vmm::deadline::TimeLimits;
use native_vmm::kick::Reason;
use native_vmm::sandbox::{Exit, Sandbox, SandboxError};

const MILLISECOND: u64 = 1_000_000;

fn wall(milliseconds: u64) -> TimeLimits {
    TimeLimits {
        wall: milliseconds * MILLISECOND,
        cpu: 0,
    }
}

/// Runs until something else than a signal ends it.
fn spin(sandbox: &Sandbox) -> Result<Exit, SandboxError> {
    let mut exit = sandbox.command(Do::Count.code(), &[u64::MAX])?;
    while exit == (Exit::Interrupted { reason: None }) {
        exit = sandbox.resume()?;
    }
    Ok(exit)
}

#[test]
fn a_guest_that_spins_is_ended_in_time() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    for milliseconds in [1, 5, 30] {
        sandbox.limit_time(wall(milliseconds))?;
        let started = Instant::now();
        let exit = spin(&sandbox)?;
        let took = started.elapsed();
        let reason = Some(Reason::Deadline);
        assert_eq!(exit, Exit::Interrupted { reason });
        let least = Duration::from_millis(milliseconds);
        assert!(took >= least, "{took:?} of {least:?}");
        assert!(took < least + Duration::from_millis(500), "{took:?}");
        sandbox.restore(&snapshot, true)?;
        done(sandbox.command(Do::Nothing.code(), &[])?);
    }
    Ok(())
}

#[test]
fn commands_that_end_in_time_notice_nothing() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    sandbox.limit_time(wall(200))?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(600) {
        done(sandbox.command(Do::Nothing.code(), &[])?);
    }
    // The limit counts from each command, and not while none runs.
    std::thread::sleep(Duration::from_millis(250));
    done(sandbox.command(Do::Nothing.code(), &[])?);
    Ok(())
}

#[test]
fn a_deadline_at_the_very_end_belongs_to_its_command() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    let (mut ended, mut expired) = (0, 0);
    for round in 0..3000_u64 {
        // From well below the time of a command to well above.
        let limits = TimeLimits {
            wall: 1_000 + round * 50,
            cpu: 0,
        };
        sandbox.limit_time(limits)?;
        match sandbox.command(Do::Count.code(), &[50_000])? {
            Exit::Done { .. } => ended += 1,
            Exit::Interrupted {
                reason: Some(Reason::Deadline),
            } => {
                expired += 1;
                sandbox.restore(&snapshot, true)?;
            }
            Exit::Interrupted { reason: None } => sandbox.restore(&snapshot, true)?,
            other => return Err(format!("{other:?}").into()),
        }
        // Without a limit nothing of it may be left.
        sandbox.limit_time(TimeLimits::default())?;
        let mut exit = sandbox.command(Do::Nothing.code(), &[])?;
        while exit == (Exit::Interrupted { reason: None }) {
            exit = sandbox.resume()?;
        }
        done(exit);
    }
    assert!(expired > 0, "{ended} ended, {expired} expired");
    Ok(())
}

#[test]
fn host_functions_count() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    sandbox.limit_time(wall(20))?;
    let exit = sandbox.command(Do::HostCalls.code(), &[2])?;
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    assert!(!sandbox.is_expired());
    std::thread::sleep(Duration::from_millis(60));
    assert!(sandbox.is_expired());
    let reason = Some(Reason::Deadline);
    assert_eq!(sandbox.answer(0, 0)?, Exit::Interrupted { reason });
    Ok(())
}

#[test]
fn cpu_time_is_that_of_the_guest() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    let limits = TimeLimits {
        wall: 0,
        cpu: 30 * MILLISECOND,
    };
    sandbox.limit_time(limits)?;
    // Time in host functions does not count.
    let exit = sandbox.command(Do::HostCalls.code(), &[1])?;
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    std::thread::sleep(Duration::from_millis(60));
    done(sandbox.answer(0, 0)?);
    let started = Instant::now();
    let reason = Some(Reason::CpuTime);
    assert_eq!(spin(&sandbox)?, Exit::Interrupted { reason });
    assert!(started.elapsed() >= Duration::from_millis(29));
    sandbox.restore(&snapshot, true)?;
    done(sandbox.command(Do::Nothing.code(), &[])?);
    Ok(())
}

#[test]
fn a_cancel_is_not_lost_behind_a_deadline() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    for _ in 0..50 {
        sandbox.limit_time(wall(1))?;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1));
                sandbox.kick();
            });
            let exit = spin(&sandbox)?;
            assert!(
                matches!(exit, Exit::Interrupted { reason: Some(_) }),
                "{exit:?}"
            );
            sandbox.restore(&snapshot, true)
        })?;
    }
    Ok(())
}

#[test]
fn copies_have_deadlines_as_others_have() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let snapshot = sandbox.snapshot()?;
    drop(sandbox);
    // Made anew, and from the pool.
    for _ in 0..3 {
        let copy = Sandbox::from_snapshot(&snapshot)?;
        copy.limit_time(wall(5))?;
        let reason = Some(Reason::Deadline);
        // Whatever happens, the test comes to its end.
        let exit = std::thread::scope(|scope| {
            let spinning = scope.spawn(|| spin(&copy).map_err(|error| error.to_string()));
            let began = Instant::now();
            while !spinning.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
                if began.elapsed() > Duration::from_secs(10) {
                    copy.kick();
                }
            }
            spinning.join()
        });
        let exit = exit.map_err(|_| "it panicked")??;
        assert_eq!(exit, Exit::Interrupted { reason });
    }
    Ok(())
}

#[test]
fn a_thread_that_has_blocked_all_signals_is_stopped_too() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    // The thread's first use of a sandbox lets the signal through, and then the program
    // blocks it, as one does before a `sigwait`.
    done(sandbox.command(Do::Nothing.code(), &[])?);
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: fills in the set, and changes the mask of this test's thread.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
    sandbox.limit_time(wall(20))?;
    let started = Instant::now();
    let exit = spin(&sandbox)?;
    assert_eq!(
        exit,
        Exit::Interrupted {
            reason: Some(Reason::Deadline)
        }
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[test]
fn a_deadline_ends_with_its_command_whatever_the_limits_are_by_then() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    sandbox.limit_time(wall(100))?;
    let exit = sandbox.command(Do::HostCalls.code(), &[1])?;
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    let cpu = 600_000 * MILLISECOND;
    sandbox.limit_time(TimeLimits { wall: 0, cpu })?;
    done(sandbox.answer(0, 1)?);
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        let mut exit = sandbox.command(Do::Count.code(), &[1_000_000])?;
        while exit == (Exit::Interrupted { reason: None }) {
            exit = sandbox.resume()?;
        }
        done(exit);
    }
    Ok(())
}
