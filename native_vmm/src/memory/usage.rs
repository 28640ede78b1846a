//! What memory takes, and giving back what large calls leave behind.

use std::io;
use std::ops::Range;

use host_guest_abi::layout::MAILBOX;

use super::guest_memory::GuestMemory;
use super::snapshot::{TRANSFER_WINDOWS, scan};

/// Bytes of each transfer window that stay when a large call is over: what most calls need
/// would only have to be had again.
const KEPT_BYTES: u64 = 1 << 20;

/// Bytes that a sandbox takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Pages of its own: written to, and not shared with a snapshot or file.
    pub private: u64,
    /// Linear memories of the component, as far as they have grown.
    pub linear: u64,
    /// Guest-physical memory; the kernel's own costs are proportional to it.
    pub slot: u64,
}

impl GuestMemory {
    /// What it takes now.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn usage(&self) -> io::Result<MemoryUsage> {
        let mut usage = MemoryUsage {
            slot: self.region.bytes(),
            ..MemoryUsage::default()
        };
        scan(&self.region, MAILBOX..self.plan.arena_end, &mut |run| {
            usage.private += run.end - run.start;
        })?;
        let linear = self.windows.accessible_ranges(&self.plan);
        usage.linear = linear.iter().map(|range| range.end - range.start).sum();
        Ok(usage)
    }

    /// Gives back what calls have left in the transfer windows, but for the first mebibyte and
    /// for what is before `in_use`, an offset in the export bridge's window. Answers how many
    /// bytes that was.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn trim(&self, in_use: u64) -> io::Result<u64> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (index, window) in self.plan.windows.iter().take(TRANSFER_WINDOWS).enumerate() {
            let kept = if index == 0 {
                KEPT_BYTES
            } else {
                KEPT_BYTES.max(in_use.next_multiple_of(KEPT_BYTES))
            };
            if kept < window.capacity {
                let range = window.physical + kept..window.physical + window.capacity;
                scan(&self.region, range, &mut |run| runs.push(run))?;
            }
        }
        for run in &runs {
            self.region.discard(run.start, run.end - run.start);
        }
        Ok(runs.iter().map(|run| run.end - run.start).sum())
    }
}
