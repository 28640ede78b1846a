//! Requests of a real guest: honest ones work, bad ones end the sandbox and touch nothing.

mod common;

use common::micro_guest::Do;
use common::{
    MIB, PAGE, READ_WRITE, TestResult, WINDOWS, answered, artifact, done, hypervisor, load,
    micro_guest, micro_sandbox, request, text,
};
use host_guest_abi::exit::{
    EXIT_HOST_CALL, EXIT_IMAGE, EXIT_LOG, EXIT_PANIC, EXIT_PROTECT, EXIT_RELEASE, EXIT_REMAP,
    EXIT_TRAP_ENTRY, LOG_INFO,
};
use host_guest_abi::layout::{ARTIFACT, HEAP, IMAGE_END, TEXT, TEXT_BYTES};
use native_vmm::hypervisor::Driver;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, State};

const WINDOW: u64 = Plan::window_address(2);

/// Mappings of this process.
fn count() -> std::io::Result<usize> {
    Ok(std::fs::read_to_string("/proc/self/maps")?.lines().count())
}

#[test]
fn bad_requests_end_the_sandbox() -> TestResult {
    let bad: &[(u64, [u64; 4], &str)] = &[
        (0, [0; 4], "an unknown request"),
        (99, [0; 4], "an unknown request"),
        (
            EXIT_PROTECT,
            [HEAP, PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_PROTECT,
            [ARTIFACT, PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_PROTECT,
            [WINDOW - PAGE, PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_PROTECT,
            [Plan::window_address(4), PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_PROTECT,
            [u64::MAX - 0xfff, PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_PROTECT,
            [WINDOW + 1, PAGE, READ_WRITE, 0],
            "not whole pages",
        ),
        (
            EXIT_PROTECT,
            [WINDOW, PAGE + 1, READ_WRITE, 0],
            "not whole pages",
        ),
        (
            EXIT_PROTECT,
            [WINDOW, PAGE, 7, 0],
            "unknown protection bits",
        ),
        (
            EXIT_PROTECT,
            [WINDOW + PAGE, u64::MAX - 0xfff, READ_WRITE, 0],
            "without an end",
        ),
        (
            EXIT_REMAP,
            [HEAP, PAGE, READ_WRITE, 0],
            "outside of all windows",
        ),
        (
            EXIT_REMAP,
            [WINDOW, PAGE, u64::MAX, 0],
            "unknown protection bits",
        ),
        (EXIT_RELEASE, [4, 0, 0, 0], "no such window"),
        (EXIT_RELEASE, [u64::MAX, 0, 0, 0], "no such window"),
        (
            EXIT_IMAGE,
            [ARTIFACT, WINDOW, PAGE, 0],
            "an image without an artifact",
        ),
        (
            EXIT_LOG,
            [LOG_INFO, TEXT_BYTES + 1, 0, 0],
            "a text longer than its area",
        ),
        (
            EXIT_LOG,
            [LOG_INFO, u64::MAX, 0, 0],
            "a text longer than its area",
        ),
        (
            EXIT_PANIC,
            [TEXT_BYTES + 1, 0, 0, 0],
            "a text longer than its area",
        ),
        (EXIT_TRAP_ENTRY, [HEAP, 0, 0, 0], "a trap entry outside"),
        (
            EXIT_TRAP_ENTRY,
            [IMAGE_END, 0, 0, 0],
            "a trap entry outside",
        ),
    ];
    for (code, arguments, rule) in bad {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        let exit = request(&sandbox, *code, *arguments)?;
        assert_eq!(
            exit.state(),
            State::Poisoned,
            "{code} {arguments:x?}: {exit:?}"
        );
        let said = text(&sandbox);
        assert!(
            said.contains("broke the protocol") && said.contains(rule),
            "{rule}: {said}"
        );
        assert!(matches!(sandbox.resume(), Err(SandboxError::State { .. })));
    }
    Ok(())
}

#[test]
fn commands_must_end_as_they_should() -> TestResult {
    for (end, rule) in [
        ([0, 0, 0, 0], "the end of another command"),
        ([2, 0, 0, 0], "the end of another command"),
        ([u64::MAX, 0, 0, 0], "the end of another command"),
        ([1, 5, 0, 0], "an unknown status"),
        ([1, u64::MAX, 0, 0], "an unknown status"),
        ([1, 1 << 32 | 1, 0, 0], "an unknown status"),
        ([1, 1, 0, TEXT_BYTES + 1], "a text longer than its area"),
    ] {
        let Some(sandbox) = micro_sandbox()? else {
            return Ok(());
        };
        let exit = sandbox.command(Do::End.code(), &end)?;
        assert!(matches!(exit, Exit::Fault(_)), "{end:?}: {exit:?}");
        assert!(text(&sandbox).contains(rule), "{end:?}: {}", text(&sandbox));
    }
    Ok(())
}

#[test]
fn failures_bring_status_values_and_text() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::Store.code(), &[TEXT, u64::from_le_bytes(*b"too much")])?);
    let exit = sandbox.command(Do::End.code(), &[2, 4, 17, 8])?;
    assert!(
        matches!(
            exit,
            Exit::Failed {
                status: 4,
                values: [17, _]
            }
        ),
        "{exit:?}"
    );
    assert_eq!(text(&sandbox), "too much");
    // A command that failed is over; the next one starts afresh.
    assert_eq!(done(sandbox.command(Do::Count.code(), &[3])?), [3, 0]);
    assert_eq!(text(&sandbox), "");
    Ok(())
}

#[test]
fn log_records_suspend_and_panics_end() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    done(sandbox.command(Do::Store.code(), &[TEXT, u64::from_le_bytes(*b"listen!!")])?);
    let exit = request(&sandbox, EXIT_LOG, [LOG_INFO, 6, 0, 0])?;
    assert_eq!(exit, Exit::Log { level: LOG_INFO });
    assert_eq!(text(&sandbox), "listen");
    assert!(matches!(sandbox.call(0), Err(SandboxError::State { .. })));
    assert_eq!(done(sandbox.resume()?), [0, 0]);

    assert_eq!(request(&sandbox, EXIT_PANIC, [7, 0, 0, 0])?, Exit::Panic);
    assert_eq!(text(&sandbox), "listen!");
    assert!(matches!(sandbox.resume(), Err(SandboxError::State { .. })));
    Ok(())
}

#[test]
fn host_calls_are_answered_once() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let mut exit = sandbox.command(Do::HostCalls.code(), &[50])?;
    for left in (1..=50).rev() {
        assert_eq!(
            exit,
            Exit::HostCall {
                function: 7,
                pointer: left
            }
        );
        assert!(matches!(sandbox.resume(), Err(SandboxError::State { .. })));
        exit = sandbox.answer(0, 1000 + left)?;
    }
    assert_eq!(done(exit), [50 * 1000 + 50 * 51 / 2, 50]);
    assert!(matches!(
        sandbox.answer(0, 0),
        Err(SandboxError::State { .. })
    ));
    assert_eq!(sandbox.counters().host_calls, 50);
    // The status of an answer reaches the guest.
    assert!(matches!(
        request(&sandbox, EXIT_HOST_CALL, [1, 2, 0, 0])?,
        Exit::HostCall { .. }
    ));
    assert_eq!(done(sandbox.answer(1, 77)?), [1, 77]);
    Ok(())
}

