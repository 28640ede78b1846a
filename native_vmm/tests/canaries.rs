//! Nothing of one request is visible to the next: a guest leaves canaries in all memory and
//! all registers, ends in every way there is, and what comes after is compared byte for byte
//! with a sandbox that nothing has run in.

mod common;

use std::time::Duration;

use common::canaries::{
    EXTENTS, Extent, Memory, Registers, WAYS, Way, fresh, grown, prepared, reloaded, restores,
    spoil,
};
use common::micro_guest::End;
use common::{TestResult, done, hypervisor};
use native_vmm::sandbox::{Sandbox, vm_pool};

/// One test, because the pool belongs to the process.
#[test]
fn nothing_is_left_for_the_next_request() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    restores(&WAYS)?;
    blind_restores()?;
    snapshots_by_turns()?;
    runtimes_from_files()?;
    // From the first one that does not end well to the last.
    machines_that_are_used_again(&WAYS[1..15], false)?;
    let well = [Way::Guest(End::Well), Way::Guest(End::Load), Way::Late];
    machines_that_are_used_again(&well, true)
}

/// Restores that look at no page table leave nothing either.
fn blind_restores() -> TestResult {
    let (original, snapshot) = prepared()?;
    let clean = fresh(&snapshot)?;
    // The sandbox that the snapshot was taken of has its memory otherwise: by itself.
    for sandbox in [Sandbox::from_snapshot(&snapshot)?, original] {
        sandbox.restore(&snapshot, true)?;
        for _ in 0..40 {
            spoil(&sandbox, Extent::Pages)?;
            Way::Guest(End::Well).end(&sandbox)?;
            sandbox.restore(&snapshot, true)?;
            Memory::of(&sandbox)?.assert_is(&clean.memory, "blind");
        }
        let counters = sandbox.counters();
        let blind = counters.restores - counters.restore_scans;
        assert!(blind > 20, "{counters:?}");
    }
    Ok(())
}

/// Two snapshots of one guest, by turns.
fn snapshots_by_turns() -> TestResult {
    let (original, first) = prepared()?;
    spoil(&original, Extent::Borders)?;
    let second = original.snapshot()?;
    let states = [(fresh(&first)?, &first), (fresh(&second)?, &second)];
    for sandbox in [Sandbox::from_snapshot(&first)?, original] {
        for (round, extent) in EXTENTS.into_iter().cycle().take(12).enumerate() {
            // Each of the two after itself and after the other.
            let (clean, snapshot) = &states[round / 2 % 2];
            let what = format!("by turns {round}, {extent:?}");
            sandbox.restore(snapshot, true)?;
            Memory::of(&sandbox)?.assert_is(&clean.memory, &what);
            if round % 2 == 0 {
                let found = Registers::of(&sandbox)?;
                found.assert_is(&clean.registers, round > 0, &what);
            }
            spoil(&sandbox, extent)?;
        }
    }
    Ok(())
}

/// Who wrote a file may have put another guest runtime into it, which keeps vector registers.
fn runtimes_from_files() -> TestResult {
    let (_original, honest) = prepared()?;
    let loaded = reloaded(&honest)?;
    let clean = fresh(&honest)?;
    let sandbox = Sandbox::from_snapshot(&loaded)?;
    // A snapshot of what came from a file is no better.
    let second = sandbox.snapshot()?;
    // The last one last: of a genuine guest it is expected that it clears them itself.
    let snapshots = [&loaded, &second, &honest];
    for (round, snapshot) in snapshots.into_iter().enumerate() {
        spoil(&sandbox, Extent::Pages)?;
        Way::Guest(End::Well).end(&sandbox)?;
        sandbox.restore(snapshot, true)?;
        let found = Registers::of(&sandbox)?;
        found.assert_is(&clean.registers, false, &format!("from a file, {round}"));
    }
    Ok(())
}

/// VMs of the pool, whatever their last sandbox did. After commands that ended well it is the
/// guest that clears vector registers.
fn machines_that_are_used_again(ways: &[Way], well: bool) -> TestResult {
    let (original, first) = prepared()?;
    spoil(&original, Extent::Borders)?;
    let second = original.snapshot()?;
    let states = [(fresh(&first)?, &first), (fresh(&second)?, &second)];
    vm_pool::limit(Some(1));
    let before = vm_pool::limit(None).reused;
    for (round, way) in ways.iter().cycle().take(32).enumerate() {
        // Of the same snapshot, of another one, and such as were not put back yet.
        let (clean, snapshot) = &states[usize::from(round % 3 == 0)];
        let what = format!("pool {round}, before {way:?}");
        let sandbox = Sandbox::from_snapshot(snapshot)?;
        Memory::of(&sandbox)?.assert_is(&clean.memory, &what);
        let found = Registers::of(&sandbox)?;
        found.assert_is(&clean.registers, well, &what);
        sandbox.restore(snapshot, true)?;
        if round % 4 == 0 {
            let grown = grown(&sandbox)?;
            grown.assert_is(&clean.grown, &what);
            sandbox.restore(snapshot, true)?;
        }
        spoil(&sandbox, EXTENTS[round % 3])?;
        way.end(&sandbox)?;
        drop(sandbox);
        while round % 2 == 0 && vm_pool::limit(None).waiting > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let reused = vm_pool::limit(None).reused - before;
    assert!(reused > 16, "{reused}");
    vm_pool::limit(Some(0));
    done(original.command(common::micro_guest::Do::Nothing.code(), &[])?);
    Ok(())
}
