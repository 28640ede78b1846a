//! Which linear memory lies in which window.
//!
//! wasmtime announces each memory to the store's limiter and then reserves address space
//! for it, without saying which memory it is. Order tells: the import bridge's memory is
//! the first of an instantiation and the export bridge's the last. Their declared sizes
//! confirm it.
//!
//! ```text
//! window   0 (stride 8 GiB)                     1
//!          | guard 32 MiB | memory, 4 GiB reserved | guard | … | guard | …
//!                         | capacity | not present
//! ```

use core::cell::Cell;

use host_guest_abi::layout::{
    WINDOW_BASE, WINDOW_COMPONENT, WINDOW_EXPORT_BRIDGE, WINDOW_GUARD, WINDOW_IMPORT_BRIDGE,
    WINDOW_STRIDE, WINDOWS_MAX,
};

use crate::limits::{self, LimitReached, refuse};
use crate::mailbox;
use crate::units::{Single, size};

/// Address space that wasmtime reserves for each memory, without guards.
pub const RESERVATION: u64 = 1 << 32;

const WHOLE: u64 = WINDOW_GUARD + RESERVATION + WINDOW_GUARD;
const _: () = assert!(WHOLE <= WINDOW_STRIDE);
const _: () = assert!(WINDOWS_MAX <= u64::BITS as u64);

/// What the instantiation will create.
#[derive(Clone, Copy, Default)]
pub struct Expected {
    /// Bytes of the import bridge's memory, 0 if there is no import bridge.
    pub import_bytes: u64,
    /// Bytes of the export bridge's memory, 0 if there is no export bridge.
    pub export_bytes: u64,
    /// Linear memories in all, bridges included.
    pub memories: u64,
}

impl Expected {
    fn own_memories(&self) -> u64 {
        let bridges = u64::from(self.import_bytes > 0) + u64::from(self.export_bytes > 0);
        self.memories.saturating_sub(bridges)
    }
}

/// What the limiter heard of the next memory.
#[derive(Clone, Copy)]
struct Announced {
    minimum: u64,
    maximum: Option<u64>,
}

impl Announced {
    fn is_fixed_at(&self, bytes: u64) -> bool {
        bytes > 0 && self.minimum == bytes && self.maximum == Some(bytes)
    }

    /// wasmtime makes the heap of garbage-collected objects like a memory, empty and
    /// unbounded.
    fn may_be_gc_heap(&self) -> bool {
        self.minimum == 0 && self.maximum.is_none_or(|bytes| bytes >= RESERVATION)
    }
}

struct State {
    expected: Cell<Expected>,
    announced: Cell<Option<Announced>>,
    /// Memories placed in this instantiation.
    placed: Cell<u64>,
    /// Whether what is placed next is the heap of garbage-collected objects.
    gc_heap_next: Cell<bool>,
    /// Bit i: window i is in use.
    used: Cell<u64>,
    /// Bit i: window i may hold something.
    touched: Cell<u64>,
}

static STATE: Single<State> = Single::new(State {
    expected: Cell::new(Expected {
        import_bytes: 0,
        export_bytes: 0,
        memories: 0,
    }),
    announced: Cell::new(None),
    placed: Cell::new(0),
    gc_heap_next: Cell::new(false),
    used: Cell::new(0),
    touched: Cell::new(0),
});

/// An instantiation begins. All windows are free.
pub fn expect(expected: Expected) {
    STATE.expected.set(expected);
    STATE.announced.set(None);
    STATE.placed.set(0);
    limits::forget();
}

/// Runs `make`, which makes the heap of garbage-collected objects, if the host granted a
/// window for it behind those of the component's memories.
pub fn place_gc_heap(make: impl FnOnce()) {
    if spare_window().is_some() {
        STATE.gc_heap_next.set(true);
        make();
        STATE.gc_heap_next.set(false);
    }
}

fn spare_window() -> Option<u64> {
    let own_end = WINDOW_COMPONENT + STATE.expected.get().own_memories();
    (own_end < window_count()).then_some(own_end)
}

fn window_count() -> u64 {
    mailbox::window_count().min(WINDOWS_MAX)
}

/// The store's limiter heard of a memory: a new one, or one that grows.
pub fn announce(minimum: usize, maximum: Option<usize>) {
    STATE.announced.set(Some(Announced {
        minimum: minimum as u64,
        maximum: maximum.map(|bytes| bytes as u64),
    }));
}

