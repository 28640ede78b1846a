//! Faults in ring 3 become calls of the guest's trap entry, with the right arguments.

mod common;

use common::micro_guest::{CONSTANTS, Do, IMAGE_END_OF_CODE};
use common::{MIB, PAGE, READ_WRITE, TestResult, WINDOWS, done, micro_sandbox, text};
use host_guest_abi::exit::EXIT_PROTECT;
use host_guest_abi::layout::{IMAGE, STACK};
use host_guest_abi::status::STATUS_TRAP;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Exit, Sandbox};

/// Runs a command that must trap; returns ip, address and whether there is one.
fn trap(sandbox: &Sandbox, action: Do, arguments: &[u64]) -> (u64, u64, bool) {
    match sandbox.command(action.code(), arguments) {
        Ok(Exit::Failed {
            status,
            values: [ip, address],
        }) => {
            assert_eq!(u64::try_from(status), Ok(STATUS_TRAP));
            assert_ne!(ip, u64::MAX, "the trap entry was called wrongly");
            (ip, address, !text(sandbox).is_empty())
        }
        other => panic!("{action:?} {arguments:x?}: {other:?}, {}", text(sandbox)),
    }
}

fn is_code(ip: u64) -> bool {
    (IMAGE..IMAGE + IMAGE_END_OF_CODE).contains(&ip)
}

#[test]
fn page_faults_come_with_their_address() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let beyond = Plan::window_address(2) + WINDOWS[2];
    for address in [
        0,
        0x10,
        STACK - 8,
        CONSTANTS,
        beyond,
        Plan::window_address(2) - 8,
    ] {
        let (ip, at, has_address) = trap(&sandbox, Do::Store, &[address, 1]);
        assert!(
            is_code(ip) && at == address && has_address,
            "{ip:#x} {at:#x} {has_address}"
        );
    }
    // A jump faults at its target.
    assert_eq!(
        trap(&sandbox, Do::Jump, &[CONSTANTS]),
        (CONSTANTS, CONSTANTS, true)
    );
    assert_eq!(sandbox.counters().page_faults, 7);
    Ok(())
}

#[test]
fn other_exceptions_have_none() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    for action in [Do::Divide, Do::Invalid, Do::Invalid, Do::Flags] {
        let (ip, address, has_address) = trap(&sandbox, action, &[]);
        assert!(is_code(ip) && address == 0 && !has_address, "{action:?}");
    }
    assert_eq!(sandbox.counters().exceptions, 4);
    // The sandbox is as good as before.
    assert_eq!(done(sandbox.command(Do::Count.code(), &[5])?), [5, 0]);
    Ok(())
}

#[test]
fn memory_not_yet_accessible_traps_without_an_address() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let window = Plan::window_address(2);
    for action in [Do::Load, Do::Store] {
        let (ip, address, has_address) = trap(&sandbox, action, &[window, 1]);
        assert!(is_code(ip) && address == 0 && !has_address);
    }
    let protect = [EXIT_PROTECT, window, MIB, READ_WRITE];
    assert_eq!(done(sandbox.command(Do::Request.code(), &protect)?), [0, 0]);
    done(sandbox.command(Do::Store.code(), &[window + MIB - 8, 99])?);
    assert_eq!(
        done(sandbox.command(Do::Load.code(), &[window + MIB - 8])?)[0],
        99
    );
    trap(&sandbox, Do::Store, &[window + MIB, 1]);
    assert_eq!(sandbox.counters().access_faults, 3);
    // Growth makes what trapped usable, and keeps what was there.
    let grow = [EXIT_PROTECT, window + MIB, PAGE, READ_WRITE];
    assert_eq!(done(sandbox.command(Do::Request.code(), &grow)?), [0, 0]);
    done(sandbox.command(Do::Store.code(), &[window + MIB, 1])?);
    assert_eq!(
        done(sandbox.command(Do::Load.code(), &[window + MIB - 8])?)[0],
        99
    );
    Ok(())
}

#[test]
fn many_traps_in_a_row() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    for _ in 0..300 {
        trap(&sandbox, Do::Divide, &[]);
        trap(&sandbox, Do::Load, &[0]);
        trap(&sandbox, Do::Load, &[Plan::window_address(2)]);
    }
    Ok(())
}

/// The command must end the sandbox, with a report that says `report`.
fn assert_fault(sandbox: &Sandbox, action: Do, arguments: &[u64], report: &str) -> TestResult {
    let exit = sandbox.command(action.code(), arguments)?;
    assert!(matches!(exit, Exit::Fault(_)), "{action:?}: {exit:?}");
    assert!(
        text(sandbox).contains(report),
        "{action:?}: {}",
        text(sandbox)
    );
    Ok(())
}

#[test]
fn faults_while_handling_a_trap_end_the_sandbox() -> TestResult {
    for (action, argument) in [
        (Do::Divide, 0),
        (Do::Load, 0),
        (Do::Load, Plan::window_address(2)),
    ] {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        done(sandbox.command(Do::HandleTrapsBadly.code(), &[])?);
        assert_fault(&sandbox, action, &[argument], "while handling a trap")?;
    }
    Ok(())
}

#[test]
fn a_trap_without_a_usable_stack_ends_the_sandbox() -> TestResult {
    for action in [Do::Overflow, Do::BadStack] {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        done(sandbox.command(Do::HandleTraps.code(), &[])?);
        assert_fault(&sandbox, action, &[], "page fault")?;
        assert!(text(&sandbox).contains("while handling a trap"));
    }
    Ok(())
}

#[test]
fn unbacked_memory_before_traps_are_handled_is_reported() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let unbacked = Plan::window_address(3);
    assert_fault(
        &sandbox,
        Do::Load,
        &[unbacked],
        "access to memory without backing",
    )
}

#[test]
fn exceptions_that_wasm_never_raises_are_no_traps() -> TestResult {
    for (action, report) in [
        (Do::Halt, "general protection fault"),
        (Do::Breakpoint, "vector"),
    ] {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        done(sandbox.command(Do::HandleTraps.code(), &[])?);
        assert_fault(&sandbox, action, &[], report)?;
    }
    Ok(())
}
