//! The C ABI of `hlwasm.h`: thin entries that check pointers and never unwind.
//!
//! | file | entries |
//! |---|---|
//! | `library.rs` | version, constants, last error, hypervisor query, kick signal |
//! | `sandbox.rs` | making, running and looking at sandboxes |
//! | `snapshot.rs` | taking and using snapshots |
//! | `script.rs` | the scripted driver |
//! | `bridge.rs` | bridge generation, WIT, constants of code |
//! | `error.rs` | the one place where errors become statuses |

mod bridge;
mod error;
mod library;
mod sandbox;
mod script;
mod snapshot;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use bridge::{
    HlwBuffer, hlw_bridge, hlw_buffer_free, hlw_constants, hlw_describe_wit, hlw_print_wit,
    hlw_wit_package_item,
};
pub use error::{AbiError, Status, hlw_last_error};
pub use library::{
    HlwHypervisorInfo, HlwVmPoolInfo, hlw_abi_constants, hlw_expiry_descriptor,
    hlw_hypervisor_query, hlw_kick_signal, hlw_version, hlw_vm_pool,
};
pub use sandbox::{
    HlwConfig, HlwCounters, HlwExit, HlwMemoryUsage, HlwSandbox, hlw_answer, hlw_call, hlw_command,
    hlw_counters_read, hlw_is_expired, hlw_kick, hlw_last_exit, hlw_limit_time,
    hlw_memory_usage_read, hlw_resume, hlw_sandbox_free, hlw_sandbox_new, hlw_text, hlw_window,
};
pub use script::{hlw_script_step, hlw_script_write};
pub use snapshot::{
    HlwSnapshot, hlw_restore, hlw_sandbox_from_snapshot, hlw_snapshot_bytes, hlw_snapshot_free,
    hlw_snapshot_load, hlw_snapshot_save, hlw_snapshot_take,
};

/// Runs the body of an entry that returns 0 or more, or a negative status.
fn entry(body: impl FnOnce() -> Result<i32, AbiError>) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => error::report(&failure),
        Err(panic) => error::report(&AbiError::from_panic(panic.as_ref())),
    }
}

/// Runs the body of an entry that cannot report a failure.
fn quiet<T>(fallback: T, body: impl FnOnce() -> Option<T>) -> T {
    catch_unwind(AssertUnwindSafe(body))
        .ok()
        .flatten()
        .unwrap_or(fallback)
}