/// Whether the bridges' memories were found.
pub fn bridges_found() -> bool {
    let expected = STATE.expected.get();
    let found = |bytes: u64, index: u64| bytes == 0 || STATE.used.get() & (1 << index) != 0;
    found(expected.import_bytes, WINDOW_IMPORT_BRIDGE)
        && found(expected.export_bytes, WINDOW_EXPORT_BRIDGE)
}

/// Address of a window for the memory announced last, guard included.
pub fn place(reserved: usize) -> Option<usize> {
    let announced = STATE.announced.take()?;
    let index = choose(announced)?;
    let allowed = mailbox::window_bytes(index);
    if announced.minimum > allowed {
        refuse(LimitReached::Memory {
            needed: announced.minimum,
            allowed,
        });
        return None;
    }
    // Compiled code relies on it, and so does `locate`.
    assert_eq!(
        reserved as u64, WHOLE,
        "wasmtime reserves otherwise than windows are made"
    );
    STATE.used.update(|used| used | 1 << index);
    // The bridges' windows are accessible from the start.
    let touched = u64::from(is_bridge(index)) << index;
    STATE
        .touched
        .update(|others| others & !(1 << index) | touched);
    Some(size(WINDOW_BASE + index * WINDOW_STRIDE))
}

fn choose(announced: Announced) -> Option<u64> {
    if STATE.gc_heap_next.take() {
        return spare_window();
    }
    let (expected, placed) = (STATE.expected.get(), STATE.placed.get());
    let is_free = |index: &u64| STATE.used.get() & (1 << index) == 0;
    STATE.placed.set(placed + 1);
    if placed == 0 && expected.import_bytes > 0 {
        if announced.is_fixed_at(expected.import_bytes) {
            return Some(WINDOW_IMPORT_BRIDGE);
        }
        if announced.may_be_gc_heap() {
            refuse(LimitReached::GcHeap);
            return None;
        }
    }
    if placed + 1 >= expected.memories
        && announced.is_fixed_at(expected.export_bytes)
        && is_free(&WINDOW_EXPORT_BRIDGE)
    {
        return Some(WINDOW_EXPORT_BRIDGE);
    }
    let free = (WINDOW_COMPONENT..window_count()).find(is_free);
    if free.is_none() {
        refuse(LimitReached::MemoryCount {
            allowed: window_count().saturating_sub(WINDOW_COMPONENT),
        });
    }
    free
}

/// A window that an instance gives back.
pub struct Released {
    /// Which.
    pub index: u64,
    /// Whether it may hold something.
    pub touched: bool,
}

/// Frees the window that starts at `address`.
pub fn release(address: usize) -> Option<Released> {
    let offset = (address as u64).checked_sub(WINDOW_BASE)?;
    let index = offset / WINDOW_STRIDE;
    if !offset.is_multiple_of(WINDOW_STRIDE) || STATE.used.get() & (1 << index) == 0 {
        return None;
    }
    STATE.used.update(|used| used & !(1 << index));
    let touched = STATE.touched.get() & (1 << index) != 0;
    Some(Released { index, touched })
}

/// Something in a window is about to become accessible.
pub fn touch(index: u64) {
    STATE.touched.update(|touched| touched | 1 << index);
}

/// Whether an address belongs to the windows at all.
pub fn contains(address: usize) -> bool {
    (address as u64).wrapping_sub(WINDOW_BASE) < WINDOWS_MAX * WINDOW_STRIDE
}

/// The window in whose capacity the whole range lies.
pub fn locate(address: usize, bytes: usize) -> Option<u64> {
    if !contains(address) {
        return None;
    }
    let offset = address as u64 - WINDOW_BASE;
    let index = offset / WINDOW_STRIDE;
    let start = (offset % WINDOW_STRIDE).checked_sub(WINDOW_GUARD)?;
    let end = start.checked_add(bytes as u64)?;
    (index < mailbox::window_count() && end <= mailbox::window_bytes(index)).then_some(index)
}

/// Whether the host keeps this window accessible for ever.
pub fn is_bridge(index: u64) -> bool {
    index < WINDOW_COMPONENT
}

/// First byte of a window's memory.
pub const fn memory_start(index: u64) -> u64 {
    WINDOW_BASE + index * WINDOW_STRIDE + WINDOW_GUARD
}
