//! Sizes: guest addresses are `u64`, host sizes are `usize`, and here both are 64 bits.

use host_guest_abi::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

const _: () = assert!(size_of::<usize>() == size_of::<u64>());

/// A guest size as a host size.
#[allow(clippy::cast_possible_truncation, reason = "asserted above")]
pub const fn host_size(bytes: u64) -> usize {
    bytes as usize
}

/// Whether `value` is a multiple of the smallest page.
pub const fn is_page_aligned(value: u64) -> bool {
    value.is_multiple_of(PAGE_BYTES)
}

/// Rounds up to the smallest page; `None` if that overflows.
pub const fn round_to_page(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE_BYTES)
}

/// Rounds up to a large page; `None` if that overflows.
pub const fn round_to_large_page(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(LARGE_PAGE_BYTES)
}
