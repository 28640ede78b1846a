//! The machine under a guest that does exactly what a test wants: what ring 3 may do,
//! what it may not, and that the host survives and reports the latter.

mod common;

use std::error::Error;

use common::micro_guest::{CONSTANT, CONSTANTS, DATA, Do};
use common::{MIB, TestResult, WINDOWS, done, micro_sandbox, text};
use host_guest_abi::exit::{PORT_EXCEPTION, PORT_REQUEST};
use host_guest_abi::layout::{
    BOOT_INFO, EXCEPTION_STACK_TOP, EXCEPTION_STUBS, GDT, HEAP, IDT, IMAGE, MAILBOX, PAGE_TABLES,
    STACK, TEXT, TSS,
};
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Exit, Sandbox, SandboxError};

#[test]
fn boots_and_runs_commands() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    for n in [1, 1000] {
        assert_eq!(done(sandbox.command(Do::Count.code(), &[n])?), [n, 0]);
    }
    assert_eq!(done(sandbox.command(Do::Exits.code(), &[100])?), [0, 0]);
    let counters = sandbox.counters();
    assert_eq!((counters.exits, counters.interrupts), (1 + 2 + 101, 0));
    Ok(())
}

#[test]
fn ring_3_has_its_memory() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let import = Plan::window_address(0);
    let export = Plan::window_address(1);
    for address in [
        DATA,
        DATA + 0x2ff8,
        STACK,
        HEAP,
        64 * MIB - 8,
        TEXT,
        import + MIB - 8,
        export + MIB,
    ] {
        done(sandbox.command(Do::Store.code(), &[address, address ^ 0x55])?);
        assert_eq!(
            done(sandbox.command(Do::Load.code(), &[address])?)[0],
            address ^ 0x55
        );
    }
    assert_eq!(
        done(sandbox.command(Do::Load.code(), &[CONSTANTS])?)[0],
        CONSTANT
    );
    assert_eq!(
        done(sandbox.command(Do::Load.code(), &[BOOT_INFO])?)[0],
        64 * MIB
    );
    let xcr0 = done(sandbox.command(Do::ExtendedState.code(), &[])?)[0];
    assert_eq!(
        xcr0 & 7,
        7,
        "AVX state; software KVM shows all that the CPU has"
    );
    Ok(())
}

#[test]
fn transfer_windows_are_shared_with_the_host() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    for index in [0, 1] {
        let (base, bytes) = sandbox.transfer_window(index)?.ok_or("no window")?;
        assert_eq!(bytes, WINDOWS[index]);
        let address = Plan::window_address(index) + bytes - 8;
        done(sandbox.command(Do::Store.code(), &[address, 4711])?);
        let word = base.wrapping_add(usize::try_from(bytes - 8)?).cast::<u64>();
        // SAFETY: the last word of the window, which lives as long as the sandbox.
        assert_eq!(unsafe { word.read_volatile() }, 4711);
    }
    assert!(sandbox.transfer_window(2)?.is_none());
    Ok(())
}

/// Runs one command in a fresh sandbox, which it must poison with a report that says
/// all of `report`.
fn assert_fatal(action: Do, arguments: &[u64], report: &[&str]) -> Result<bool, Box<dyn Error>> {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(false);
    };
    fatal_in(&sandbox, action, arguments, report)?;
    Ok(true)
}

fn fatal_in(sandbox: &Sandbox, action: Do, arguments: &[u64], report: &[&str]) -> TestResult {
    let exit = sandbox.command(action.code(), arguments)?;
    let said = text(sandbox);
    assert!(
        matches!(exit, Exit::Fault(_)),
        "{action:?} {arguments:x?}: {exit:?} {said}"
    );
    for part in report {
        assert!(said.contains(part), "{action:?} {arguments:x?}: {said}");
    }
    let after = sandbox.command(Do::Nothing.code(), &[]);
    assert!(
        matches!(after, Err(SandboxError::State { .. })),
        "not poisoned: {after:?}"
    );
    Ok(())
}

