//! As `canaries`, of a snapshot in a file, in a container whose filter of system calls refuses
//! `process_vm_writev`: pages are read from the file again.
//!
//! In a file of its own, because the refusal counts for the rest of the process.

mod common;

use common::canaries::{Extent, Way, config, prepared, reloaded, restores_to, spoil};
use common::micro_guest::End;
use common::refusal::{call, refusing};
use common::{TestResult, hypervisor};
use native_vmm::memory::memory_file;
use native_vmm::sandbox::{Sandbox, SandboxError, Snapshot};

#[test]
fn files_need_no_system_call_that_containers_refuse() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let writev = call("process_vm_writev", libc::SYS_process_vm_writev);
    let done = refusing(writev, libc::EPERM, || {
        nothing_is_left()
            .and_then(|()| a_file_that_is_cut_off_is_an_error())
            .map_err(|error| error.to_string())
    })?;
    Ok(done?)
}

fn nothing_is_left() -> TestResult {
    let (_original, snapshot) = prepared()?;
    let ways = [Way::Guest(End::Well), Way::Guest(End::Invalid), Way::Kick];
    restores_to(&reloaded(&snapshot)?, &ways)
}

fn a_file_that_is_cut_off_is_an_error() -> TestResult {
    let (_original, snapshot) = prepared()?;
    let file = memory_file(c"test")?;
    let (bytes, record) = snapshot.save(&file, 0)?;
    let ours = file.try_clone()?;
    let loaded = Snapshot::load(config()?, file, 0, bytes, record.as_bytes())?;
    let sandbox = Sandbox::from_snapshot(&loaded)?;
    for _ in 0..5 {
        spoil(&sandbox, Extent::Pages)?;
        sandbox.restore(&loaded, true)?;
    }
    // What the sandbox has written to vanishes, too.
    ours.set_len(0)?;
    let restored = sandbox.restore(&loaded, true);
    assert!(
        matches!(restored, Err(SandboxError::Snapshot(_))),
        "{restored:?}"
    );
    Ok(())
}
