//! Where RAM, windows and artifact lie in guest-physical space, and what a guest address means.
//!
//! Window i is guest-virtual `WINDOW_BASE + i × WINDOW_STRIDE`; its memory starts
//! `WINDOW_GUARD` later. Physically the windows lie densely behind RAM, each
//! rounded up to a large page. The artifact comes last.

use host_guest_abi::layout::{
    ARENA_END, LARGE_PAGE_BYTES, RAM_MIN_BYTES, WINDOW_BASE, WINDOW_EXPORT_BRIDGE, WINDOW_GUARD,
    WINDOW_STRIDE, WINDOWS_MAX,
};
use host_guest_abi::transfer::WASM_PAGE_BYTES;

use super::units::round_to_large_page;

/// A wasm memory of 32-bit addresses is never larger.
const WINDOW_MAX_BYTES: u64 = 1 << 32;

/// A configuration that cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// RAM too small or of a wrong size.
    #[error(
        "ram_bytes {0:#x} must be a multiple of {LARGE_PAGE_BYTES:#x}, at least {RAM_MIN_BYTES:#x}"
    )]
    Ram(u64),
    /// Too few or too many windows.
    #[error("{0} windows: there must be 2 to {WINDOWS_MAX}")]
    WindowCount(usize),
    /// A window of a wrong size.
    #[error("window {index} has {bytes:#x} bytes: must be a multiple of 64 KiB, at most 4 GiB")]
    Window {
        /// Which.
        index: usize,
        /// Its size.
        bytes: u64,
    },
    /// More than guest-physical space holds.
    #[error("RAM and windows together exceed {ARENA_END:#x} bytes")]
    TooLarge,
}

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Guest-physical address of its first byte.
    pub physical: u64,
    /// Usable bytes.
    pub capacity: u64,
}

/// A place in a window's 8 GiB, not necessarily inside its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlace {
    /// Which window.
    pub index: usize,
    /// Distance from the window's first usable byte.
    pub offset: u64,
}

/// The layout of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of RAM, from guest-physical 0.
    pub ram_bytes: u64,
    /// The windows, behind RAM.
    pub windows: Vec<Window>,
    /// Bytes of RAM and arena together, whole large pages. The artifact follows.
    pub arena_end: u64,
}

impl Plan {
    /// Lays out RAM and windows of the given capacities.
    ///
    /// # Errors
    /// What is out of range.
    pub fn new(ram_bytes: u64, capacities: &[u64]) -> Result<Self, PlanError> {
        if ram_bytes < RAM_MIN_BYTES || !ram_bytes.is_multiple_of(LARGE_PAGE_BYTES) {
            return Err(PlanError::Ram(ram_bytes));
        }
        if capacities.len() < 2 || capacities.len() as u64 > WINDOWS_MAX {
            return Err(PlanError::WindowCount(capacities.len()));
        }
        let mut physical = ram_bytes;
        let mut windows = Vec::with_capacity(capacities.len());
        for (index, &capacity) in capacities.iter().enumerate() {
            if capacity > WINDOW_MAX_BYTES || !capacity.is_multiple_of(WASM_PAGE_BYTES) {
                return Err(PlanError::Window {
                    index,
                    bytes: capacity,
                });
            }
            windows.push(Window { physical, capacity });
            physical = round_to_large_page(capacity)
                .and_then(|bytes| physical.checked_add(bytes))
                .ok_or(PlanError::TooLarge)?;
        }
        if physical > ARENA_END {
            return Err(PlanError::TooLarge);
        }
        Ok(Self {
            ram_bytes,
            windows,
            arena_end: physical,
        })
    }

    /// Guest-virtual address of a window's first usable byte.
    pub const fn window_address(index: usize) -> u64 {
        WINDOW_BASE + index as u64 * WINDOW_STRIDE + WINDOW_GUARD
    }

    /// Whether the window is one of the two transfer windows.
    pub const fn is_transfer(index: usize) -> bool {
        index as u64 <= WINDOW_EXPORT_BRIDGE
    }

    /// Finds the window of a guest-virtual address; `None` in guards and elsewhere.
    pub fn locate(&self, address: u64) -> Option<WindowPlace> {
        let distance = address.checked_sub(WINDOW_BASE)?;
        let index = usize::try_from(distance / WINDOW_STRIDE).ok()?;
        let offset = (distance % WINDOW_STRIDE).checked_sub(WINDOW_GUARD)?;
        (index < self.windows.len()).then_some(WindowPlace { index, offset })
    }

    /// Guest-physical address of `bytes` bytes at a guest-virtual address in RAM or in a
    /// window; `None` if they do not lie in one of them.
    pub fn physical(&self, address: u64, bytes: u64) -> Option<u64> {
        if address < WINDOW_BASE {
            let end = address.checked_add(bytes)?;
            return (end <= self.ram_bytes).then_some(address);
        }
        let place = self.locate(address)?;
        let window = self.windows[place.index];
        let end = place.offset.checked_add(bytes)?;
        (end <= window.capacity).then(|| window.physical + place.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn windows_lie_densely_behind_ram() {
        let plan = Plan::new(64 * MIB, &[0, MIB, 3 * MIB]);
        let windows = |plan: Plan| {
            plan.windows
                .iter()
                .map(|w| w.physical / MIB)
                .collect::<Vec<_>>()
        };
        assert_eq!(plan.map(windows), Ok(vec![64, 64, 66]));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let refused = |ram, windows: &[u64]| Plan::new(ram, windows).err();
        assert_eq!(refused(MIB, &[0, 0]), Some(PlanError::Ram(MIB)));
        assert_eq!(refused(65 * MIB, &[0, 0]), Some(PlanError::Ram(65 * MIB)));
        assert_eq!(refused(64 * MIB, &[0]), Some(PlanError::WindowCount(1)));
        assert_eq!(
            refused(64 * MIB, &[0; 65]),
            Some(PlanError::WindowCount(65))
        );
        let odd = PlanError::Window {
            index: 1,
            bytes: 4096,
        };
        assert_eq!(refused(64 * MIB, &[0, 4096]), Some(odd));
        let huge = PlanError::Window {
            index: 0,
            bytes: u64::MAX,
        };
        assert_eq!(refused(64 * MIB, &[u64::MAX, 0]), Some(huge));
        assert_eq!(
            refused(64 * MIB, &[4096 * MIB; 8]),
            Some(PlanError::TooLarge)
        );
        assert_eq!(
            refused(u64::MAX - (2 * MIB - 1), &[0, 2 * MIB]),
            Some(PlanError::TooLarge)
        );
    }

    #[test]
    fn addresses_are_found_only_inside() -> Result<(), PlanError> {
        let plan = Plan::new(32 * MIB, &[MIB, 2 * MIB])?;
        let export = Plan::window_address(1);
        assert_eq!(plan.physical(export, 2 * MIB), Some(34 * MIB));
        assert_eq!(plan.physical(export + 2 * MIB - 1, 1), Some(36 * MIB - 1));
        assert_eq!(plan.physical(export + 2 * MIB - 1, 2), None);
        assert_eq!(plan.physical(export, u64::MAX), None);
        assert_eq!(plan.physical(export - 1, 1), None);
        assert_eq!(plan.physical(Plan::window_address(2), 1), None);
        assert_eq!(plan.physical(u64::MAX, 1), None);
        assert_eq!(plan.physical(32 * MIB - 8, 8), Some(32 * MIB - 8));
        assert_eq!(plan.physical(32 * MIB - 8, 9), None);
        assert_eq!(plan.physical(32 * MIB, 0), Some(32 * MIB));
        Ok(())
    }
}
