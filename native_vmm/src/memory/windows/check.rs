//! What a request asks for, checked; and what the guest is told.

use std::io;

use host_guest_abi::exit::{PROTECT_READ, PROTECT_WRITE};

use super::{Access, Plan, WindowPlace, Windows, is_page_aligned};

/// Guest-virtual address, bytes, protection: as the guest asks for them.
pub type Request = (u64, u64, u64);

/// What the guest is told, 0 or an errno, unless its request cannot come from an honest guest.
pub type Answer = Result<i32, &'static str>;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// What an honest guest may ask for, but does not get.
    Errno(i32),
    /// What no honest guest asks for.
    Violation(&'static str),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// How a request ended.
pub type Served = Result<(), Refusal>;

/// What the guest is told of that.
///
/// # Errors
/// A violation.
pub const fn answer(served: Served) -> Answer {
    match served {
        Ok(()) => Ok(0),
        Err(Refusal::Errno(errno)) => Ok(errno),
        Err(Refusal::Violation(reason)) => Err(reason),
    }
}

/// Whole pages that lie in the capacity of one window.
#[derive(Debug, Clone, Copy)]
pub struct Pages {
    pub index: usize,
    /// Distance of the first byte from the window's first usable byte.
    pub offset: u64,
    pub end: u64,
}

impl Pages {
    /// The pages at a guest-virtual address; too many of them an honest guest may ask for.
    pub fn locate(plan: &Plan, address: u64, bytes: u64) -> Result<Self, Refusal> {
        let Some(WindowPlace { index, offset }) = plan.locate(address) else {
            return Err(Refusal::Violation("an address outside of all windows"));
        };
        if !is_page_aligned(address) || !is_page_aligned(bytes) {
            return Err(Refusal::Violation("a range that is not whole pages"));
        }
        let Some(end) = offset.checked_add(bytes) else {
            return Err(Refusal::Violation("a range without an end"));
        };
        if end > plan.windows[index].capacity {
            return Err(Refusal::Errno(libc::ENOMEM));
        }
        Ok(Self { index, offset, end })
    }

    /// Whether they lie in a transfer window, whose border does not move.
    pub const fn are_transfer(&self) -> bool {
        Plan::is_transfer(self.index)
    }
}

impl Windows {
    /// The pages of a request, and what is to become of them: accessible, which they may, or
    /// not. Whether pages that go are the last ones is not checked here.
    pub fn check(
        &self,
        plan: &Plan,
        (address, bytes, protection): Request,
    ) -> Result<(Pages, Access), Refusal> {
        let pages = Pages::locate(plan, address, bytes)?;
        let mut access = access(protection)?;
        if pages.are_transfer() {
            // Accessible at all times, whatever is asked for.
            access = Access::ReadWrite;
        }
        if access == Access::ReadWrite {
            self.check_growth(&pages)?;
        }
        Ok((pages, access))
    }

    /// Refuses pages that would be too many, or would leave a gap behind the border.
    pub fn check_growth(&self, pages: &Pages) -> Served {
        if !pages.are_transfer() && !self.may_grow(pages.index, pages.end) {
            return Err(Refusal::Errno(libc::ENOMEM));
        }
        if pages.offset > self.states[pages.index].accessible {
            return Err(Refusal::Errno(libc::EINVAL));
        }
        Ok(())
    }
}

/// What the protection bits mean; one alone is nothing that we offer.
const fn access(protection: u64) -> Result<Access, Refusal> {
    const READ_WRITE: u64 = PROTECT_READ | PROTECT_WRITE;
    match protection {
        0 => Ok(Access::None),
        READ_WRITE => Ok(Access::ReadWrite),
        PROTECT_READ | PROTECT_WRITE => Err(Refusal::Errno(libc::EINVAL)),
        _ => Err(Refusal::Violation("unknown protection bits")),
    }
}
