//! Ranges of pages, by guest-physical address: arithmetic that knows no memory.

use std::ops::Range;

use host_guest_abi::layout::PAGE_BYTES;

use super::units::host_size;

/// More mappings than this per snapshot are not made: pages between them are stored instead.
pub const MAPPED_EXTENTS_MAX: usize = 128;
/// Pages without content between two extents that are stored to save a mapping.
const GAP_PAGES: u64 = 16;

/// The pages of a run.
pub fn pages_of(run: Range<u64>) -> impl Iterator<Item = u64> {
    run.step_by(host_size(PAGE_BYTES))
}

/// Neighbouring pages as runs; `pages` ascend.
pub fn runs(pages: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += PAGE_BYTES,
            _ => runs.push(page..page + PAGE_BYTES),
        }
    }
    runs
}

/// The parts of a run that are in none of these ranges, which ascend.
pub fn without(run: Range<u64>, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let first = ranges.partition_point(|range| range.end <= run.start);
    let (mut start, mut parts) = (run.start, Vec::new());
    for range in ranges[first..].iter().take_while(|r| r.start < run.end) {
        parts.push(start..range.start);
        start = range.end;
    }
    parts.push(start..run.end);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Sorts and joins ranges, also those with gaps of so many bytes between them.
pub fn joined(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Sorts and joins ranges, also those with small gaps; the gaps grow until there are few.
pub fn coalesce(pages: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut gap = GAP_PAGES * PAGE_BYTES;
    let mut few = joined(pages, gap);
    while few.len() > MAPPED_EXTENTS_MAX {
        gap *= 4;
        few = joined(few, gap);
    }
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(ranges: Vec<Range<u64>>) -> Vec<(u64, u64)> {
        ranges.into_iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn neighbours_are_one_run() {
        let pages = [0x1000, 0x2000, 0x5000].into_iter();
        assert_eq!(ends(runs(pages)), [(0x1000, 0x3000), (0x5000, 0x6000)]);
    }

    #[test]
    fn ranges_are_taken_out_of_a_run() {
        let ranges = [0..2, 4..6, 6..7, 9..20];
        for (run, left) in [
            (2..4, vec![(2, 4)]),
            (1..10, vec![(2, 4), (7, 9)]),
            (4..7, vec![]),
            (5..25, vec![(7, 9), (20, 25)]),
            (20..21, vec![(20, 21)]),
        ] {
            assert_eq!(ends(without(run.clone(), &ranges)), left, "{run:?}");
        }
        assert_eq!(ends(without(1..3, &[])), [(1, 3)]);
    }

    #[test]
    fn ranges_are_joined_in_order() {
        assert_eq!(ends(joined(vec![5..6, 1..3, 2..5], 0)), [(1, 6)]);
        let apart = vec![10..11, 2..3, 1..9];
        assert_eq!(ends(joined(apart.clone(), 0)), [(1, 9), (10, 11)]);
        assert_eq!(ends(joined(apart, 1)), [(1, 11)]);
    }

    #[test]
    fn there_are_never_more_than_may_be_mapped() {
        let scattered = (0..100_000).map(|number| number * 100 * PAGE_BYTES);
        let ranges: Vec<_> = scattered.map(|start| start..start + PAGE_BYTES).collect();
        let last = ranges[ranges.len() - 1].clone();
        let few = coalesce(ranges);
        assert!(few.len() <= MAPPED_EXTENTS_MAX, "{}", few.len());
        assert_eq!((few[0].start, few[few.len() - 1].end), (0, last.end));
    }
}
