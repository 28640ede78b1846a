//! The pages that are copied back at each restore.
//!
//! A page that a call writes to becomes the sandbox's own, which costs a fault in the host
//! and one in the guest. Giving it back to the kernel at each restore would mean the same
//! faults again in the next call, and they are dearer than copying a page. So pages stay,
//! and are given their old content. Which pages there are, only a look into the page tables
//! tells; but if no fault has happened since the last restore, there can be no new ones.
//!
//! Pages that nobody writes to any more are found by comparing them now and then, and are
//! given back. A page that each call writes to with what it held already looks the same, but
//! comes back by a fault: each time that happens it is given much longer.

use std::io;
use std::ops::Range;

use host_guest_abi::layout::PAGE_BYTES;

use super::careful_copies;
use super::content::{Content, Page, Source};
use super::region::Region;

/// More pages than this are not kept: 4 MiB, about 100 µs of copying.
pub const HOT_PAGES_MAX: usize = 1024;

/// Comparisons in a row that a page was found unchanged in before it is given back.
const PATIENCE: u8 = 2;

/// How much longer that becomes when the page comes back.
const PATIENCE_GROWS: u8 = 8;

/// The most restores from one comparison to the next.
const INTERVAL_MAX: u32 = 512;

/// A page of the sandbox's own, and what it held at the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct HotPage {
    /// Guest-physical address.
    pub physical: u64,
    /// Not known of a page that is only expected to become hot.
    pub(super) source: Option<Source>,
    /// Whether it is no mapping of the snapshot, so that it can only be copied back.
    pinned: bool,
    /// Comparisons in a row that found it unchanged, and how many it is kept for.
    idle: u8,
    patience: u8,
}

impl HotPage {
    /// A page of which only the address is known yet.
    pub const fn expected(physical: u64) -> Self {
        Self {
            physical,
            source: None,
            pinned: false,
            idle: 0,
            patience: PATIENCE,
        }
    }
}

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Pages that were copied back.
    pub copied: u64,
    /// Pages that were given back to the kernel.
    pub dropped: u64,
    /// Whether the page tables had to be looked at.
    pub scanned: bool,
}

/// The hot pages of one sandbox, by address.
#[derive(Debug, Clone, Default)]
pub struct HotPages {
    pages: Vec<HotPage>,
    /// Those last given back, with their patience, latest last.
    retired: Vec<(u64, u8)>,
    /// Restores since the last comparison, and how many there are between two.
    since: u32,
    interval: u32,
}

impl HotPages {
    /// Pages known to be the sandbox's own, ascending.
    pub fn new(pages: Vec<HotPage>) -> Self {
        Self {
            pages,
            retired: Vec::new(),
            since: 0,
            interval: 2,
        }
    }

    /// The pages, ascending.
    pub fn pages(&self) -> &[HotPage] {
        &self.pages
    }

    /// Whether a page is hot and holds what it held at the snapshot.
    ///
    /// # Errors
    /// If the file behind the page was cut off, or the kernel refuses to read it.
    ///
    /// # Safety
    /// Nothing runs in the region, it is a whole, accessible page of it, and the sources are
    /// from this content.
    pub unsafe fn is_unchanged(
        &self,
        region: &Region,
        content: &Content,
        physical: u64,
    ) -> io::Result<bool> {
        let index = self
            .pages
            .binary_search_by_key(&physical, |page| page.physical);
        let Some(source) = index.ok().and_then(|index| self.pages[index].source) else {
            return Ok(false);
        };
        if content.is_sealed() {
            // SAFETY: as the caller promised.
            return Ok(unsafe { source.equals(region.address(physical, PAGE_BYTES)) });
        }
        let mut copy = Page::new();
        // SAFETY: as the caller promised.
        unsafe { careful_copies::read(region, physical, &mut copy)? };
        // SAFETY: the copy is a whole page, and the content exists.
        Ok(unsafe { source.equals(copy.bytes().as_ptr()) })
    }

    /// Copies all pages back.
    ///
    /// # Errors
    /// If the file behind the pages was cut off.
    ///
    /// # Safety
    /// Nothing runs in the region, and the sources are from this content.
    pub unsafe fn copy_back(
        &mut self,
        region: &Region,
        content: &Content,
        restored: &mut Restored,
    ) -> io::Result<()> {
        restored.copied += self.pages.len() as u64;
        if !content.is_sealed() {
            // SAFETY: as the caller promised; hot pages are whole, accessible pages.
            return unsafe { careful_copies::copy_back(region, content, &self.pages) };
        }
        self.since += 1;
        if self.since >= self.interval {
            self.since = 0;
            self.interval = (self.interval * 4).min(INTERVAL_MAX);
            // SAFETY: as the caller promised.
            unsafe { self.retire(region, restored) };
        }
        for page in &self.pages {
            let target = region.address(page.physical, PAGE_BYTES);
            if let Some(source) = page.source {
                // SAFETY: hot pages are whole, accessible pages of the region.
                unsafe { source.copy_to(target) };
            }
        }
        Ok(())
    }

