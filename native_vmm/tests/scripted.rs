//! Run loop, state and checks of requests, without a hypervisor.

mod common;

use common::{MIB, TestResult, WINDOWS, done, text};
use host_guest_abi::exit::{
    EXIT_HOST_CALL, EXIT_LOG, EXIT_NOP, EXIT_PANIC, EXIT_PROTECT, EXIT_READY, EXIT_TRAP_ENTRY,
};
use host_guest_abi::layout::{EXCEPTION_STACK_TOP, EXCEPTION_STUBS, IMAGE, MAILBOX, TEXT};
use host_guest_abi::mailbox::{
    DONE_SEQUENCE, DONE_STATUS, DONE_TEXT_BYTES, DONE_VALUES, REQUEST_ARGUMENTS,
};
use native_vmm::hypervisor::{Driver, MachineExit, Registers};
use native_vmm::kick::Reason;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, State};

fn sandbox() -> Result<Sandbox, SandboxError> {
    Sandbox::new(Config::new(Driver::Scripted, 32 * MIB, &WINDOWS)?)
}

/// Adds a step: words of the mailbox that the guest writes, then its exit.
fn step(sandbox: &Sandbox, words: &[(u64, u64)], exit: MachineExit) -> TestResult {
    sandbox.script(|script| {
        for (index, value) in words {
            script.write(MAILBOX + 8 * index, &value.to_le_bytes());
        }
        script.step(exit, None);
    })?;
    Ok(())
}

fn request(sandbox: &Sandbox, code: u64, arguments: &[u64]) -> TestResult {
    let words: Vec<_> = (REQUEST_ARGUMENTS..)
        .zip(arguments.iter().copied())
        .collect();
    step(sandbox, &words, MachineExit::Request(u32::try_from(code)?))
}

fn ready(sandbox: &Sandbox, sequence: u64, status: u64, values: [u64; 2]) -> TestResult {
    let words = [
        (DONE_SEQUENCE, sequence),
        (DONE_STATUS, status),
        (DONE_VALUES, values[0]),
        (DONE_VALUES + 1, values[1]),
        (DONE_TEXT_BYTES, 0),
    ];
    step(
        sandbox,
        &words,
        MachineExit::Request(u32::try_from(EXIT_READY)?),
    )
}

#[test]
fn a_call_passes_through_all_its_states() -> TestResult {
    let sandbox = sandbox()?;
    request(&sandbox, EXIT_NOP, &[])?;
    request(&sandbox, EXIT_LOG, &[20, 0])?;
    step(&sandbox, &[], MachineExit::Interrupted)?;
    request(&sandbox, EXIT_HOST_CALL, &[3, 64])?;
    ready(&sandbox, 1, 0, [8, 9])?;
    assert_eq!(sandbox.call(0)?, Exit::Log { level: 20 });
    assert_eq!(sandbox.resume()?, Exit::Interrupted { reason: None });
    assert_eq!(
        sandbox.resume()?,
        Exit::HostCall {
            function: 3,
            pointer: 64
        }
    );
    assert_eq!(done(sandbox.answer(0, 1)?), [8, 9]);
    let counters = sandbox.counters();
    assert_eq!(
        (counters.exits, counters.host_calls, counters.interrupts),
        (6, 1, 1)
    );
    Ok(())
}

#[test]
fn each_state_refuses_what_it_cannot_do() -> TestResult {
    let sandbox = sandbox()?;
    let refused = |result| matches!(result, Err(SandboxError::State { .. }));
    assert!(refused(sandbox.answer(0, 0)) && refused(sandbox.resume()));
    request(&sandbox, EXIT_HOST_CALL, &[0, 0])?;
    step(&sandbox, &[], MachineExit::Interrupted)?;
    ready(&sandbox, 1, 0, [0; 2])?;
    sandbox.call(0)?;
    assert!(refused(sandbox.call(0)) && refused(sandbox.resume()));
    sandbox.answer(0, 0)?;
    assert!(refused(sandbox.call(0)) && refused(sandbox.answer(0, 0)));
    assert_eq!(sandbox.resume()?.state(), State::Ready);
    assert!(matches!(
        sandbox.command(9, &[0; 7]),
        Err(SandboxError::Arguments(7))
    ));
    request(&sandbox, EXIT_PANIC, &[0])?;
    assert_eq!(sandbox.call(0)?, Exit::Panic);
    assert!(refused(sandbox.call(0)) && refused(sandbox.answer(0, 0)) && refused(sandbox.resume()));
    Ok(())
}

#[test]
fn what_the_machine_cannot_go_on_from_poisons() -> TestResult {
    for (exit, report) in [
        (MachineExit::Shutdown, "triple fault"),
        (
            MachineExit::Unexpected("odd".to_owned()),
            "unexpected exit: odd",
        ),
        (
            MachineExit::AccessFault,
            "access to memory without backing outside of wasm",
        ),
        (
            MachineExit::Exception,
            "reported by other code than its stub",
        ),
    ] {
        let sandbox = sandbox()?;
        step(&sandbox, &[], exit.clone())?;
        assert!(matches!(sandbox.call(0)?, Exit::Fault(_)), "{exit:?}");
        assert!(
            text(&sandbox).contains(report),
            "{exit:?}: {}",
            text(&sandbox)
        );
        assert!(matches!(sandbox.call(0), Err(SandboxError::State { .. })));
    }
    Ok(())
}

