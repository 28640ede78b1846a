//! Snapshots of a micro guest: what is saved, what a restore leaves of what ran since.

mod common;

use common::micro_guest::{self, DATA, Do};
use common::{
    MIB, PAGE, READ_WRITE, TestResult, WINDOWS, answered, done, hypervisor, load, micro_sandbox,
    store,
};
use host_guest_abi::exit::EXIT_PROTECT;
use host_guest_abi::layout::STACK_TOP;
use native_vmm::hypervisor::Driver;
use native_vmm::kick::Reason;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, Snapshot, vm_pool};

/// Places of every kind that a guest can write to.
fn places() -> Vec<u64> {
    let windows = [0, 1, 2].map(Plan::window_address);
    vec![
        DATA,
        STACK_TOP - 8,
        0xc0_0000,
        0xc0_0000 + 5 * MIB,
        windows[0] + 0x100,
        windows[1] + 0x5000,
        windows[2],
        windows[2] + 3 * PAGE,
    ]
}

fn prepared() -> Result<Option<(Sandbox, Snapshot)>, Box<dyn std::error::Error>> {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(None);
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let window = Plan::window_address(2);
    answered(&sandbox, EXIT_PROTECT, [window, MIB, READ_WRITE, 0], 0)?;
    for (value, place) in (1..).zip(places()) {
        store(&sandbox, place, value)?;
    }
    let snapshot = sandbox.snapshot()?;
    Ok(Some((sandbox, snapshot)))
}

/// What a guest finds that is as the snapshot: transfer windows are empty.
fn check(sandbox: &Sandbox) -> TestResult {
    for (value, place) in (1..).zip(places()) {
        let transfer = place >= Plan::window_address(0) && place < Plan::window_address(2);
        let expected = if transfer { 0 } else { value };
        assert_eq!(load(sandbox, place)?, expected, "{place:#x}");
    }
    Ok(())
}

fn dirty(sandbox: &Sandbox) -> TestResult {
    for place in places() {
        store(sandbox, place, 0xbad)?;
        store(sandbox, place + 8, 0xbad)?;
    }
    Ok(())
}

