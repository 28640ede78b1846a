//! What a request asks for, checked; and what the guest is told.

use std::io;

use host_guest_abi::exit::{PROTECT_READ, PROTECT_WRITE};

use super::{Access, Plan, WindowPlace, Windows, is_page_aligned};

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

/// What the guest is told of a request that was served or refused.
///
/// # Errors
/// A violation.
pub const fn answer(served: Result<(), Refusal>) -> Answer {
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

/// What pages are to become.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    /// Readable and writable; they may be.
    Accessible(Pages),
    /// Taken away.
    Gone(Pages),
}

impl Windows {
    /// What a request of address, bytes and protection wants; all of it is checked but
    /// whether pages that go are the last ones.
    pub fn check(
        &self,
        plan: &Plan,
        (address, bytes, protection): (u64, u64, u64),
    ) -> Result<Wish, Refusal> {
        let pages = Pages::locate(plan, address, bytes)?;
        // A transfer window is accessible at all times, whatever is asked for.
        if access(protection)? == Access::None && !pages.are_transfer() {
            return Ok(Wish::Gone(pages));
        }
        self.check_growth(&pages)?;
        Ok(Wish::Accessible(pages))
    }

    /// Refuses pages that would be too many, or would leave a gap behind the border.
    pub fn check_growth(&self, pages: &Pages) -> Result<(), Refusal> {
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
