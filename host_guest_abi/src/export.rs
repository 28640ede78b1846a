//! The constants as Python source, so that Python never repeats a number.

use core::fmt::{self, Write};

/// Names and values of one module.
type Table = &'static [(&'static str, u64)];

/// The modules in the order in which they are exported.
/// A prefix is for modules whose names mean nothing without the module's.
const MODULES: &[(&str, &str, Table)] = &[
    ("layout", "", crate::layout::ALL),
    ("mailbox", "", crate::mailbox::ALL),
    ("command", "", crate::command::ALL),
    ("exit", "", crate::exit::ALL),
    ("status", "", crate::status::ALL),
    ("transfer", "TRANSFER_", crate::transfer::ALL),
];

/// Writes one `NAME = value` line per constant.
///
/// # Errors
/// Whatever `out` returns.
pub fn python_source(out: &mut dyn Write) -> fmt::Result {
    out.write_str("\"\"\"Generated from the crate host_guest_abi; do not edit.\"\"\"\n")?;
    for (module, prefix, constants) in MODULES {
        writeln!(out, "\n# {module}")?;
        for (name, value) in *constants {
            writeln!(out, "{prefix}{name} = {value:#x}")?;
        }
    }
    Ok(())
}
