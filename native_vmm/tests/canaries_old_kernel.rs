//! As `canaries`, on a kernel without `PAGEMAP_SCAN`: page tables are read the slow way.
//!
//! In a file of its own, because the refusal counts for the rest of the process.

mod common;

use common::canaries::{Way, restores};
use common::micro_guest::End;
use common::refusal::{ioctl, refusing};
use common::{TestResult, hypervisor};

#[test]
fn nothing_is_left_without_a_system_call_of_newer_kernels() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    let ways = [
        Way::Guest(End::Well),
        Way::Guest(End::Invalid),
        Way::Guest(End::HostCall),
        Way::Kick,
        Way::Border,
    ];
    let scan = ioctl("PAGEMAP_SCAN", 0xc060_6610);
    let done = refusing(scan, libc::ENOTTY, || {
        restores(&ways).map_err(|error| error.to_string())
    })?;
    Ok(done?)
}
