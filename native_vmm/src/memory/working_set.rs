//! The pages that sandboxes made from a snapshot write to, as far as it is known.
//!
//! A new sandbox starts with them: having one copied with its neighbours at once costs less
//! than a fault in the guest for it. They are learned from sandboxes that are put back to the
//! snapshot, which know them exactly, and from those that are freed. One of these may have
//! been used in another way than most, so that what counts is what two in a row have written
//! to. A guest can make a sandbox to come start with pages that it does not need, up to
//! [`HOT_PAGES_MAX`]; nothing else depends on what it does here.

use std::sync::{Arc, Mutex};

use super::hot_pages::{HOT_PAGES_MAX, HotPage};
use crate::fork;

/// What is known of one snapshot. Any thread may use it.
#[derive(Default)]
pub struct WorkingSet {
    pages: Mutex<Arc<[HotPage]>>,
    /// What the last sandbox that was freed had written to, where there was one.
    freed: Mutex<Option<Vec<u64>>>,
}

impl WorkingSet {
    /// Of which only addresses are known.
    pub fn of_addresses(pages: impl Iterator<Item = u64>) -> Self {
        Self {
            pages: Mutex::new(pages.map(HotPage::expected).collect()),
            freed: Mutex::new(None),
        }
    }

    /// The pages, ascending.
    pub fn pages(&self) -> Arc<[HotPage]> {
        Arc::clone(&fork::lock(&self.pages))
    }

    /// Replaces them by those of a sandbox that was put back.
    pub fn set(&self, pages: impl Iterator<Item = HotPage>) {
        *fork::lock(&self.pages) = pages.collect();
    }

    /// Takes note of the pages, ascending, of a sandbox that is freed. Returns whether it is not
    /// the first one.
    pub fn learn_from_freed(&self, pages: Vec<u64>) -> bool {
        let mut freed = fork::lock(&self.freed);
        let common = |page: &&u64| {
            let before = freed.as_ref();
            before.is_none_or(|before| before.binary_search(page).is_ok())
        };
        let expected: Vec<u64> = pages.iter().filter(common).copied().collect();
        // So many are no habit of short requests, and copying them costs more than faults do.
        if expected.len() <= HOT_PAGES_MAX {
            self.set(expected.into_iter().map(HotPage::expected));
        }
        freed.replace(pages).is_some()
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
        set.learn_from_freed(vec![1, 2, 3, 9]);
        assert_eq!(addresses(&set), [1, 2, 3, 9]);
        set.learn_from_freed(vec![2, 3, 4]);
        assert_eq!(addresses(&set), [2, 3]);
        set.learn_from_freed(vec![3, 4]);
        assert_eq!(addresses(&set), [3, 4]);
    }

    #[test]
    fn a_sandbox_that_wrote_everywhere_teaches_nothing() {
        let set = WorkingSet::of_addresses([7].into_iter());
        let many: Vec<u64> = (0..=HOT_PAGES_MAX as u64).collect();
        set.learn_from_freed(many);
        assert_eq!(addresses(&set), [7]);
        set.learn_from_freed(vec![5, 6]);
        assert_eq!(addresses(&set), [5, 6]);
    }
}
