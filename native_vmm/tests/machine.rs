//! The machine under a guest that does exactly what a test wants.

mod common;

use common::micro_guest::Do;
use common::{TestResult, done, micro_sandbox};

#[test]
fn boots_and_runs_commands() -> TestResult {
    let Some(sandbox) = micro_sandbox()? else { return Ok(()) };
    for n in [1, 1000] {
        assert_eq!(done(sandbox.command(Do::Count.code(), &[n])?), [n, 0]);
    }
    Ok(())
}
