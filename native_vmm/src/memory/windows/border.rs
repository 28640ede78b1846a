//! One window: how far it is accessible, and where it prefers large pages.

use std::io;

use host_guest_abi::layout::LARGE_PAGE_BYTES;

use super::{Access, Region, Window};

/// How a window differs from what it was at the snapshot that the sandbox was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It does not.
    None,
    /// Its border has moved outwards.
    Grown,
    /// Pages of it were mapped otherwise.
    Remapped,
}

/// The border of one window.
#[derive(Debug, Clone, Copy)]
pub struct State {
    pub accessible: u64,
    pub images: u32,
    /// Whether pages of a snapshot are mapped here.
    pub mapped: bool,
    /// Times that pages in the middle were replaced, since then.
    pub holes: u32,
    pub change: Change,
    /// Large pages are preferred from here to the end, once that is decided. Always just
    /// so: pages that differ in this are mappings of their own.
    pub large_from: Option<u64>,
}

impl State {
    pub const NEW: Self = Self {
        accessible: 0,
        images: 0,
        mapped: false,
        holes: 0,
        change: Change::None,
        large_from: None,
    };

    pub fn remapped(&mut self) {
        self.change = Change::Remapped;
    }

    /// Prefers large pages behind the first `small` bytes. Filling memory is 20 times as
    /// fast with them, but a touch takes 2 MiB: not where only a few pages are used.
    pub fn prefer_large_pages(&mut self, region: &Region, window: &Window, small: u64) {
        if self.large_from.is_none() {
            self.large_from = Some(small.next_multiple_of(LARGE_PAGE_BYTES));
            self.advise(region, window, 0, window.capacity);
        }
    }

    pub fn advise(&self, region: &Region, window: &Window, offset: u64, end: u64) {
        let start = self.large_from.map_or(end, |from| from.max(offset));
        if start < end {
            region.prefer_large_pages(window.physical + start, end - start);
        }
    }

    /// Replaces pages by zero pages that are like their neighbours.
    pub fn renew(
        &self,
        region: &Region,
        window: &Window,
        (offset, end): (u64, u64),
        access: Access,
    ) -> io::Result<()> {
        // What was released since, and not there before, has no pages.
        if offset < end {
            region.renew(window.physical + offset, end - offset, access)?;
            self.advise(region, window, offset, end);
        }
        Ok(())
    }
}
