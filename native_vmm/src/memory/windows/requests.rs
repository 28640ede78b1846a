//! Requests of the guest for its windows, checked and served.

use std::io;

use host_guest_abi::exit::{PROTECT_READ, PROTECT_WRITE};
use host_guest_abi::layout::{ARTIFACT, PAGE_BYTES};

use super::{
    Access, Artifact, Change, IMAGES_MAX, Plan, Region, State, WindowPlace, Windows,
    is_page_aligned, round_to_page,
};

/// Memory that growth backs at once. Under software KVM a page that is then used costs
/// 2.0 µs instead of 4.7, one that is not costs 1.2 for nothing; large pages a tenth.
const POPULATE_MAX_BYTES: u64 = 4 << 20;

/// What the guest is told, 0 or an errno, unless its request cannot come from an honest guest.
pub type Answer = Result<i32, &'static str>;

impl Windows {
    /// Moves the border outwards, or with no access inwards; bytes inside it stay as they are.
    ///
    /// # Errors
    /// A violation.
    pub fn protect(
        &mut self,
        plan: &Plan,
        region: &Region,
        (address, bytes, protection): (u64, u64, u64),
    ) -> Answer {
        let Some((place, end)) = range(plan, address, bytes)? else {
            return Ok(libc::ENOMEM);
        };
        let Some(access) = access(protection)? else {
            return Ok(libc::EINVAL);
        };
        let WindowPlace { index, offset } = place;
        if Plan::is_transfer(index) {
            return Ok(0);
        }
        if access == Access::None {
            return self.shrink(plan, region, place, end);
        }
        if !self.may_grow(index, end) {
            return Ok(libc::ENOMEM);
        }
        let (window, state) = (plan.windows[index], &mut self.states[index]);
        if offset > state.accessible {
            return Ok(libc::EINVAL);
        }
        let old = state.accessible;
        if end > old {
            let physical = window.physical + old;
            if let Err(error) = region.protect(physical, end - old, access) {
                return Ok(errno(&error));
            }
            state.accessible = end;
            if state.change == Change::None {
                state.change = Change::Grown;
            }
            // Growth is asked for to be used; of the first memory much may never be.
            if old == 0 {
                state.prefer_large_pages(region, &window, end);
            } else {
                region.populate(physical, (end - old).min(POPULATE_MAX_BYTES));
            }
        }
        Ok(0)
    }

    /// Replaces bytes by zero pages, accessible or not.
    ///
    /// # Errors
    /// A violation.
    pub fn remap(
        &mut self,
        plan: &Plan,
        region: &Region,
        (address, bytes, protection): (u64, u64, u64),
    ) -> Answer {
        let Some((place, end)) = range(plan, address, bytes)? else {
            return Ok(libc::ENOMEM);
        };
        let Some(access) = access(protection)? else {
            return Ok(libc::EINVAL);
        };
        let WindowPlace { index, offset } = place;
        if access == Access::None && !Plan::is_transfer(index) {
            return self.shrink(plan, region, place, end);
        }
        if !Plan::is_transfer(index) && !self.may_grow(index, end) {
            return Ok(libc::ENOMEM);
        }
        let (window, state) = (plan.windows[index], &mut self.states[index]);
        if offset > state.accessible {
            return Ok(libc::EINVAL);
        }
        if end == offset {
            return Ok(0);
        }
        // A hole in an image would be a mapping more.
        if state.images > 0 && end < state.accessible {
            return Ok(libc::EINVAL);
        }
        state.remapped();
        match state.renew(region, &window, (offset, end), Access::ReadWrite) {
            Ok(()) => state.accessible = state.accessible.max(end),
            Err(error) => return Ok(errno(&error)),
        }
        Ok(0)
    }

