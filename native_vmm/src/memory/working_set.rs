//! The pages that sandboxes made from a snapshot write to, as far as it is known.
//!
//! A new sandbox starts with them: having one copied with its neighbours at once costs less
//! than a fault in the guest for it. They are learned from sandboxes that are put back to the
//! snapshot, which know them exactly, and from those that are freed. One of these may have
//! been used in another way than most, so that what counts is what two in a row have written
//! to. A guest can make a sandbox to come start with pages that it does not need, up to
//! [`HOT_PAGES_MAX`]; nothing else depends on what it does here.
//!
//! Some pages need not be learned: see [`always`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use host_guest_abi::layout::{HOT_CODE_BYTES, IMAGE, PAGE_BYTES};

use super::content::Extent;
use super::hot_pages::{HOT_PAGES_MAX, HotPage};
use super::ranges::pages_of;
use crate::fork;

/// The runtime's stack and heap are taken as a whole up to this size.
const SMALL_BYTES: u64 = 32 * PAGE_BYTES;

/// Pages that each sandbox starts with, ascending: those that every call touches, be it only to
/// read. Where all eight pages around a fault are the sandbox's own, KVM maps them at once; a
/// page of the snapshot's file, which it could only map for reading, costs a fault each time.
///
/// That is the runtime's hot code, and what it has on stack and heap where that is little.
pub fn always(extents: &[Extent], ram_bytes: u64) -> Vec<u64> {
    let code = IMAGE..IMAGE + HOT_CODE_BYTES;
    let ranges = extents.iter().map(|e| e.physical..e.physical + e.bytes);
    let mut pages = Vec::new();
    if ranges
        .clone()
        .any(|own| own.start <= code.start && code.end <= own.end)
    {
        pages.extend(pages_of(code.clone()));
    }
    let data = ranges.filter(|own| own.start >= code.end && own.end <= ram_bytes);
    if data.clone().map(|own| own.end - own.start).sum::<u64>() <= SMALL_BYTES {
        pages.extend(data.flat_map(pages_of));
    }
    pages
}

/// What was learned of sandboxes that were freed.
#[derive(Default)]
struct Freed {
    /// What the last one had written to, where there was one.
    last: Option<Vec<u64>>,
    /// How many in a row have left a page as they had it from the start.
    idle: HashMap<u64, u32>,
}

/// So many sandboxes in a row may leave a page as it was: some are written to with what they
/// hold already, as by counting references up and down.
const PATIENCE: u32 = 16;

/// What is known of one snapshot. Any thread may use it.
#[derive(Default)]
pub struct WorkingSet {
    always: Vec<u64>,
    pages: Mutex<Arc<[HotPage]>>,
    freed: Mutex<Freed>,
}

impl WorkingSet {
    /// Of pages that are in it in any case, ascending; others are learned.
    pub fn new(always: Vec<u64>) -> Self {
        let set = Self {
            always,
            ..Self::default()
        };
        set.set(std::iter::empty());
        set
    }

    /// The pages, ascending.
    pub fn pages(&self) -> Arc<[HotPage]> {
        Arc::clone(&fork::lock(&self.pages))
    }

    /// Replaces those that were learned, by others that ascend.
    pub fn set(&self, learned: impl Iterator<Item = HotPage>) {
        // More are given back at once.
        let room = HOT_PAGES_MAX.saturating_sub(self.always.len());
        let mut learned = learned.take(room).peekable();
        let mut pages = Vec::new();
        for &physical in &self.always {
            while let Some(page) = learned.next_if(|page| page.physical < physical) {
                pages.push(page);
            }
            let known = learned.next_if(|page| page.physical == physical);
            pages.push(known.unwrap_or_else(|| HotPage::expected(physical)));
        }
        pages.extend(learned);
        *fork::lock(&self.pages) = pages.into();
    }

