//! Windows of a snapshot: opened in a copy, put back by a restore, written to a file.

use std::ops::Range;
use std::{io, iter};

use host_guest_abi::layout::LARGE_PAGE_BYTES;
use serde::{Deserialize, Serialize};

use super::super::content::Extent;
use super::super::ranges::joined;
use super::{
    Access, Change, IMAGES_MAX, Plan, Region, State, Windows, is_page_aligned, round_to_large_page,
};

/// A window of a snapshot, in a file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRecord {
    accessible: u64,
    images: u32,
    large_from: Option<u64>,
}

impl Windows {
    /// The same windows as those of a new sandbox, whose memory comes from a snapshot.
    ///
    /// Large pages are preferred only where nothing was accessible yet: inside, the kernel
    /// could make memory private on its own account, unseen by a restore.
    #[must_use]
    pub fn of_snapshot(&self) -> Self {
        let mut states = self.states.clone();
        for (index, state) in states.iter_mut().enumerate() {
            state.change = Change::None;
            (state.mapped, state.holes) = (false, 0);
            state.large_from = state
                .large_from
                .filter(|_| !Plan::is_transfer(index))
                .map(|from| from.max(state.accessible.next_multiple_of(LARGE_PAGE_BYTES)));
        }
        Self {
            states,
            images: Vec::new(),
            total_limit: self.total_limit,
        }
    }

    /// Takes note of where sandboxes of a snapshot have its pages mapped.
    #[must_use]
    pub fn mapped_from(mut self, plan: &Plan, extents: &[Extent]) -> Self {
        for (window, state) in plan.windows.iter().zip(&mut self.states) {
            let range = window.physical..window.physical + window.capacity;
            state.mapped = extents.iter().any(|e| range.contains(&e.physical));
        }
        self
    }

    /// What a file has to say of the windows of a snapshot.
    pub fn to_records(&self) -> Vec<WindowRecord> {
        let record = |state: &State| WindowRecord {
            accessible: state.accessible,
            images: state.images,
            large_from: state.large_from,
        };
        self.states.iter().map(record).collect()
    }

    /// The windows that a file speaks of; `None` if there can be no such windows.
    pub fn from_records(plan: &Plan, records: &[WindowRecord]) -> Option<Self> {
        if records.len() != plan.windows.len() {
            return None;
        }
        let mut states = Vec::with_capacity(records.len());
        for (index, (record, window)) in records.iter().zip(&plan.windows).enumerate() {
            let whole = record.accessible == window.capacity;
            let fits = record.accessible <= window.capacity
                && is_page_aligned(record.accessible)
                && record.images <= IMAGES_MAX
                && (whole || !Plan::is_transfer(index));
            if !fits {
                return None;
            }
            states.push(State {
                accessible: record.accessible,
                images: record.images,
                large_from: record.large_from.and_then(round_to_large_page),
                ..State::NEW
            });
        }
        let windows = Self {
            states,
            images: Vec::new(),
            total_limit: u64::MAX,
        };
        Some(windows.of_snapshot())
    }

    /// Opens a fresh region: RAM, and windows as far as they were accessible at the snapshot.
    ///
    /// # Errors
    /// The errno of `mprotect`.
    pub fn open(&self, plan: &Plan, region: &Region) -> io::Result<()> {
        let windows = plan.windows.iter().zip(&self.states);
        let accessible = windows
            .clone()
            .map(|(window, state)| window.physical..window.physical + state.accessible)
            .filter(|range| !range.is_empty());
        let ram = iter::once(0..plan.ram_bytes);
        // Most of them have no gap between them: one system call.
        for range in joined(ram.chain(accessible).collect(), 0) {
            region.protect(range.start, range.end - range.start, Access::ReadWrite)?;
        }
        for (window, state) in windows {
            state.advise(region, window, 0, window.capacity);
        }
        Ok(())
    }

    /// Puts all windows back to what they were at the snapshot, where they differ; calls
    /// `remapped` with the guest-physical range of each that lost its content.
    ///
    /// # Errors
    /// The errno of `mmap`. The windows are in between then.
    pub fn restore(
        &mut self,
        snapshot: &Self,
        plan: &Plan,
        region: &Region,
        mut remapped: impl FnMut(Range<u64>) -> io::Result<()>,
    ) -> io::Result<()> {
        for (index, old) in snapshot.states.iter().enumerate() {
            let (state, window) = (self.states[index], &plan.windows[index]);
            match state.change {
                Change::None => continue,
                Change::Grown => {
                    let lost = (old.accessible, state.accessible);
                    old.renew(region, window, lost, Access::None)?;
                }
                Change::Remapped => {
                    let end = state.accessible.max(old.accessible);
                    // Views of transfer windows never fault, not even now.
                    let access = match Plan::is_transfer(index) {
                        true => Access::ReadWrite,
                        false => Access::None,
                    };
                    old.renew(region, window, (0, end), access)?;
                    if old.accessible > 0 && access == Access::None {
                        region.protect(window.physical, old.accessible, Access::ReadWrite)?;
                    }
                    let range = window.physical..window.physical + window.capacity;
                    self.images.retain(|image| !range.contains(&image.start));
                    remapped(window.physical..window.physical + end)?;
                }
            }
            self.states[index] = *old;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_restore_forgets_the_images_of_what_is_mapped_anew()
    -> Result<(), Box<dyn std::error::Error>> {
        let plan = Plan::new(32 * MIB, &[MIB, MIB, 4 * MIB, 4 * MIB])?;
        let region = Region::reserve(plan.arena_end)?;
        let mut windows = Windows::new(&plan, &region)?;
        let snapshot = windows.of_snapshot();
        let images = [2, 3].map(|index| plan.windows[index].physical);
        windows.states[2].remapped();
        windows
            .images
            .extend(images.map(|start| start..start + MIB));
        windows.restore(&snapshot, &plan, &region, |_| Ok(()))?;
        let left: Vec<_> = windows.images.iter().map(|image| image.start).collect();
        assert_eq!(left, images[1..]);
        Ok(())
    }
}