    /// Forgets a whole window.
    ///
    /// # Errors
    /// A violation.
    pub fn release(&mut self, plan: &Plan, region: &Region, index: u64) -> Answer {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(window) = plan.windows.get(index) else {
            return Err("no such window");
        };
        let (whole, state) = ((0, window.capacity), &mut self.states[index]);
        if state.accessible == 0 {
            return Ok(0);
        }
        let range = window.physical..window.physical + window.capacity;
        self.images.retain(|image| !range.contains(&image.start));
        state.remapped();
        let renewed = if Plan::is_transfer(index) {
            state.renew(region, window, whole, Access::ReadWrite)
        } else {
            let renewed = State::NEW.renew(region, window, whole, Access::None);
            renewed.map(|()| {
                *state = State {
                    change: Change::Remapped,
                    ..State::NEW
                };
            })
        };
        Ok(renewed.map_or_else(|error| errno(&error), |()| 0))
    }

    /// Maps artifact bytes copy-on-write over a component window.
    ///
    /// # Errors
    /// A violation.
    pub fn image(
        &mut self,
        plan: &Plan,
        region: &Region,
        artifact: Option<&Artifact>,
        (source, address, bytes): (u64, u64, u64),
    ) -> Answer {
        let Some(artifact) = artifact else {
            return Err("an image without an artifact");
        };
        let position = source
            .checked_sub(ARTIFACT)
            .filter(|&position| is_page_aligned(position));
        let Some(position) = position else {
            return Err("an image of no artifact page");
        };
        if position
            .checked_add(bytes)
            .is_none_or(|end| end > artifact.bytes())
        {
            return Err("an image beyond the artifact");
        }
        let padded = round_to_page(bytes).ok_or("an image beyond the artifact")?;
        let Some((WindowPlace { index, offset }, end)) = range(plan, address, padded)? else {
            return Ok(libc::ENOMEM);
        };
        if Plan::is_transfer(index) {
            return Err("an image in a transfer window");
        }
        if !self.may_grow(index, end) {
            return Ok(libc::ENOMEM);
        }
        let (window, state) = (plan.windows[index], &mut self.states[index]);
        if offset > state.accessible {
            return Ok(libc::EINVAL);
        }
        if state.images == IMAGES_MAX {
            return Ok(libc::ENOMEM);
        }
        state.images += 1;
        state.remapped();
        let start = window.physical + offset;
        self.images.push(start..start + padded);
        let mapped = map_image(region, artifact, window.physical + offset, position, bytes);
        state.accessible = state.accessible.max(end);
        match mapped {
            Ok(()) => Ok(0),
            // Somebody has cut the file off. What was mapped of it must go.
            Err(error) => {
                let place = WindowPlace { index, offset };
                let accessible = state.accessible;
                let _ = self.shrink(plan, region, place, accessible)?;
                Ok(errno(&error))
            }
        }
    }

    /// Takes the end of a component window away, with what is in it.
    fn shrink(&mut self, plan: &Plan, region: &Region, place: WindowPlace, end: u64) -> Answer {
        let (window, state) = (plan.windows[place.index], &mut self.states[place.index]);
        if place.offset >= state.accessible {
            return Ok(0);
        }
        if end < state.accessible {
            return Ok(libc::EINVAL);
        }
        let lost = (place.offset, state.accessible);
        state.remapped();
        match state.renew(region, &window, lost, Access::None) {
            Ok(()) => state.accessible = place.offset,
            Err(error) => return Ok(errno(&error)),
        }
        Ok(0)
    }
}

/// Whole pages become a mapping of the file; what is left is copied into a zero page.
fn map_image(
    region: &Region,
    artifact: &Artifact,
    physical: u64,
    position: u64,
    bytes: u64,
) -> io::Result<()> {
    let rest = bytes % PAGE_BYTES;
    let whole = bytes - rest;
    if whole > 0 {
        region.overlay(
            physical,
            whole,
            Access::ReadWrite,
            (artifact.file(), position),
        )?;
    }
    if rest > 0 {
        region.renew(physical + whole, PAGE_BYTES, Access::ReadWrite)?;
        region.read_file(physical + whole, rest, artifact.file(), position + whole)?;
    }
    Ok(())
}

