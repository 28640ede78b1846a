//! Virtual memory: linear memories lie in windows, everything else on the heap.
//!
//! Page tables are static. Protection changes are requests, and only for windows of the
//! component's own memories: the bridges' windows are always accessible.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;

use host_guest_abi::exit::{EXIT_PROTECT, EXIT_RELEASE, EXIT_REMAP, PROTECT_READ, PROTECT_WRITE};
use host_guest_abi::layout::PAGE_BYTES;

use super::{EINVAL, ENOMEM};
use crate::exit::request;
use crate::units::size;
use crate::windows;

fn heap_layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, size(PAGE_BYTES)).ok()
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_new(bytes: usize, protection: u32, start: &mut *mut u8) -> i32 {
    if protection == 0 {
        // Only linear memories are reserved without being accessible.
        return match windows::place(bytes) {
            Some(address) => {
                *start = core::ptr::with_exposed_provenance_mut(address);
                0
            }
            None => ENOMEM,
        };
    }
    let Some(layout) = heap_layout(bytes).filter(|layout| layout.size() > 0) else {
        return EINVAL;
    };
    // SAFETY: the layout is not empty.
    *start = unsafe { alloc_zeroed(layout) };
    if start.is_null() { ENOMEM } else { 0 }
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmtime_mmap_remap(start: *mut u8, bytes: usize, protection: u32) -> i32 {
    if !windows::contains(start.addr()) {
        // SAFETY: wasmtime remaps only what it mapped, here a heap block.
        unsafe { core::ptr::write_bytes(start, 0, bytes) };
        return 0;
    }
    match windows::locate(start.addr(), bytes) {
        Some(index) => change(EXIT_REMAP, index, start, bytes, protection),
        None => ENOMEM,
    }
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmtime_munmap(start: *mut u8, bytes: usize) -> i32 {
    if windows::contains(start.addr()) {
        return match windows::release(start.addr()) {
            Some(window) if window.touched => request(EXIT_RELEASE, [window.index]).errno(),
            Some(_) => 0,
            None => EINVAL,
        };
    }
    let Some(layout) = heap_layout(bytes) else {
        return EINVAL;
    };
    // SAFETY: wasmtime unmaps whole mappings, and this one came from `alloc_zeroed` with
    // the same layout.
    unsafe { dealloc(start, layout) };
    0
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mprotect(start: *mut u8, bytes: usize, protection: u32) -> i32 {
    if !windows::contains(start.addr()) {
        return 0;
    }
    match windows::locate(start.addr(), bytes) {
        // `memory.grow` beyond the capacity: wasmtime answers −1.
        None => ENOMEM,
        Some(index) if windows::is_bridge(index) => 0,
        Some(index) => change(EXIT_PROTECT, index, start, bytes, protection),
    }
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_page_size() -> usize {
    size(PAGE_BYTES)
}

fn change(code: u64, window: u64, start: *mut u8, bytes: usize, protection: u32) -> i32 {
    // wasmtime's bits for read and write are the contract's; windows are never executable.
    const ALLOWED: u64 = PROTECT_READ | PROTECT_WRITE;
    const { assert!(PROTECT_READ == 1 && PROTECT_WRITE == 2) };
    let protection = u64::from(protection);
    if protection & !ALLOWED != 0 {
        return EINVAL;
    }
    windows::touch(window);
    request(code, [start.addr() as u64, bytes as u64, protection]).errno()
}
