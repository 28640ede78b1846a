//! The guest runtime, built by `build.rs`.

use std::sync::{Arc, OnceLock};

use crate::loader::{GuestImage, ImageError};

/// The ELF file.
const FILE: &[u8] = include_bytes!(env!("HLWASM_GUEST_IMAGE"));

static IMAGE: OnceLock<Arc<GuestImage>> = OnceLock::new();

/// The image, laid out once per process.
///
/// # Errors
/// See [`ImageError`].
pub fn image() -> Result<Arc<GuestImage>, ImageError> {
    if let Some(image) = IMAGE.get() {
        return Ok(Arc::clone(image));
    }
    let image = Arc::new(GuestImage::new(FILE)?);
    Ok(Arc::clone(IMAGE.get_or_init(|| image)))
}