#[test]
fn writes_to_read_only_memory_fault() -> TestResult {
    for address in [IMAGE, CONSTANTS, BOOT_INFO] {
        let touching = format!("touching {address:#x}");
        let report = ["page fault (vector 14), error code 0x7", &touching];
        if !assert_fatal(Do::Store, &[address, 0], &report)? {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn data_is_not_executable() -> TestResult {
    let export = Plan::window_address(1);
    for address in [DATA, CONSTANTS, STACK, HEAP, MAILBOX, TEXT, export] {
        let report = [
            "page fault (vector 14), error code 0x15",
            &format!("touching {address:#x}"),
        ];
        if !assert_fatal(Do::Jump, &[address], &report)? {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn ring_3_cannot_touch_the_system_pages() -> TestResult {
    for address in [GDT, TSS, IDT, EXCEPTION_STUBS, EXCEPTION_STACK_TOP - 8] {
        let report = ["page fault", &format!("touching {address:#x}")];
        if !assert_fatal(
            Do::Load,
            &[address],
            &[report[0], report[1], "error code 0x5"],
        )? {
            return Ok(());
        }
        assert_fatal(
            Do::Store,
            &[address, 0],
            &[report[0], report[1], "error code 0x7"],
        )?;
        assert_fatal(Do::Jump, &[address], &report)?;
    }
    Ok(())
}

#[test]
fn nothing_else_is_there() -> TestResult {
    let absent = [
        0,
        MAILBOX - 8,
        TEXT + 0xe000,
        PAGE_TABLES,
        STACK - 8,
        64 * MIB,
        Plan::window_address(0) - 8,
        Plan::window_address(1) + WINDOWS[1],
        Plan::window_address(4),
    ];
    for address in absent {
        let report = [
            "page fault (vector 14), error code 0x4",
            &format!("touching {address:#x}"),
        ];
        if !assert_fatal(Do::Load, &[address], &report)? {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn privileged_instructions_fault() -> TestResult {
    let other_ports = [
        0x60,
        PORT_REQUEST - 4,
        PORT_REQUEST + 4,
        PORT_EXCEPTION,
        0xffff,
    ];
    for port in other_ports {
        if !assert_fatal(
            Do::Out,
            &[port, 0],
            &["general protection fault (vector 13)"],
        )? {
            return Ok(());
        }
    }
    assert_fatal(Do::Halt, &[], &["general protection fault (vector 13)"])?;
    // Its gate is closed to ring 3; software KVM lets it through as what it is.
    assert_fatal(Do::Breakpoint, &[], &["vector"])?;
    // An invalid opcode; software KVM jumps to 0 instead, where nothing is.
    assert_fatal(Do::Syscall, &[], &["vector"])?;
    Ok(())
}

#[test]
fn exits_of_other_kinds_are_refused() -> TestResult {
    let odd_exit = ["unexpected exit"];
    if !assert_fatal(Do::OutByte, &[PORT_REQUEST, 10], &odd_exit)? {
        return Ok(());
    }
    assert_fatal(Do::OutByte, &[PORT_EXCEPTION, 0], &odd_exit)?;
    assert_fatal(Do::OutString, &[4], &odd_exit)?;
    Ok(())
}

#[test]
fn a_stack_overflow_before_traps_are_handled_is_reported() -> TestResult {
    assert_fatal(
        Do::Overflow,
        &[],
        &["page fault", "before the guest handles traps"],
    )?;
    Ok(())
}

#[test]
fn sandboxes_come_and_go() -> TestResult {
    let mut sandboxes = Vec::new();
    for n in 0..12 {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        sandboxes.push(sandbox);
        for (index, sandbox) in sandboxes.iter().enumerate() {
            let n = n * 100 + index as u64 + 1;
            assert_eq!(done(sandbox.command(Do::Count.code(), &[n])?)[0], n);
        }
        if n % 3 == 2 {
            sandboxes.remove(0);
        }
    }
    Ok(())
}
