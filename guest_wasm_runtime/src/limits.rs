//! Limits that a component may not fit, and which one it was.

use core::cell::Cell;
use core::fmt;

use host_guest_abi::status::{LIMIT_GC_HEAP, LIMIT_MEMORIES, LIMIT_MEMORY, LIMIT_TABLE_ELEMENTS};

use crate::units::Single;

/// A limit that the component does not fit.
#[derive(Clone, Copy, Debug)]
pub enum LimitReached {
    /// A memory starts larger than its window.
    Memory {
        /// Bytes at its start.
        needed: u64,
        /// Bytes of the window.
        allowed: u64,
    },
    /// More memories than windows.
    MemoryCount {
        /// Windows for memories of the component.
        allowed: u64,
    },
    /// No window for the garbage-collected heap.
    GcHeap,
    /// A table starts with too many elements.
    Table {
        /// Elements at its start.
        needed: u64,
        /// The limit.
        allowed: u64,
    },
}

impl LimitReached {
    /// Which limit it is, for the host.
    pub const fn code(self) -> u64 {
        match self {
            Self::Memory { .. } => LIMIT_MEMORY,
            Self::MemoryCount { .. } => LIMIT_MEMORIES,
            Self::GcHeap => LIMIT_GC_HEAP,
            Self::Table { .. } => LIMIT_TABLE_ELEMENTS,
        }
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { needed, allowed } => write!(
                out,
                "a memory of the component starts with {needed} bytes, \
                 and the limit `memory` allows {allowed}"
            ),
            Self::MemoryCount { allowed } => write!(
                out,
                "the component has more linear memories than the sandbox has room for \
                 ({allowed})"
            ),
            Self::GcHeap => out.write_str(
                "the component uses garbage-collected objects, \
                 and the sandbox has no memory for them",
            ),
            Self::Table { needed, allowed } => write!(
                out,
                "a table of the component starts with {needed} elements, \
                 and the limit `table_elements` allows {allowed}"
            ),
        }
    }
}

impl core::error::Error for LimitReached {}

static REFUSED: Single<Cell<Option<LimitReached>>> = Single::new(Cell::new(None));

/// Notes why something was refused; wasmtime's own error does not say.
pub fn refuse(limit: LimitReached) {
    REFUSED.set(Some(limit));
}

/// Nothing was refused so far.
pub fn forget() {
    REFUSED.set(None);
}

/// Why the instantiation failed, if it was a limit.
pub fn last_refused() -> Option<LimitReached> {
    REFUSED.get()
}
