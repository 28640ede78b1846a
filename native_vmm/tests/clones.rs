//! Sandboxes made from snapshots: what they start with, and what they teach those to come.

mod common;

use std::time::{Duration, Instant};

use common::micro_guest::{self, DATA, Do};
use common::{MIB, PAGE, READ_WRITE, TestResult, WINDOWS, answered, done, hypervisor, load, store};
use host_guest_abi::exit::{EXIT_PROTECT, EXIT_RELEASE};
use native_vmm::hypervisor::Driver;
use native_vmm::memory::{Plan, memory_file};
use native_vmm::sandbox::{Config, Sandbox, Snapshot, vm_pool};

/// Where the guest's heap has nothing.
const EMPTY: u64 = 0xd0_0000;

fn config() -> Result<Config, Box<dyn std::error::Error>> {
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?;
    Ok(config.with_image(micro_guest::image()?))
}

/// Each sandbox is freed, and none kept.
fn keep_none() {
    vm_pool::limit(Some(0));
}

fn settle() {
    while vm_pool::limit(None).waiting > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn private_pages(sandbox: &Sandbox) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(sandbox.memory_usage()?.private / PAGE)
}

/// Pages that a new sandbox starts with; it then writes to `pages` of its own and is freed.
fn request(snapshot: &Snapshot, pages: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let sandbox = Sandbox::from_snapshot(snapshot)?;
    let at_start = private_pages(&sandbox)?;
    for page in 0..pages {
        store(&sandbox, EMPTY + PAGE * page, 1)?;
    }
    done(sandbox.command(Do::Nothing.code(), &[])?);
    drop(sandbox);
    settle();
    Ok(at_start)
}

#[test]
fn what_each_request_writes_to_is_there_from_the_start() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    keep_none();
    let snapshot = Sandbox::new(config()?)?.snapshot()?;
    for pages in [30, 700] {
        request(&snapshot, pages)?;
        request(&snapshot, pages)?;
        let at_start = request(&snapshot, pages)?;
        assert!(at_start >= pages, "{at_start} of {pages}");
    }
    Ok(())
}

#[test]
fn one_large_request_is_forgotten() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    keep_none();
    let original = Sandbox::new(config()?)?;
    let (small, snapshot) = (original.snapshot()?, original.snapshot()?);
    request(&small, 0)?;
    let usual = request(&small, 0)?;
    request(&snapshot, 500)?;
    // It starts with what that one wrote to, and writes to none of it.
    assert!(request(&snapshot, 0)? >= 500);
    // Nor do any of those after it.
    for _ in 0..16 {
        request(&snapshot, 0)?;
    }
    let after = request(&snapshot, 0)?;
    assert!(after < usual + 20, "{after} pages, usually {usual}");
    Ok(())
}

#[test]
fn snapshots_of_snapshots_and_of_files_hold_the_same() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let far = EMPTY + 64 * PAGE;
    let original = Sandbox::new(config()?)?;
    store(&original, DATA, 1)?;
    store(&original, EMPTY, 11)?;
    let booted = original.snapshot()?;
    let from_file = reload(&booted)?;
    let second = Sandbox::from_snapshot(&from_file)?;
    store(&second, DATA, 2)?;
    store(&second, far, 22)?;
    let of_file = second.snapshot()?;
    let third = Sandbox::from_snapshot(&of_file)?;
    store(&third, DATA, 3)?;
    let of_snapshot = third.snapshot()?;
    let again_from_file = reload(&of_snapshot)?;
    let fourth = Sandbox::from_snapshot(&again_from_file)?;
    let states = [
        (&booted, 1, 0),
        (&of_file, 2, 22),
        (&from_file, 1, 0),
        (&of_snapshot, 3, 22),
        (&again_from_file, 3, 22),
    ];
    for _ in 0..3 {
        for (snapshot, data, distant) in states {
            for sandbox in [&original, &second, &third, &fourth] {
                sandbox.restore(snapshot, true)?;
                assert_eq!(load(sandbox, DATA)?, data);
                assert_eq!(load(sandbox, EMPTY)?, 11);
                assert_eq!(load(sandbox, far)?, distant);
                for address in [DATA, EMPTY, far] {
                    store(sandbox, address, 99)?;
                }
                // A fault uses descriptors, stubs and the exception stack.
                sandbox.command(Do::Invalid.code(), &[])?;
            }
        }
    }
    Ok(())
}

/// The snapshot, from a file.
fn reload(snapshot: &Snapshot) -> Result<Snapshot, Box<dyn std::error::Error>> {
    let file = memory_file(c"test")?;
    let (bytes, record) = snapshot.save(&file, PAGE)?;
    let loaded = Snapshot::load(config()?, file, PAGE, bytes, record.as_bytes())?;
    Ok(loaded)
}

#[test]
fn memory_that_came_and_went_is_no_obstacle() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let sandbox = Sandbox::new(config()?)?;
    let snapshot = sandbox.snapshot()?;
    let window = Plan::window_address(2);
    for _ in 0..3 {
        answered(&sandbox, EXIT_PROTECT, [window, MIB, READ_WRITE, 0], 0)?;
        store(&sandbox, window, 7)?;
        answered(&sandbox, EXIT_RELEASE, [2, 0, 0, 0], 0)?;
        sandbox.restore(&snapshot, true)?;
    }
    answered(&sandbox, EXIT_PROTECT, [window, MIB, READ_WRITE, 0], 0)?;
    assert_eq!(load(&sandbox, window)?, 0);
    Ok(())
}

#[test]
fn forks_go_on_while_sandboxes_are_freed() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    keep_none();
    let snapshot = Sandbox::new(config()?)?.snapshot()?;
    let end = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        let cloning = scope.spawn(|| {
            while Instant::now() < end {
                let Ok(sandbox) = Sandbox::from_snapshot(&snapshot) else {
                    return false;
                };
                drop(sandbox);
            }
            true
        });
        while Instant::now() < end {
            // SAFETY: the child does nothing but end.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(0) };
            }
            let mut status = 0;
            // SAFETY: waits for the child that was just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
        }
        assert!(cloning.join().is_ok_and(|went_on| went_on));
    });
    Ok(())
}
