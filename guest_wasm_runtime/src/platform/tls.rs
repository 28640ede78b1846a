//! Thread-local slots of a program with one thread.

use core::cell::Cell;
use core::ptr::null_mut;

use crate::units::Single;

static SLOTS: Single<[Cell<*mut u8>; 2]> =
    Single::new([Cell::new(null_mut()), Cell::new(null_mut())]);

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(slot: usize) -> *mut u8 {
    SLOTS[slot].get()
}

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(slot: usize, pointer: *mut u8) {
    SLOTS[slot].set(pointer);
}