#[test]
fn a_copy_is_like_the_original_and_independent() -> TestResult {
    let Some((original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let copy = Sandbox::from_snapshot(&snapshot)?;
    check(&copy)?;
    dirty(&copy)?;
    let other = Sandbox::from_snapshot(&snapshot)?;
    check(&other)?;
    // The original goes on where it was.
    assert_eq!(load(&original, DATA)?, 1);
    Ok(())
}

#[test]
fn the_limit_of_all_windows_is_a_copys_too_and_no_snapshot_widens_it() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let limited = |bytes: Option<u64>| -> Result<Sandbox, Box<dyn std::error::Error>> {
        let mut config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?;
        if let Some(bytes) = bytes {
            config = config.with_total_memory(bytes);
        }
        Ok(Sandbox::new(config.with_image(micro_guest::image()?))?)
    };
    let grow = |sandbox: &Sandbox, bytes: u64, errno: i32| -> TestResult {
        let window = Plan::window_address(2);
        answered(sandbox, EXIT_PROTECT, [window, bytes, READ_WRITE, 0], errno)
    };
    let strict = limited(Some(4 * PAGE))?;
    grow(&strict, PAGE, 0)?;
    let snapshot = strict.snapshot()?;
    let copy = Sandbox::from_snapshot(&snapshot)?;
    for sandbox in [&strict, &copy] {
        for _ in 0..2 {
            grow(sandbox, 5 * PAGE, libc::ENOMEM)?;
            grow(sandbox, 4 * PAGE, 0)?;
            sandbox.restore(&snapshot, true)?;
            assert_eq!(sandbox.accessible(2)?, PAGE);
        }
    }
    let lax = limited(None)?;
    grow(&lax, 3 * PAGE, 0)?;
    strict.restore(&lax.snapshot()?, true)?;
    assert_eq!(strict.accessible(2)?, 3 * PAGE);
    grow(&strict, 5 * PAGE, libc::ENOMEM)?;
    lax.restore(&snapshot, true)?;
    grow(&lax, 5 * PAGE, 0)?;
    // Its VM, which has the strict snapshot's memory, may serve another sandbox now.
    drop(lax);
    while vm_pool::limit(None).waiting > 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    grow(&Sandbox::from_snapshot(&snapshot)?, 5 * PAGE, libc::ENOMEM)
}

#[test]
fn a_restore_undoes_whatever_was_written() -> TestResult {
    let Some((original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let copy = Sandbox::from_snapshot(&snapshot)?;
    for sandbox in [&copy, &original] {
        for round in 0..40 {
            sandbox.restore(&snapshot, true)?;
            check(sandbox)?;
            dirty(sandbox)?;
            // Other pages in each round, so that there are always new ones.
            for page in 0..round {
                store(sandbox, 0xd0_0000 + PAGE * page, round)?;
            }
            sandbox.restore(&snapshot, true)?;
            for page in 0..round {
                assert_eq!(load(sandbox, 0xd0_0000 + PAGE * page)?, 0);
            }
            assert_eq!(load(sandbox, DATA + 8)?, 0);
        }
    }
    let counters = copy.counters();
    assert_eq!(counters.restores, 80);
    Ok(())
}

#[test]
fn a_restore_of_what_is_known_looks_at_no_page_table() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    for _ in 0..20 {
        dirty(&sandbox)?;
        sandbox.restore(&snapshot, true)?;
    }
    let before = sandbox.counters();
    for _ in 0..100 {
        dirty(&sandbox)?;
        sandbox.restore(&snapshot, true)?;
    }
    let after = sandbox.counters();
    // Now and then this thread has a fault of its own.
    let scans = after.restore_scans - before.restore_scans;
    assert!(scans < 20, "{scans} scans in 100 restores");
    // Without the promise, each looks.
    for _ in 0..10 {
        sandbox.restore(&snapshot, false)?;
    }
    assert_eq!(sandbox.counters().restore_scans - after.restore_scans, 10);
    check(&sandbox)
}

#[test]
fn a_page_that_is_written_with_what_it_held_is_not_given_back_again_and_again() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    let restore_after_writes = |restores: u32| -> Result<u64, Box<dyn std::error::Error>> {
        let before = sandbox.counters().restore_scans;
        for _ in 0..restores {
            for page in 0..4 {
                store(&sandbox, 0xd0_0000 + PAGE * page, 0)?;
            }
            sandbox.restore(&snapshot, true)?;
        }
        Ok(sandbox.counters().restore_scans - before)
    };
    // They look unused, are given back, come back, and are kept for longer.
    restore_after_writes(100)?;
    let scans = restore_after_writes(400)?;
    assert!(scans <= 8, "{scans} scans in 400 restores");
    Ok(())
}

#[test]
fn another_thread_that_ran_the_guest_is_noticed() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    for round in 0..50 {
        dirty(&sandbox)?;
        sandbox.restore(&snapshot, true)?;
        let place = 0xe0_0000 + PAGE * round;
        std::thread::scope(|scope| {
            scope
                .spawn(|| store(&sandbox, place, 5).map_err(|error| error.to_string()))
                .join()
        })
        .map_err(|_| "the thread failed")??;
        sandbox.restore(&snapshot, true)?;
        assert_eq!(load(&sandbox, place)?, 0);
    }
    check(&sandbox)
}

#[test]
fn borders_of_windows_move_back() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    let window = Plan::window_address(2);
    for bytes in [MIB, 4 * MIB, 15 * MIB] {
        answered(
            &sandbox,
            EXIT_PROTECT,
            [window + MIB, bytes, READ_WRITE, 0],
            0,
        )?;
        store(&sandbox, window + MIB + bytes - 8, 7)?;
        sandbox.restore(&snapshot, true)?;
        assert_eq!(sandbox.accessible(2)?, MIB);
        let exit = sandbox.command(Do::Load.code(), &[window + MIB])?;
        assert!(matches!(exit, Exit::Failed { .. }), "{exit:?}");
        sandbox.restore(&snapshot, true)?;
        // Memory that grows again is zero.
        answered(
            &sandbox,
            EXIT_PROTECT,
            [window + MIB, bytes, READ_WRITE, 0],
            0,
        )?;
        assert_eq!(load(&sandbox, window + MIB + bytes - 8)?, 0);
        sandbox.restore(&snapshot, true)?;
    }
    // Smaller, then larger again.
    answered(&sandbox, EXIT_PROTECT, [window + PAGE, MIB - PAGE, 0, 0], 0)?;
    sandbox.restore(&snapshot, true)?;
    check(&sandbox)
}

