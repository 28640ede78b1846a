//! Turns any component or core module into one whose interface knows no types.

/// What may be chosen.
#[derive(Debug, Clone)]
pub struct Options {
    /// Usable bytes of each transfer memory.
    pub transfer_bytes: u64,
}

/// What comes out.
#[derive(Debug)]
pub struct Bridged {
    /// The composed component.
    pub component: Vec<u8>,
    /// Its description in JSON.
    pub description: String,
}

/// Why it cannot be done.
#[derive(Debug)]
pub enum BridgeError {
    /// The input is malformed.
    Malformed(String),
    /// The input has an item that cannot be bridged.
    Unsupported {
        /// WIT name of the item.
        item: String,
        /// One line for the user.
        message: String,
    },
}

/// Bridges `input`.
///
/// # Errors
/// See [`BridgeError`].
pub fn bridge(_input: &[u8], _options: &Options) -> Result<Bridged, BridgeError> {
    Err(BridgeError::Malformed(String::from("not built yet")))
}