#[test]
fn refusals_of_memory_are_answers() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let capacity = WINDOWS[2];
    answered(
        &sandbox,
        EXIT_PROTECT,
        [WINDOW, capacity + PAGE, READ_WRITE, 0],
        libc::ENOMEM,
    )?;
    answered(
        &sandbox,
        EXIT_PROTECT,
        [WINDOW + capacity, PAGE, READ_WRITE, 0],
        libc::ENOMEM,
    )?;
    answered(
        &sandbox,
        EXIT_PROTECT,
        [WINDOW + PAGE, PAGE, READ_WRITE, 0],
        libc::EINVAL,
    )?;
    answered(&sandbox, EXIT_PROTECT, [WINDOW, PAGE, 1, 0], libc::EINVAL)?;
    answered(&sandbox, EXIT_PROTECT, [WINDOW, 0, READ_WRITE, 0], 0)?;
    answered(&sandbox, EXIT_PROTECT, [WINDOW, capacity, READ_WRITE, 0], 0)?;
    assert_eq!(sandbox.accessible(2)?, capacity);
    Ok(())
}

#[test]
fn memory_is_zeroed_when_remapped_or_released() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let store = |address| sandbox.command(Do::Store.code(), &[address, 5]).map(done);
    let load = |address| load(&sandbox, address);
    answered(&sandbox, EXIT_PROTECT, [WINDOW, MIB, READ_WRITE, 0], 0)?;
    for address in [WINDOW, WINDOW + PAGE, WINDOW + MIB - 8] {
        store(address)?;
    }
    answered(
        &sandbox,
        EXIT_REMAP,
        [WINDOW + PAGE, PAGE, READ_WRITE, 0],
        0,
    )?;
    assert_eq!(
        [load(WINDOW)?, load(WINDOW + PAGE)?, load(WINDOW + MIB - 8)?],
        [5, 0, 5]
    );
    answered(&sandbox, EXIT_RELEASE, [2, 0, 0, 0], 0)?;
    assert_eq!(sandbox.accessible(2)?, 0);
    answered(&sandbox, EXIT_PROTECT, [WINDOW, MIB, READ_WRITE, 0], 0)?;
    assert_eq!([load(WINDOW)?, load(WINDOW + MIB - 8)?], [0, 0]);

    // Transfer windows are zeroed too, but stay, for guest and host.
    let export = Plan::window_address(1);
    store(export + 64)?;
    answered(&sandbox, EXIT_REMAP, [export, WINDOWS[1], 0, 0], 0)?;
    assert_eq!(load(export + 64)?, 0);
    store(export + 64)?;
    answered(&sandbox, EXIT_RELEASE, [1, 0, 0, 0], 0)?;
    assert_eq!(load(export + 64)?, 0);
    store(export + 64)?;
    let (base, _) = sandbox.transfer_window(1)?.ok_or("no window")?;
    // SAFETY: inside the window, which lives as long as the sandbox.
    assert_eq!(unsafe { base.wrapping_add(64).read_volatile() }, 5);
    Ok(())
}

