//! Requests of a real guest: honest ones work, bad ones end the sandbox and touch nothing.

mod common;

use std::fs::File;
use std::io::{Seek, Write};

use common::micro_guest::Do;
use common::{
    MIB, PAGE, READ_WRITE, TestResult, WINDOWS, done, hypervisor, micro_guest, micro_sandbox, text,
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

fn request(sandbox: &Sandbox, code: u64, arguments: [u64; 4]) -> Result<Exit, SandboxError> {
    let [a, b, c, d] = arguments;
    sandbox.command(Do::Request.code(), &[code, a, b, c, d])
}

/// The request must be answered with this errno.
fn answered(sandbox: &Sandbox, code: u64, arguments: [u64; 4], errno: i32) -> TestResult {
    let answer = done(request(sandbox, code, arguments)?);
    assert_eq!(
        answer,
        [u64::from(errno.unsigned_abs()), 0],
        "{code} {arguments:x?}"
    );
    Ok(())
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
    assert_eq!(sandbox.counters()?.host_calls, 50);
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
    let load = |address| {
        sandbox
            .command(Do::Load.code(), &[address])
            .map(|exit| done(exit)[0])
    };
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
    let count = || std::fs::read_to_string("/proc/self/maps").map(|maps| maps.lines().count());
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

/// An artifact with one page of code between two pages of data, and 100 bytes more.
fn artifact() -> Result<(File, u64), Box<dyn std::error::Error>> {
    // SAFETY: makes a new file descriptor, or fails.
    let fd = unsafe { libc::memfd_create(c"artifact".as_ptr(), 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just made, and ours.
    let mut file: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    let page = usize::try_from(PAGE)?;
    let mut bytes = vec![0; 3 * page + 100];
    bytes[page..2 * page].fill(0xcc);
    bytes[2 * page..].fill(0xdd);
    // xor r13d, r13d; ud2
    bytes[page..page + 5].copy_from_slice(&[0x45, 0x31, 0xed, 0x0f, 0x0b]);
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = 62;
    bytes[40] = 64;
    bytes[58] = 64;
    bytes[60] = 1;
    bytes[64 + 4] = 1;
    bytes[64 + 8] = 6;
    bytes[64 + 24..64 + 32].copy_from_slice(&PAGE.to_le_bytes());
    bytes[64 + 32..64 + 40].copy_from_slice(&PAGE.to_le_bytes());
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok((file, bytes.len() as u64))
}

fn sandbox_with_artifact() -> Result<Option<Sandbox>, Box<dyn std::error::Error>> {
    if !hypervisor() {
        return Ok(None);
    }
    let (file, bytes) = artifact()?;
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?.with_artifact(file, bytes)?;
    Ok(Some(Sandbox::new(
        config.with_image(micro_guest::image()?),
    )?))
}

#[test]
fn the_artifact_is_read_only_and_executable_where_it_has_code() -> TestResult {
    let Some(sandbox) = sandbox_with_artifact()? else {
        return Ok(());
    };
    let load = |address| {
        sandbox
            .command(Do::Load.code(), &[address])
            .map(|exit| done(exit)[0])
    };
    assert_eq!(load(ARTIFACT)? & 0xffff_ffff, 0x464c_457f);
    assert_eq!(load(ARTIFACT + 3 * PAGE)?, 0xdddd_dddd_dddd_dddd);
    assert_eq!(
        load(ARTIFACT + 3 * PAGE + 0xff8)?,
        0,
        "beyond the end of the file"
    );
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let trap = |action: Do, address| sandbox.command(action.code(), &[address, 1]);
    let faults = |exit, ip, address| {
        assert!(
            matches!(exit, Exit::Failed { values, .. } if values == [ip, address]),
            "{exit:?}"
        );
    };
    // The code runs, up to its `ud2`; what is no code does not, nor what is behind the end.
    faults(trap(Do::Jump, ARTIFACT + PAGE)?, ARTIFACT + PAGE + 3, 0);
    for address in [ARTIFACT, ARTIFACT + 2 * PAGE, ARTIFACT + 4 * PAGE] {
        faults(trap(Do::Jump, address)?, address, address);
    }
    for address in [ARTIFACT, ARTIFACT + PAGE, ARTIFACT + 3 * PAGE] {
        let exit = trap(Do::Store, address)?;
        assert!(
            matches!(exit, Exit::Failed { values: [_, at], .. } if at == address),
            "{exit:?}"
        );
    }
    Ok(())
}

#[test]
fn images_are_private_copies_of_the_artifact() -> TestResult {
    let Some(sandbox) = sandbox_with_artifact()? else {
        return Ok(());
    };
    let load = |address| {
        sandbox
            .command(Do::Load.code(), &[address])
            .map(|exit| done(exit)[0])
    };
    answered(&sandbox, EXIT_PROTECT, [WINDOW, MIB, READ_WRITE, 0], 0)?;
    answered(
        &sandbox,
        EXIT_IMAGE,
        [ARTIFACT + PAGE, WINDOW + PAGE, 2 * PAGE + 100, 0],
        0,
    )?;
    assert_eq!(load(WINDOW)?, 0);
    assert_eq!(load(WINDOW + PAGE + 8)?, 0xcccc_cccc_cccc_cccc);
    assert_eq!(load(WINDOW + 3 * PAGE + 92)?, 0xdddd_dddd_dddd_dddd);
    assert_eq!(
        load(WINDOW + 3 * PAGE + 100)?,
        0,
        "the rest of the last page"
    );
    done(sandbox.command(Do::Store.code(), &[WINDOW + PAGE, 1])?);
    assert_eq!(load(WINDOW + PAGE)?, 1);
    assert_eq!(
        load(ARTIFACT + PAGE)? & 0xff,
        0x45,
        "the artifact stays as it is"
    );
    // Mapped again, it is fresh.
    answered(
        &sandbox,
        EXIT_IMAGE,
        [ARTIFACT + PAGE, WINDOW + PAGE, PAGE, 0],
        0,
    )?;
    assert_eq!(load(WINDOW + PAGE)? & 0xff, 0x45);
    for _ in 2..8 {
        answered(&sandbox, EXIT_IMAGE, [ARTIFACT, WINDOW, PAGE, 0], 0)?;
    }
    answered(
        &sandbox,
        EXIT_IMAGE,
        [ARTIFACT, WINDOW, PAGE, 0],
        libc::ENOMEM,
    )?;
    // A released window forgets its images.
    answered(&sandbox, EXIT_RELEASE, [2, 0, 0, 0], 0)?;
    answered(&sandbox, EXIT_IMAGE, [ARTIFACT, WINDOW, PAGE, 0], 0)?;
    assert_eq!(sandbox.accessible(2)?, PAGE);
    Ok(())
}

#[test]
fn bad_images_end_the_sandbox() -> TestResult {
    let import = Plan::window_address(0);
    for (image, rule) in [
        (
            [ARTIFACT - PAGE, WINDOW, PAGE, 0],
            "an image of no artifact page",
        ),
        (
            [ARTIFACT + 8, WINDOW, PAGE, 0],
            "an image of no artifact page",
        ),
        (
            [u64::MAX - 0xfff, WINDOW, PAGE, 0],
            "an image beyond the artifact",
        ),
        (
            [ARTIFACT, WINDOW, 4 * PAGE, 0],
            "an image beyond the artifact",
        ),
        (
            [ARTIFACT, WINDOW, u64::MAX, 0],
            "an image beyond the artifact",
        ),
        ([ARTIFACT, WINDOW + 8, PAGE, 0], "not whole pages"),
        ([ARTIFACT, HEAP, PAGE, 0], "outside of all windows"),
        ([ARTIFACT, import, PAGE, 0], "an image in a transfer window"),
    ] {
        let Some(sandbox) = sandbox_with_artifact()? else {
            return Ok(());
        };
        let exit = request(&sandbox, EXIT_IMAGE, image)?;
        assert!(matches!(exit, Exit::Fault(_)), "{image:x?}: {exit:?}");
        assert!(
            text(&sandbox).contains(rule),
            "{image:x?}: {}",
            text(&sandbox)
        );
    }
    Ok(())
}