#[test]
fn a_restore_leads_back_from_anywhere() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    for command in [
        Do::Divide,
        Do::Invalid,
        Do::BadStack,
        Do::Overflow,
        Do::HandleTrapsBadly,
        Do::Syscall,
        Do::Breakpoint,
        Do::Flags,
    ] {
        let _ = sandbox.command(command.code(), &[])?;
        let _ = sandbox.command(Do::Invalid.code(), &[]);
        sandbox.restore(&snapshot, true)?;
        check(&sandbox)?;
    }
    // In the middle of a host call.
    let exit = sandbox.command(Do::HostCalls.code(), &[3])?;
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    sandbox.restore(&snapshot, true)?;
    check(&sandbox)?;
    // Kicked while it counts.
    sandbox.kick();
    let exit = sandbox.command(Do::Count.code(), &[u64::MAX])?;
    assert_eq!(
        exit,
        Exit::Interrupted {
            reason: Some(Reason::Cancel)
        }
    );
    sandbox.restore(&snapshot, true)?;
    check(&sandbox)
}

#[test]
fn a_snapshot_of_a_copy_has_both_pasts() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let copy = Sandbox::from_snapshot(&snapshot)?;
    store(&copy, 0xf0_0000, 9)?;
    store(&copy, DATA, 0)?;
    let second = copy.snapshot()?;
    drop(copy);
    let copy = Sandbox::from_snapshot(&second)?;
    assert_eq!(load(&copy, 0xf0_0000)?, 9);
    assert_eq!(load(&copy, DATA)?, 0);
    assert_eq!(load(&copy, STACK_TOP - 8)?, 2);
    // And back and forth between the two.
    copy.restore(&snapshot, true)?;
    check(&copy)?;
    copy.restore(&second, true)?;
    assert_eq!(load(&copy, 0xf0_0000)?, 9);
    Ok(())
}

#[test]
fn other_layouts_and_states_are_refused() -> TestResult {
    use native_vmm::hypervisor::Driver;
    use native_vmm::sandbox::Config;
    let Some((sandbox, snapshot)) = prepared()? else {
        return Ok(());
    };
    let config = Config::new(Driver::Kvm, 64 * MIB, &[MIB, 2 * MIB])?;
    let other = Sandbox::new(config.with_image(micro_guest::image()?))?;
    let refused = other.restore(&snapshot, true);
    assert!(
        matches!(refused, Err(SandboxError::OtherLayout)),
        "{refused:?}"
    );
    done(other.command(Do::Nothing.code(), &[])?);
    let exit = sandbox.command(Do::HostCalls.code(), &[1])?;
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    assert!(sandbox.snapshot().is_err());
    Ok(())
}

#[test]
fn large_transfers_are_given_back() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let before = sandbox.memory_usage()?;
    let (window, _) = sandbox.transfer_window(1)?.ok_or("no window")?;
    for page in 0..512 {
        // SAFETY: inside the window, which is accessible while the sandbox exists.
        unsafe { window.add(4096 * page + 64).write(1) };
    }
    let large = sandbox.memory_usage()?;
    assert!(
        large.private >= before.private + 2 * MIB - 64 * PAGE,
        "{before:?} {large:?}"
    );
    for _ in 0..100 {
        done(sandbox.command(Do::Nothing.code(), &[])?);
    }
    let after = sandbox.memory_usage()?;
    assert!(
        after.private <= before.private + MIB + 64 * PAGE,
        "{before:?} {after:?}"
    );
    Ok(())
}

#[test]
fn usage_tells_own_memory_from_shared() -> TestResult {
    let Some((_original, snapshot)) = prepared()? else {
        return Ok(());
    };
    let copy = Sandbox::from_snapshot(&snapshot)?;
    let fresh = copy.memory_usage()?;
    assert!(fresh.private < MIB, "{fresh:?}");
    assert_eq!(fresh.linear, MIB);
    for page in 0..100 {
        store(&copy, 0xd0_0000 + PAGE * page, 1)?;
    }
    let used = copy.memory_usage()?;
    assert!(
        used.private >= fresh.private + 100 * PAGE,
        "{fresh:?} {used:?}"
    );
    Ok(())
}
