//! The embedded guest runtime, as far as it goes without a compiled component.

mod common;

use std::fs::File;
use std::io::Write;

use common::{MIB, TestResult, WINDOWS, done, hypervisor, text};
use host_guest_abi::command::{
    COMMAND_CALL_WITH_FUEL, COMMAND_EXITS, COMMAND_INSTANTIATE, COMMAND_LOAD, FUEL_UNLIMITED,
};
use host_guest_abi::layout::{ARTIFACT, RAM_DEFAULT_BYTES};
use host_guest_abi::status::STATUS_ERROR;
use native_vmm::hypervisor::Driver;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError};

fn config() -> Result<Config, SandboxError> {
    Config::new(Driver::Kvm, RAM_DEFAULT_BYTES, &WINDOWS)
}

/// The command must fail and say why; the guest goes on.
fn fails(sandbox: &Sandbox, command: u64, arguments: &[u64]) -> TestResult {
    let exit = sandbox.command(command, arguments)?;
    let failed =
        matches!(exit, Exit::Failed { status, .. } if u64::try_from(status) == Ok(STATUS_ERROR));
    assert!(
        failed,
        "{command} {arguments:x?}: {exit:?} {}",
        text(sandbox)
    );
    assert!(!text(sandbox).is_empty());
    done(sandbox.command(COMMAND_EXITS, &[3])?);
    Ok(())
}

#[test]
fn boots_and_exits() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let sandbox = Sandbox::new(config()?)?;
    let before = sandbox.counters().exits;
    done(sandbox.command(COMMAND_EXITS, &[100])?);
    assert_eq!(sandbox.counters().exits - before, 101);
    fails(&sandbox, 9999, &[])?;
    fails(
        &sandbox,
        COMMAND_INSTANTIATE,
        &[0, 0, 1, 100, FUEL_UNLIMITED],
    )?;
    fails(&sandbox, COMMAND_CALL_WITH_FUEL, &[0, FUEL_UNLIMITED])
}

#[test]
fn hostile_artifacts_stay_inside() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    // Looks like ELF with one page of code, and is nothing else.
    let mut bytes = vec![0xa5; 3 * 4096];
    bytes[..128].fill(0);
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (bytes[18], bytes[40], bytes[58], bytes[60]) = (62, 64, 64, 1);
    (bytes[64 + 4], bytes[64 + 8], bytes[64 + 25], bytes[64 + 33]) = (1, 6, 0x10, 0x10);
    let path = std::env::temp_dir().join(format!("hlwasm-hostile-{}", std::process::id()));
    File::create(&path)?.write_all(&bytes)?;
    let file = File::open(&path)?;
    std::fs::remove_file(&path)?;
    let sandbox = Sandbox::new(config()?.with_artifact(file, bytes.len() as u64)?)?;
    let bytes = bytes.len() as u64;
    for fuel in [0, 1, 2] {
        fails(&sandbox, COMMAND_LOAD, &[ARTIFACT, bytes, fuel])?;
    }
    Ok(())
}

#[test]
fn ram_is_as_large_as_configured() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    for ram_bytes in [32 * MIB, 256 * MIB] {
        let sandbox = Sandbox::new(Config::new(Driver::Kvm, ram_bytes, &WINDOWS)?)?;
        done(sandbox.command(COMMAND_EXITS, &[1])?);
    }
    Ok(())
}