    /// Takes note of a sandbox that is freed: of the pages, ascending, that are its own, and of
    /// those among them that are as it had them from the start.
    pub fn learn_from_freed(&self, mut pages: Vec<u64>, unchanged: &[u64]) {
        // One lock after the other; see `fork::lock`.
        let before = {
            let mut freed = fork::lock(&self.freed);
            let mut idle: HashMap<u64, u32> = unchanged
                .iter()
                .map(|page| (*page, freed.idle.get(page).map_or(1, |times| times + 1)))
                .collect();
            pages.retain(|page| idle.get(page).is_none_or(|times| *times <= PATIENCE));
            idle.retain(|_, times| *times <= PATIENCE);
            freed.idle = idle;
            freed.last.replace(pages.clone())
        };
        let common = |page: &u64| {
            let before = before.as_ref();
            before.is_none_or(|before| before.binary_search(page).is_ok())
        };
        let expected: Vec<u64> = pages.into_iter().filter(common).collect();
        // So many are no habit of short requests, and copying them costs more than faults do.
        if expected.len() <= HOT_PAGES_MAX {
            self.set(expected.into_iter().map(HotPage::expected));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(set: &WorkingSet) -> Vec<u64> {
        set.pages().iter().map(|page| page.physical).collect()
    }

    #[test]
    fn two_in_a_row_decide() {
        let set = WorkingSet::default();
        set.learn_from_freed(vec![1, 2, 3, 9], &[]);
        assert_eq!(addresses(&set), [1, 2, 3, 9]);
        set.learn_from_freed(vec![2, 3, 4], &[]);
        assert_eq!(addresses(&set), [2, 3]);
        set.learn_from_freed(vec![3, 4], &[]);
        assert_eq!(addresses(&set), [3, 4]);
    }

    #[test]
    fn what_nobody_has_changed_for_long_is_given_up() {
        let set = WorkingSet::default();
        set.learn_from_freed(vec![1, 2], &[]);
        set.learn_from_freed(vec![1, 2], &[]);
        for _ in 0..PATIENCE {
            set.learn_from_freed(vec![1, 2], &[2]);
            assert_eq!(addresses(&set), [1, 2]);
        }
        set.learn_from_freed(vec![1, 2], &[2]);
        assert_eq!(addresses(&set), [1]);
        // By one that changes it the count begins anew.
        set.learn_from_freed(vec![1, 3], &[1]);
        set.learn_from_freed(vec![1, 3], &[]);
        assert_eq!(addresses(&set), [1, 3]);
    }

    #[test]
    fn some_are_always_in_it() {
        let set = WorkingSet::new(vec![2, 5]);
        assert_eq!(addresses(&set), [2, 5]);
        set.set([1, 5, 7].into_iter().map(HotPage::expected));
        assert_eq!(addresses(&set), [1, 2, 5, 7]);
        set.learn_from_freed(vec![3], &[]);
        assert_eq!(addresses(&set), [2, 3, 5]);
    }

    #[test]
    fn hot_code_and_small_heaps_need_not_be_learned() {
        let ram = IMAGE + (1 << 20);
        let extent = |physical, pages| Extent {
            physical,
            bytes: pages * PAGE_BYTES,
            position: 0,
        };
        let code = HOT_CODE_BYTES / PAGE_BYTES;
        let (image, heap) = (extent(IMAGE, 100), IMAGE + 200 * PAGE_BYTES);
        let small = always(&[image, extent(heap, 20), extent(ram, 3)], ram);
        assert_eq!(small.len() as u64, code + 20);
        assert_eq!(small[small.len() - 1], heap + 19 * PAGE_BYTES);
        let large = always(&[image, extent(heap, 33), extent(ram, 3)], ram);
        assert_eq!(large.len() as u64, code);
        assert!(always(&[extent(IMAGE, code - 1)], ram).is_empty());
    }

    #[test]
    fn a_sandbox_that_wrote_everywhere_teaches_nothing() {
        let set = WorkingSet::default();
        set.set([7].into_iter().map(HotPage::expected));
        let many: Vec<u64> = (0..=HOT_PAGES_MAX as u64).collect();
        set.learn_from_freed(many, &[]);
        assert_eq!(addresses(&set), [7]);
        set.learn_from_freed(vec![5, 6], &[]);
        assert_eq!(addresses(&set), [5, 6]);
    }
}
