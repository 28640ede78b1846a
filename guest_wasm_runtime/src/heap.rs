//! The heap: all RAM from `HEAP` upward.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

use host_guest_abi::layout::HEAP;
use talc::{ErrOnOom, Span, Talc, Talck};

use crate::mailbox;
use crate::units::{Single, size};

struct NoLock;

// SAFETY: one thread, and no allocation happens inside the allocator.
unsafe impl lock_api::RawMutex for NoLock {
    const INIT: Self = Self;
    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {}

    fn try_lock(&self) -> bool {
        true
    }

    unsafe fn unlock(&self) {}
}

struct Heap {
    talck: Talck<NoLock, ErrOnOom>,
    refused: Cell<usize>,
}

#[global_allocator]
static GLOBAL: GuestHeap = GuestHeap(Single::new(Heap {
    talck: Talc::new(ErrOnOom).lock(),
    refused: Cell::new(0),
}));

struct GuestHeap(Single<Heap>);

impl GuestHeap {
    fn noted(&self, pointer: *mut u8, bytes: usize) -> *mut u8 {
        if pointer.is_null() {
            self.0.refused.set(bytes);
        }
        pointer
    }
}

// SAFETY: forwards to talc; null means out of memory.
unsafe impl GlobalAlloc for GuestHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        self.noted(unsafe { self.0.talck.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.talck.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        self.noted(
            unsafe { self.0.talck.realloc(pointer, layout, new_size) },
            new_size,
        )
    }
}

/// Hands RAM to the allocator. Called once, before anything allocates.
pub fn claim() {
    let span = Span::new(
        core::ptr::with_exposed_provenance_mut(size(HEAP)),
        core::ptr::with_exposed_provenance_mut(size(mailbox::ram_bytes())),
    );
    // SAFETY: the layout reserves [HEAP, RAM end) for this allocator alone.
    if unsafe { GLOBAL.0.talck.lock().claim(span) }.is_err() {
        panic!("no room for a heap: {} bytes of RAM", mailbox::ram_bytes());
    }
}

/// Bytes of RAM that the heap got.
pub fn bytes() -> u64 {
    mailbox::ram_bytes().saturating_sub(HEAP)
}

/// Bytes of the last allocation that did not fit, 0 if there was none.
pub fn last_refused() -> usize {
    GLOBAL.0.refused.get()
}
