//! Initial contents of linear memories: data of the artifact, mapped copy-on-write.

use alloc::boxed::Box;

use host_guest_abi::exit::EXIT_IMAGE;
use host_guest_abi::layout::{ARTIFACT, ARTIFACT_MAX_BYTES};

use super::{EINVAL, ENOMEM};
use crate::exit::request;
use crate::windows;

/// Shorter images are copied: an exit and a mapping cost more than writing few pages,
/// and copied pages need no special care in snapshots.
const LEAST_MAPPED_BYTES: usize = 32 << 10;

/// Page-aligned bytes inside the artifact.
struct Image {
    start: usize,
    bytes: usize,
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_new(
    start: *const u8,
    bytes: usize,
    image: &mut *mut Image,
) -> i32 {
    let start = start.addr();
    let offset = (start as u64).wrapping_sub(ARTIFACT);
    *image = if bytes >= LEAST_MAPPED_BYTES && offset < ARTIFACT_MAX_BYTES {
        Box::into_raw(Box::new(Image { start, bytes }))
    } else {
        core::ptr::null_mut()
    };
    0
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_map_at(image: &Image, to: *mut u8, bytes: usize) -> i32 {
    if bytes > image.bytes {
        return EINVAL;
    }
    let Some(window) = windows::locate(to.addr(), bytes) else {
        return ENOMEM;
    };
    windows::touch(window);
    request(
        EXIT_IMAGE,
        [image.start as u64, to.addr() as u64, bytes as u64],
    )
    .errno()
}

/// Frees what `wasmtime_memory_image_new` made.
///
/// # Safety
/// `image` came from there and is not used again.
// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmtime_memory_image_free(image: *mut Image) {
    // SAFETY: the caller promises that it is a box of ours.
    drop(unsafe { Box::from_raw(image) });
}