#[test]
fn access_faults_go_to_the_trap_entry_once() -> TestResult {
    let sandbox = sandbox()?;
    request(&sandbox, EXIT_TRAP_ENTRY, &[IMAGE + 64])?;
    for _ in 0..2 {
        step(&sandbox, &[], MachineExit::AccessFault)?;
        request(&sandbox, EXIT_NOP, &[])?;
    }
    step(&sandbox, &[], MachineExit::AccessFault)?;
    step(&sandbox, &[], MachineExit::AccessFault)?;
    assert!(matches!(sandbox.call(0)?, Exit::Fault(_)));
    assert!(
        text(&sandbox).contains("while handling a trap"),
        "{}",
        text(&sandbox)
    );
    assert_eq!(sandbox.counters().access_faults, 3);
    Ok(())
}

/// Registers in the exception stub.
fn in_stub() -> Registers {
    Registers {
        rip: EXCEPTION_STUBS,
        rsp: EXCEPTION_STACK_TOP - 80,
        ..Registers::default()
    }
}

/// A frame on the exception stack: cr2, rdx, rax, vector, error code, rip, cs, rflags, rsp, ss.
fn exception(sandbox: &Sandbox, registers: Registers, frame: [u64; 10]) -> TestResult {
    sandbox.script(|script| {
        let bytes: Vec<u8> = frame.iter().flat_map(|word| word.to_le_bytes()).collect();
        script.write(EXCEPTION_STACK_TOP - 80, &bytes);
        script.step(MachineExit::Exception, Some(registers));
    })?;
    Ok(())
}

#[test]
fn exceptions_are_redirected_only_from_ring_3_and_by_the_stub() -> TestResult {
    let good = [0x1000, 0, 0, 14, 4, IMAGE, 0x23, 2, IMAGE, 0x1b];
    let with = |index: usize, value| {
        let mut frame = good;
        frame[index] = value;
        frame
    };
    let elsewhere = Registers {
        rip: IMAGE,
        ..in_stub()
    };
    let bad_stack = Registers {
        rsp: EXCEPTION_STACK_TOP - 88,
        ..in_stub()
    };
    for (registers, frame, redirected) in [
        (in_stub(), good, true),
        (in_stub(), with(3, 0), true),
        (in_stub(), with(3, 6), true),
        (in_stub(), with(3, 13), false),
        (in_stub(), with(3, u64::MAX), false),
        (in_stub(), with(6, 0x8), false),
        (in_stub(), with(6, 0x1_0023), false),
        (elsewhere, good, false),
        (bad_stack, good, false),
    ] {
        let sandbox = sandbox()?;
        request(&sandbox, EXIT_TRAP_ENTRY, &[IMAGE + 64])?;
        exception(&sandbox, registers, frame)?;
        ready(&sandbox, 1, 0, [0; 2])?;
        let exit = sandbox.call(0)?;
        assert_eq!(
            exit.state() == State::Ready,
            redirected,
            "{frame:x?} {exit:?}"
        );
    }
    Ok(())
}

#[test]
fn the_caller_gets_a_turn_between_many_requests() -> TestResult {
    let sandbox = sandbox()?;
    for _ in 0..600 {
        request(&sandbox, EXIT_NOP, &[])?;
    }
    ready(&sandbox, 1, 0, [0; 2])?;
    let turn = Exit::Interrupted { reason: None };
    assert_eq!(sandbox.call(0)?, turn);
    assert_eq!(sandbox.resume()?, turn);
    assert_eq!(sandbox.resume()?.state(), State::Ready);
    assert_eq!(sandbox.counters().interrupts, 0);
    Ok(())
}

#[test]
fn kicks_come_before_the_script() -> TestResult {
    let sandbox = sandbox()?;
    ready(&sandbox, 1, 0, [0; 2])?;
    sandbox.kick();
    assert_eq!(
        sandbox.call(0)?,
        Exit::Interrupted {
            reason: Some(Reason::Cancel)
        }
    );
    assert_eq!(sandbox.resume()?.state(), State::Ready);
    Ok(())
}

#[test]
fn text_is_copied_before_it_is_shown() -> TestResult {
    let sandbox = sandbox()?;
    sandbox.script(|script| script.write(TEXT, b"why it failed"))?;
    let words = [(DONE_SEQUENCE, 1), (DONE_STATUS, 1), (DONE_TEXT_BYTES, 13)];
    step(
        &sandbox,
        &words,
        MachineExit::Request(u32::try_from(EXIT_READY)?),
    )?;
    assert!(matches!(sandbox.call(0)?, Exit::Failed { status: 1, .. }));
    let (place, bytes) = sandbox.text_place()?;
    assert_eq!((text(&sandbox).as_str(), bytes), ("why it failed", 13));
    step(&sandbox, &[], MachineExit::Shutdown)?;
    sandbox.call(0)?;
    assert_eq!(sandbox.text_place()?.0, place, "its place never changes");
    Ok(())
}

#[test]
fn requests_for_memory_are_served() -> TestResult {
    let sandbox = sandbox()?;
    request(&sandbox, EXIT_PROTECT, &[Plan::window_address(2), MIB, 3])?;
    request(&sandbox, EXIT_PROTECT, &[Plan::window_address(2), MIB, 8])?;
    assert!(matches!(sandbox.call(0)?, Exit::Fault(_)));
    assert_eq!(sandbox.accessible(2)?, MIB);
    assert_eq!(sandbox.counters().protects, 2);
    Ok(())
}

#[test]
fn a_panic_of_ours_poisons() -> TestResult {
    let sandbox = sandbox()?;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sandbox.script(|_| panic!("on purpose"))
    }));
    assert!(panicked.is_err());
    assert!(matches!(sandbox.call(0), Err(SandboxError::State { .. })));
    Ok(())
}