/// The place of whole pages of a window and the offset of their end; `None` if they do
/// not fit its capacity, which an honest guest may ask for.
fn range(
    plan: &Plan,
    address: u64,
    bytes: u64,
) -> Result<Option<(WindowPlace, u64)>, &'static str> {
    let Some(place) = plan.locate(address) else {
        return Err("an address outside of all windows");
    };
    if !is_page_aligned(address) || !is_page_aligned(bytes) {
        return Err("a range that is not whole pages");
    }
    let Some(end) = place.offset.checked_add(bytes) else {
        return Err("a range without an end");
    };
    Ok((end <= plan.windows[place.index].capacity).then_some((place, end)))
}

/// What the protection bits mean; `None` for one that we do not offer.
fn access(protection: u64) -> Result<Option<Access>, &'static str> {
    const READ_WRITE: u64 = PROTECT_READ | PROTECT_WRITE;
    match protection {
        0 => Ok(Some(Access::None)),
        READ_WRITE => Ok(Some(Access::ReadWrite)),
        PROTECT_READ | PROTECT_WRITE => Ok(None),
        _ => Err("unknown protection bits"),
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const BOTH: u64 = PROTECT_READ | PROTECT_WRITE;

    struct Fixture {
        plan: Plan,
        region: Region,
        windows: Windows,
    }

    impl Fixture {
        fn new() -> Result<Self, Box<dyn std::error::Error>> {
            let plan = Plan::new(32 * MIB, &[MIB, MIB, 4 * MIB])?;
            let region = Region::reserve(plan.arena_end)?;
            let windows = Windows::new(&plan, &region)?;
            Ok(Self {
                plan,
                region,
                windows,
            })
        }

        fn protect(&mut self, offset: u64, bytes: u64, protection: u64) -> Answer {
            let address = Plan::window_address(2) + offset;
            self.windows
                .protect(&self.plan, &self.region, (address, bytes, protection))
        }

        fn remap(&mut self, window: usize, offset: u64, bytes: u64, protection: u64) -> Answer {
            let address = Plan::window_address(window) + offset;
            self.windows
                .remap(&self.plan, &self.region, (address, bytes, protection))
        }

        fn word(&self, window: usize, offset: u64) -> &std::sync::atomic::AtomicU64 {
            self.region
                .word(self.plan.windows[window].physical + offset)
        }
    }

    #[test]
    fn the_border_moves_only_without_gaps() -> Result<(), Box<dyn std::error::Error>> {
        let mut f = Fixture::new()?;
        assert_eq!(f.protect(PAGE_BYTES, PAGE_BYTES, BOTH), Ok(libc::EINVAL));
        assert_eq!(f.protect(0, MIB, BOTH), Ok(0));
        assert_eq!(f.protect(MIB, MIB, BOTH), Ok(0));
        assert_eq!(f.windows.accessible(2), 2 * MIB);
        assert_eq!(f.protect(4 * MIB, PAGE_BYTES, BOTH), Ok(libc::ENOMEM));
        assert_eq!(
            f.protect(2 * MIB, 2 * MIB + PAGE_BYTES, BOTH),
            Ok(libc::ENOMEM)
        );
        assert_eq!(f.protect(0, PAGE_BYTES, 0), Ok(libc::EINVAL));
        assert_eq!(f.protect(MIB, 3 * MIB, 0), Ok(0));
        assert_eq!(f.windows.accessible(2), MIB);
        Ok(())
    }

    #[test]
    fn component_windows_have_a_limit_together() -> Result<(), Box<dyn std::error::Error>> {
        let plan = Plan::new(32 * MIB, &[MIB, MIB, 4 * MIB, 4 * MIB])?;
        let region = Region::reserve(plan.arena_end)?;
        let mut windows = Windows::new(&plan, &region)?;
        windows.limit_total(5 * MIB);
        let at = |window, offset| Plan::window_address(window) + offset;
        let mut protect = |window, bytes, protection| {
            windows.protect(&plan, &region, (at(window, 0), bytes, protection))
        };
        assert_eq!(protect(2, 3 * MIB, BOTH), Ok(0));
        assert_eq!(protect(3, 2 * MIB + PAGE_BYTES, BOTH), Ok(libc::ENOMEM));
        assert_eq!(protect(3, 2 * MIB, BOTH), Ok(0));
        // What is accessible already may be asked for again, and no byte more.
        assert_eq!(protect(2, 3 * MIB, BOTH), Ok(0));
        assert_eq!(protect(2, 3 * MIB + PAGE_BYTES, BOTH), Ok(libc::ENOMEM));
        // Replacing pages by zero pages leads no further.
        let page = (at(2, 3 * MIB), PAGE_BYTES, BOTH);
        assert_eq!(windows.remap(&plan, &region, page), Ok(libc::ENOMEM));
        // Memory that is given back is free for another window; transfer windows do not count.
        assert_eq!(windows.release(&plan, &region, 3), Ok(0));
        assert_eq!(windows.remap(&plan, &region, page), Ok(0));
        assert_eq!(windows.remap(&plan, &region, (at(1, 0), MIB, BOTH)), Ok(0));
        assert_eq!(windows.accessible(2), 3 * MIB + PAGE_BYTES);
        Ok(())
    }

    #[test]
    fn violations_are_told_from_refusals() -> Result<(), Box<dyn std::error::Error>> {
        let mut f = Fixture::new()?;
        for (offset, bytes, protection) in [
            (1, PAGE_BYTES, BOTH),
            (0, 1, BOTH),
            (0, u64::MAX - 0xfff, BOTH),
            (0, PAGE_BYTES, 4),
            (u64::MAX - Plan::window_address(2) - 0xfff, PAGE_BYTES, BOTH),
            (0_u64.wrapping_sub(PAGE_BYTES), PAGE_BYTES, BOTH),
        ] {
            let address = Plan::window_address(2).wrapping_add(offset);
            let answer = f
                .windows
                .protect(&f.plan, &f.region, (address, bytes, protection));
            let beyond = bytes == u64::MAX - 0xfff && answer == Ok(libc::ENOMEM);
            assert!(
                answer.is_err() || beyond,
                "{offset:#x} {bytes:#x}: {answer:?}"
            );
        }
        assert!(f.windows.release(&f.plan, &f.region, 3).is_err());
        assert!(f.windows.release(&f.plan, &f.region, u64::MAX).is_err());
        Ok(())
    }

    #[test]
    fn transfer_windows_stay_accessible() -> Result<(), Box<dyn std::error::Error>> {
        use std::sync::atomic::Ordering::Relaxed;
        let mut f = Fixture::new()?;
        f.word(1, 8).store(7, Relaxed);
        assert_eq!(f.remap(1, 0, MIB, 0), Ok(0));
        assert_eq!(f.word(1, 8).load(Relaxed), 0);
        f.word(1, 8).store(7, Relaxed);
        assert_eq!(f.windows.release(&f.plan, &f.region, 1), Ok(0));
        assert_eq!(f.word(1, 8).load(Relaxed), 0);
        assert_eq!(f.windows.accessible(1), MIB);
        Ok(())
    }

    #[test]
    fn released_memory_comes_back_as_zeros() -> Result<(), Box<dyn std::error::Error>> {
        use std::sync::atomic::Ordering::Relaxed;
        let mut f = Fixture::new()?;
        assert_eq!(f.protect(0, MIB, BOTH), Ok(0));
        f.word(2, MIB - 8).store(7, Relaxed);
        assert_eq!(f.windows.release(&f.plan, &f.region, 2), Ok(0));
        assert_eq!(f.windows.accessible(2), 0);
        assert_eq!(f.protect(0, MIB, BOTH), Ok(0));
        assert_eq!(f.word(2, MIB - 8).load(Relaxed), 0);
        Ok(())
    }
}
