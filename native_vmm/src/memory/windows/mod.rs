//! What the guest may do to its windows: make memory accessible, drop it, map images.
//!
//! A component window is accessible from its first byte up to one border, which only
//! moves by whole requests. This shape, and a bound on images, keep the number of host
//! mappings small whatever the guest asks: they are a resource of the whole process.
//! A transfer window is accessible at all times, so that views of it never fault. The
//! component windows together have a limit of their own besides the capacity of each.
//!
//! | file | subject |
//! |---|---|
//! | `border.rs` | one window: how far it is accessible, large pages |
//! | `check.rs` | what a request asks for, checked; what the guest is told |
//! | `requests.rs` | requests for memory, served |
//! | `images.rs` | requests for parts of the artifact, served |
//! | `saved.rs` | windows of a snapshot, in memory and in files |

mod border;
mod check;
mod images;
mod requests;
mod saved;

use std::io;
use std::ops::Range;

use host_guest_abi::layout::LARGE_PAGE_BYTES;

use super::artifact::Artifact;
use super::plan::{Plan, Window, WindowPlace};
use super::region::{Access, Region};
use super::units::{is_page_aligned, round_to_large_page, round_to_page};
use border::{Change, State};

pub use check::{Answer, Request, answer};
pub use saved::WindowRecord;

/// Images mapped into one window at a time; a linear memory has one.
const IMAGES_MAX: u32 = 8;

/// Holes in a window that was mapped from a snapshot. No runtime of ours makes any.
const HOLES_MAX: u32 = 8;

/// The windows of one sandbox.
#[derive(Debug, Clone)]
pub struct Windows {
    states: Vec<State>,
    /// Guest-physical ranges that images were mapped over, as long as they may be there.
    images: Vec<Range<u64>>,
    /// Most bytes that are accessible in all component windows together.
    total_limit: u64,
}

impl Windows {
    /// Makes the transfer windows of a fresh region accessible, and no other.
    ///
    /// # Errors
    /// The errno of `mprotect`.
    pub fn new(plan: &Plan, region: &Region) -> io::Result<Self> {
        let mut states = Vec::with_capacity(plan.windows.len());
        for (index, window) in plan.windows.iter().enumerate() {
            let accessible = if Plan::is_transfer(index) {
                window.capacity
            } else {
                0
            };
            let mut state = State {
                accessible,
                ..State::NEW
            };
            if accessible > 0 {
                region.protect(window.physical, accessible, Access::ReadWrite)?;
                state.prefer_large_pages(region, window, LARGE_PAGE_BYTES);
            }
            states.push(state);
        }
        Ok(Self {
            states,
            images: Vec::new(),
            total_limit: u64::MAX,
        })
    }

    /// Guest-physical ranges in which accessible pages may show a file.
    pub fn images(&self) -> &[Range<u64>] {
        &self.images
    }

    /// Guest-physical ranges that are accessible, ascending; without the transfer windows.
    pub fn accessible_ranges(&self, plan: &Plan) -> Vec<Range<u64>> {
        let windows = plan.windows.iter().zip(&self.states).enumerate();
        windows
            .filter(|(index, (_, state))| !Plan::is_transfer(*index) && state.accessible > 0)
            .map(|(_, (window, state))| window.physical..window.physical + state.accessible)
            .collect()
    }

    /// Sets the most bytes that may be accessible in all component windows together.
    /// What is accessible already stays.
    pub const fn limit_total(&mut self, bytes: u64) {
        self.total_limit = bytes;
    }

    /// The most bytes that may be accessible in all component windows together.
    pub const fn total_limit(&self) -> u64 {
        self.total_limit
    }

    /// Whether a component window may become accessible up to `end`.
    fn may_grow(&self, index: usize, end: u64) -> bool {
        if end <= self.states[index].accessible {
            return true;
        }
        self.total_without(Some(index)) + end <= self.total_limit
    }

    /// Whether no more is accessible than may be.
    pub fn keep_total(&self) -> bool {
        self.total_without(None) <= self.total_limit
    }

    /// Accessible bytes of all component windows, one perhaps left out.
    fn total_without(&self, left_out: Option<usize>) -> u64 {
        let windows = self.states.iter().enumerate();
        // At most `WINDOWS_MAX` windows of 4 GiB.
        windows
            .filter(|(index, _)| !Plan::is_transfer(*index) && Some(*index) != left_out)
            .map(|(_, state)| state.accessible)
            .sum()
    }

    /// Accessible bytes of a window.
    pub fn accessible(&self, index: usize) -> u64 {
        self.states.get(index).map_or(0, |state| state.accessible)
    }
}
