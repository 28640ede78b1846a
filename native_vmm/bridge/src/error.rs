//! Why an input cannot be bridged.

use std::fmt::Display;

/// Why it cannot be done. Each message is one line, for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The input is not valid WebAssembly or WAT.
    #[error("{0}")]
    Malformed(String),
    /// The input is valid but has an item that cannot be bridged.
    #[error("{item}: {message}")]
    Unsupported {
        /// The item by its WIT name, core name or, for want of one, kind.
        item: String,
        /// What is wrong with it.
        message: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, BridgeError>;

impl BridgeError {
    pub(crate) fn unsupported(item: impl Into<String>, message: impl Display) -> Self {
        Self::Unsupported {
            item: item.into(),
            message: one_line(message),
        }
    }

    /// A failure that valid input should never cause: a bug of this crate or of one it uses.
    pub(crate) fn internal(stage: &str, message: impl Display) -> Self {
        Self::unsupported(stage, format!("the bridge cannot be built: {message}"))
    }
}

impl From<wasmparser::Error> for BridgeError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed(format!(
            "{} (at offset {:#x})",
            one_line(error.message()),
            error.offset()
        ))
    }
}

/// Joins the lines of a message that was written for a terminal.
pub(crate) fn one_line(message: impl Display) -> String {
    let message = message.to_string();
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(": ")
}