#[test]
fn a_guest_cannot_make_many_mappings() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let before = count()?;
    answered(
        &sandbox,
        EXIT_PROTECT,
        [WINDOW, WINDOWS[2], READ_WRITE, 0],
        0,
    )?;
    for page in (0..WINDOWS[2] / PAGE).step_by(2) {
        let address = WINDOW + page * PAGE;
        done(sandbox.command(Do::Store.code(), &[address + PAGE, 1])?);
        answered(&sandbox, EXIT_REMAP, [address, PAGE, READ_WRITE, 0], 0)?;
        done(sandbox.command(Do::Store.code(), &[address, 1])?);
    }
    let after = count()?;
    assert!(after < before + 100, "{before} mappings became {after}");
    Ok(())
}

/// There each hole would be two mappings more, for the pages beside it are a file's.
#[test]
fn nor_in_a_sandbox_made_from_a_snapshot() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else {
        return Ok(());
    };
    let bytes = WINDOWS[2];
    answered(&sandbox, EXIT_PROTECT, [WINDOW, bytes, READ_WRITE, 0], 0)?;
    done(sandbox.command(Do::Fill.code(), &[WINDOW, bytes, 0x55])?);
    let snapshot = sandbox.snapshot()?;
    let copy = Sandbox::from_snapshot(&snapshot)?;
    let before = count()?;
    for _ in 0..3 {
        let mut refused = 0;
        for page in (0..bytes / PAGE).step_by(2) {
            let hole = [WINDOW + page * PAGE, PAGE, READ_WRITE, 0];
            refused += u64::from(request(&copy, EXIT_REMAP, hole).is_ok_and(is_refusal));
        }
        let after = count()?;
        assert!(after < before + 60, "{before} mappings became {after}");
        assert_eq!(refused, bytes / PAGE / 2 - 8);
        copy.restore(&snapshot, true)?;
    }
    Ok(())
}

/// Whether a request was answered by EINVAL.
fn is_refusal(exit: Exit) -> bool {
    done(exit)[0] == u64::try_from(libc::EINVAL).unwrap_or(0)
}

#[test]
fn images_without_bytes_are_none() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let (file, bytes) = artifact()?;
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?.with_artifact(file, bytes)?;
    let sandbox = Sandbox::new(config.with_image(micro_guest::image()?))?;
    answered(
        &sandbox,
        EXIT_PROTECT,
        [WINDOW, WINDOWS[2], READ_WRITE, 0],
        0,
    )?;
    for _ in 0..100 {
        let image = [ARTIFACT, WINDOW + WINDOWS[2], 0, 0];
        answered(&sandbox, EXIT_IMAGE, image, 0)?;
    }
    Ok(())
}

/// A sandbox whose windows all have room for large pages.
fn roomy_sandbox() -> Result<Option<Sandbox>, Box<dyn std::error::Error>> {
    if !hypervisor() {
        return Ok(None);
    }
    let config = Config::new(Driver::Kvm, 64 * MIB, &[8 * MIB; 3])?;
    Ok(Some(Sandbox::new(
        config.with_image(micro_guest::image()?),
    )?))
}

#[test]
fn nor_with_large_pages_in_a_transfer_window() -> TestResult {
    let Some(sandbox) = roomy_sandbox()? else {
        return Ok(());
    };
    let (before, window) = (count()?, Plan::window_address(1));
    for address in (window + 4 * MIB..window + 8 * MIB).step_by(0x2000) {
        answered(&sandbox, EXIT_REMAP, [address, PAGE, READ_WRITE, 0], 0)?;
    }
    let after = count()?;
    assert!(after < before + 100, "{before} mappings became {after}");
    Ok(())
}

#[test]
fn nor_with_large_pages_and_a_border_to_and_fro() -> TestResult {
    let Some(sandbox) = roomy_sandbox()? else {
        return Ok(());
    };
    let before = count()?;
    let grow = |end| answered(&sandbox, EXIT_PROTECT, [WINDOW, end, READ_WRITE, 0], 0);
    grow(PAGE)?;
    grow(4 * MIB)?;
    for border in (4 * MIB..8 * MIB).step_by(0x2000) {
        grow(border + 2 * PAGE)?;
        let place = WINDOW + border + PAGE;
        answered(&sandbox, EXIT_PROTECT, [place, PAGE, 0, 0], 0)?;
        grow(border + 2 * PAGE)?;
    }
    let after = count()?;
    assert!(after < before + 100, "{before} mappings became {after}");
    // Released and made again, with other sizes, many times.
    for round in 1..200 {
        answered(&sandbox, EXIT_RELEASE, [2, 0, 0, 0], 0)?;
        grow(round % 4 * 2 * MIB + PAGE)?;
        grow(8 * MIB)?;
    }
    let after = count()?;
    assert!(after < before + 100, "{before} mappings became {after}");
    Ok(())
}
