//! What may be chosen.

use host_guest_abi::transfer;
use serde::Deserialize;

use crate::error::{BridgeError, Result};

/// Largest transfer memory: offsets in it stay far from the end of 32 bits.
const TRANSFER_BYTES_MAX: u64 = 0x8000_0000;

/// What may be chosen. As JSON: an object with the fields' names; each may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Usable bytes of each transfer memory, at most 2 GiB.
    pub transfer_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transfer_bytes: transfer::DEFAULT_BYTES,
        }
    }
}

impl Options {
    /// Reads options from JSON; an empty text stands for the defaults.
    ///
    /// # Errors
    /// [`BridgeError::Malformed`] if it is not an object with known fields of the right types.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text)
            .map_err(|error| BridgeError::Malformed(format!("options: {error}")))
    }

    /// Pages that both transfer memories declare.
    pub(crate) fn transfer_pages(&self) -> Result<u32> {
        let bytes = self.transfer_bytes;
        if bytes == 0 || bytes > TRANSFER_BYTES_MAX {
            return Err(BridgeError::Malformed(format!(
                "options: transfer_bytes is {bytes}, must be 1 to {TRANSFER_BYTES_MAX}"
            )));
        }
        u32::try_from(transfer::pages_for(bytes))
            .map_err(|error| BridgeError::Malformed(error.to_string()))
    }
}
