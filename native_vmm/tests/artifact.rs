//! The artifact as the guest sees it, and images of it in linear memories.

mod common;

use common::micro_guest::Do;
use common::{
    MIB, PAGE, READ_WRITE, TestResult, WINDOWS, answered, artifact, done, hypervisor, load,
    micro_guest, request, text,
};
use host_guest_abi::exit::{EXIT_IMAGE, EXIT_PROTECT, EXIT_RELEASE, EXIT_REMAP};
use host_guest_abi::layout::{ARTIFACT, HEAP};
use native_vmm::hypervisor::Driver;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Config, Exit, Sandbox};

const WINDOW: u64 = Plan::window_address(2);

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
fn images_end_at_the_limit_of_all_windows() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let (file, bytes) = artifact()?;
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?.with_artifact(file, bytes)?;
    let config = config.with_total_memory(3 * PAGE);
    let sandbox = Sandbox::new(config.with_image(micro_guest::image()?))?;
    let other = Plan::window_address(3);
    answered(&sandbox, EXIT_PROTECT, [other, PAGE, READ_WRITE, 0], 0)?;
    let image = [ARTIFACT, WINDOW, 2 * PAGE + 1, 0];
    answered(&sandbox, EXIT_IMAGE, image, libc::ENOMEM)?;
    answered(&sandbox, EXIT_IMAGE, [ARTIFACT, WINDOW, 2 * PAGE, 0], 0)?;
    let more = [WINDOW + 2 * PAGE, PAGE, READ_WRITE, 0];
    answered(&sandbox, EXIT_PROTECT, more, libc::ENOMEM)?;
    answered(&sandbox, EXIT_RELEASE, [3, 0, 0, 0], 0)?;
    answered(&sandbox, EXIT_PROTECT, more, 0)?;
    assert_eq!(sandbox.accessible(2)?, 3 * PAGE);
    Ok(())
}

#[test]
fn the_artifact_is_read_only_and_executable_where_it_has_code() -> TestResult {
    let Some(sandbox) = sandbox_with_artifact()? else {
        return Ok(());
    };
    let load = |address| load(&sandbox, address);
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
    let load = |address| load(&sandbox, address);
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
fn images_have_no_holes() -> TestResult {
    let Some(sandbox) = sandbox_with_artifact()? else {
        return Ok(());
    };
    answered(
        &sandbox,
        EXIT_IMAGE,
        [ARTIFACT, WINDOW, 3 * PAGE + 100, 0],
        0,
    )?;
    let remap = |page, pages, errno| {
        let range = [WINDOW + page * PAGE, pages * PAGE, READ_WRITE, 0];
        answered(&sandbox, EXIT_REMAP, range, errno)
    };
    // Many holes would be many mappings of the host.
    remap(1, 1, libc::EINVAL)?;
    remap(0, 3, libc::EINVAL)?;
    remap(1, 3, 0)?;
    assert_eq!(sandbox.accessible(2)?, 4 * PAGE);
    Ok(())
}

#[test]
fn an_artifact_that_is_cut_off_harms_the_guest_only() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let (file, bytes) = artifact()?;
    let cut = file.try_clone()?;
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?.with_artifact(file, bytes)?;
    let sandbox = Sandbox::new(config.with_image(micro_guest::image()?))?;
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    cut.set_len(PAGE)?;
    let image = [ARTIFACT, WINDOW, 3 * PAGE + 100, 0];
    answered(&sandbox, EXIT_IMAGE, image, libc::EIO)?;
    assert_eq!(sandbox.accessible(2)?, 0);
    for address in [ARTIFACT + 2 * PAGE, WINDOW, WINDOW + 3 * PAGE] {
        let exit = sandbox.command(Do::Load.code(), &[address])?;
        assert!(
            matches!(exit, Exit::Failed { values: [_, 0], .. }),
            "{address:#x}: {exit:?}"
        );
    }
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