    /// Gives back pages that were unchanged for long.
    unsafe fn retire(&mut self, region: &Region, restored: &mut Restored) {
        let retired = &mut self.retired;
        self.pages.retain_mut(|page| {
            if page.pinned {
                return true;
            }
            let target = region.address(page.physical, PAGE_BYTES);
            // SAFETY: hot pages are whole, accessible pages of the region.
            let unchanged = |source: Source| unsafe { source.equals(target) };
            let unchanged = page.source.is_some_and(unchanged);
            page.idle = if unchanged { page.idle + 1 } else { 0 };
            let keep = page.idle < page.patience;
            if !keep {
                retired.push((page.physical, page.patience));
                region.discard(page.physical, PAGE_BYTES);
                restored.dropped += 1;
            }
            keep
        });
        let surplus = retired.len().saturating_sub(HOT_PAGES_MAX);
        retired.drain(..surplus);
    }

    /// The patience with a page that is hot anew, and whether it was so before.
    fn patience(retired: &mut Vec<(u64, u8)>, physical: u64) -> (u8, bool) {
        match retired.iter().position(|&(page, _)| page == physical) {
            Some(index) => {
                let (_, before) = retired.remove(index);
                (before.saturating_mul(PATIENCE_GROWS), true)
            }
            None => (PATIENCE, false),
        }
    }

    /// Takes note of runs of private pages: those that are new become hot, or are given
    /// back where there are too many.
    ///
    /// # Errors
    /// If the content cannot be read: nothing is known of the memory then.
    pub fn update(
        &mut self,
        region: &Region,
        content: &Content,
        runs: &[Range<u64>],
        restored: &mut Restored,
    ) -> io::Result<()> {
        let old = std::mem::take(&mut self.pages);
        let known = old.iter().filter(|page| page.source.is_some()).count();
        let mut room = HOT_PAGES_MAX.saturating_sub(known);
        let mut old = old.iter().peekable();
        let mut pages = Vec::with_capacity(HOT_PAGES_MAX.min(old.len() + runs.len()));
        let mut grown = false;
        for run in runs {
            let mut dropped: Option<Range<u64>> = None;
            for physical in run.clone().step_by(PAGE_SIZE) {
                // Hot pages that the kernel no longer has as the sandbox's own are gone.
                while old.next_if(|page| page.physical < physical).is_some() {}
                let known = old.next_if(|page| page.physical == physical);
                if let Some(known) = known.filter(|page| page.source.is_some()) {
                    pages.push(*known);
                    continue;
                }
                let copied = content.is_copied(physical);
                let source = if room > 0 || copied {
                    content.source(physical)?
                } else {
                    None
                };
                match source {
                    Some(source) => {
                        let (patience, returned) = Self::patience(&mut self.retired, physical);
                        grown |= !returned;
                        room = room.saturating_sub(1);
                        pages.push(HotPage {
                            physical,
                            source: Some(source),
                            pinned: copied,
                            idle: 0,
                            patience,
                        });
                    }
                    None if copied => return Err(io::Error::other("too many pages to restore")),
                    None => {
                        restored.dropped += 1;
                        match &mut dropped {
                            Some(run) if run.end == physical => run.end += PAGE_BYTES,
                            _ => {
                                discard(region, dropped.take());
                                dropped = Some(physical..physical + PAGE_BYTES);
                            }
                        }
                    }
                }
            }
            discard(region, dropped);
        }
        if grown {
            // Which of the new ones are written to by every call shows soon.
            (self.since, self.interval) = (0, 2);
        }
        self.pages = pages;
        Ok(())
    }

    /// Forgets the pages of a range: it is mapped anew.
    pub fn forget(&mut self, range: &Range<u64>) {
        self.pages.retain(|page| !range.contains(&page.physical));
    }
}

const PAGE_SIZE: usize = super::units::host_size(PAGE_BYTES);

fn discard(region: &Region, run: Option<Range<u64>>) {
    if let Some(run) = run {
        region.discard(run.start, run.end - run.start);
    }
}
