//! VMs that are used again: nothing of their past is left.
//!
//! One test, because the pool belongs to the process.

mod common;

use std::time::{Duration, Instant};

use common::micro_guest::{self, DATA, Do};
use common::{MIB, TestResult, WINDOWS, done, hypervisor, load};
use native_vmm::deadline::TimeLimits;
use native_vmm::hypervisor::Driver;
use native_vmm::sandbox::{Config, Sandbox, vm_pool};

/// Waits until all that was dropped is kept or freed.
fn settle() -> TestResult {
    let started = Instant::now();
    while vm_pool::limit(None).waiting > 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[test]
fn vms_outlive_their_sandboxes() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?;
    let original = Sandbox::new(config.with_image(micro_guest::image()?))?;
    let first = original.snapshot()?;
    done(original.command(Do::Store.code(), &[DATA, 7])?);
    let second = original.snapshot()?;

    // Whatever state a guest is left in, the next one is like the snapshot.
    for round in 0..200_u64 {
        let (snapshot, value) = if round % 3 == 0 {
            (&second, 7)
        } else {
            (&first, 0)
        };
        let sandbox = Sandbox::from_snapshot(snapshot)?;
        assert_eq!(sandbox.counters().exits, 0);
        assert_eq!(load(&sandbox, DATA)?, value, "round {round}");
        assert_eq!(load(&sandbox, 0xd0_0000 + 4096 * (round % 7))?, 0);
        for page in 0..50 {
            done(sandbox.command(Do::Store.code(), &[0xd0_0000 + 4096 * page, 1 + round])?);
        }
        sandbox.limit_time(TimeLimits {
            wall: 1_000_000_000,
            cpu: 0,
        })?;
        match round % 5 {
            0 => _ = sandbox.command(Do::Invalid.code(), &[])?,
            1 => _ = sandbox.command(Do::HostCalls.code(), &[1])?,
            2 => {
                sandbox.kick();
                let _ = sandbox.command(Do::Count.code(), &[u64::MAX])?;
            }
            3 => sandbox.kick(),
            _ => {}
        }
        drop(sandbox);
        if round % 2 == 0 {
            settle()?;
        }
    }
    settle()?;
    let info = vm_pool::limit(None);
    assert!(info.reused > 90, "{info:?}");
    assert!(info.kept >= 1 && info.kept <= info.limit, "{info:?}");

    // Many at once: no more are kept than allowed.
    let many: Result<Vec<_>, _> = (0..40).map(|_| Sandbox::from_snapshot(&first)).collect();
    drop(many?);
    settle()?;
    let info = vm_pool::limit(Some(3));
    assert_eq!(info.kept, 3);
    let info = vm_pool::limit(Some(0));
    assert_eq!(info.kept, 0);
    drop(Sandbox::from_snapshot(&first)?);
    settle()?;
    assert_eq!(vm_pool::limit(None).kept, 0);
    Ok(())
}
