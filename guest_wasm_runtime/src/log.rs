//! Log records for the host. Each costs an exit, so only for what is worth one.

use core::fmt::{self, Write};

use host_guest_abi::exit::{EXIT_LOG, LOG_ERROR};

use crate::exit::request;
use crate::text::TextWriter;

/// Something is wrong, and what follows will likely fail.
pub fn error(message: fmt::Arguments<'_>) {
    record(LOG_ERROR, message);
}

fn record(level: u64, message: fmt::Arguments<'_>) {
    let mut text = TextWriter::new();
    // The writer never fails; a failing Display loses its own part only.
    let _ = text.write_fmt(message);
    request(EXIT_LOG, [level, text.len() as u64]);
}
