//! Requests of the guest for its windows, served.

use super::check::{Pages, Refusal, Request, Served};
use super::{Access, Change, HOLES_MAX, Plan, Region, State, Windows};

/// Memory that growth backs at once. Under software KVM a page that is then used costs
/// 2.0 µs instead of 4.7, one that is not costs 1.2 for nothing; large pages a tenth.
const POPULATE_MAX_BYTES: u64 = 4 << 20;

impl Windows {
    /// Moves the border outwards, or with no access inwards; bytes inside it stay as they are.
    ///
    /// # Errors
    /// A refusal.
    pub fn protect(&mut self, plan: &Plan, region: &Region, request: Request) -> Served {
        let (pages, access) = self.check(plan, request)?;
        if access == Access::None {
            return self.shrink(plan, region, pages);
        }
        let (window, state) = (plan.windows[pages.index], &mut self.states[pages.index]);
        let old = state.accessible;
        if pages.end <= old {
            return Ok(());
        }
        let physical = window.physical + old;
        region.protect(physical, pages.end - old, Access::ReadWrite)?;
        state.accessible = pages.end;
        if state.change == Change::None {
            state.change = Change::Grown;
        }
        // Growth is asked for to be used; of the first memory much may never be.
        if old == 0 {
            state.prefer_large_pages(region, &window, pages.end);
        } else {
            region.populate(physical, (pages.end - old).min(POPULATE_MAX_BYTES));
        }
        Ok(())
    }

    /// Replaces bytes by zero pages, accessible or not.
    ///
    /// # Errors
    /// A refusal.
    pub fn remap(&mut self, plan: &Plan, region: &Region, request: Request) -> Served {
        let (pages, access) = self.check(plan, request)?;
        if access == Access::None {
            return self.shrink(plan, region, pages);
        }
        let Pages { index, offset, end } = pages;
        let (window, state) = (plan.windows[index], &mut self.states[index]);
        if end == offset {
            return Ok(());
        }
        // A hole in what is mapped from a file would be two mappings more.
        if end < state.accessible {
            if state.images > 0 || state.mapped && state.holes == HOLES_MAX {
                return Err(Refusal::Errno(libc::EINVAL));
            }
            state.holes += u32::from(state.mapped);
        }
        state.remapped();
        state.renew(region, &window, (offset, end), Access::ReadWrite)?;
        state.accessible = state.accessible.max(end);
        Ok(())
    }

    /// Forgets a whole window.
    ///
    /// # Errors
    /// A refusal.
    pub fn release(&mut self, plan: &Plan, region: &Region, index: u64) -> Served {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(window) = plan.windows.get(index) else {
            return Err(Refusal::Violation("no such window"));
        };
        let (whole, state) = ((0, window.capacity), &mut self.states[index]);
        if state.accessible == 0 {
            return Ok(());
        }
        let range = window.physical..window.physical + window.capacity;
        self.images.retain(|image| !range.contains(&image.start));
        state.remapped();
        if Plan::is_transfer(index) {
            state.renew(region, window, whole, Access::ReadWrite)?;
        } else {
            State::NEW.renew(region, window, whole, Access::None)?;
            *state = State {
                change: Change::Remapped,
                ..State::NEW
            };
        }
        Ok(())
    }

    /// Takes the end of a component window away, with what is in it.
    pub fn shrink(&mut self, plan: &Plan, region: &Region, pages: Pages) -> Served {
        let (window, state) = (plan.windows[pages.index], &mut self.states[pages.index]);
        if pages.offset >= state.accessible {
            return Ok(());
        }
        if pages.end < state.accessible {
            return Err(Refusal::Errno(libc::EINVAL));
        }
        let lost = (pages.offset, state.accessible);
        state.remapped();
        state.renew(region, &window, lost, Access::None)?;
        state.accessible = pages.offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use host_guest_abi::exit::{PROTECT_READ, PROTECT_WRITE};
    use host_guest_abi::layout::PAGE_BYTES;

    use super::super::check::{Answer, answer};
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
            let request = (address, bytes, protection);
            answer(self.windows.protect(&self.plan, &self.region, request))
        }

        fn remap(&mut self, window: usize, offset: u64, bytes: u64, protection: u64) -> Answer {
            let address = Plan::window_address(window) + offset;
            let request = (address, bytes, protection);
            answer(self.windows.remap(&self.plan, &self.region, request))
        }

        fn release(&mut self, window: u64) -> Answer {
            answer(self.windows.release(&self.plan, &self.region, window))
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
            answer(windows.protect(&plan, &region, (at(window, 0), bytes, protection)))
        };
        assert_eq!(protect(2, 3 * MIB, BOTH), Ok(0));
        assert_eq!(protect(3, 2 * MIB + PAGE_BYTES, BOTH), Ok(libc::ENOMEM));
        assert_eq!(protect(3, 2 * MIB, BOTH), Ok(0));
        // What is accessible already may be asked for again, and no byte more.
        assert_eq!(protect(2, 3 * MIB, BOTH), Ok(0));
        assert_eq!(protect(2, 3 * MIB + PAGE_BYTES, BOTH), Ok(libc::ENOMEM));
        // Replacing pages by zero pages leads no further.
        let page = (at(2, 3 * MIB), PAGE_BYTES, BOTH);
        let refused = windows.remap(&plan, &region, page);
        assert_eq!(answer(refused), Ok(libc::ENOMEM));
        // Memory that is given back is free for another window; transfer windows do not count.
        assert_eq!(windows.release(&plan, &region, 3), Ok(()));
        assert_eq!(windows.remap(&plan, &region, page), Ok(()));
        assert_eq!(windows.remap(&plan, &region, (at(1, 0), MIB, BOTH)), Ok(()));
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
            let request = (address, bytes, protection);
            let answered = answer(f.windows.protect(&f.plan, &f.region, request));
            let beyond = bytes == u64::MAX - 0xfff && answered == Ok(libc::ENOMEM);
            assert!(
                answered.is_err() || beyond,
                "{offset:#x} {bytes:#x}: {answered:?}"
            );
        }
        assert!(f.release(3).is_err());
        assert!(f.release(u64::MAX).is_err());
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
        assert_eq!(f.release(1), Ok(0));
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
        assert_eq!(f.release(2), Ok(0));
        assert_eq!(f.windows.accessible(2), 0);
        assert_eq!(f.protect(0, MIB, BOTH), Ok(0));
        assert_eq!(f.word(2, MIB - 8).load(Relaxed), 0);
        Ok(())
    }
}
