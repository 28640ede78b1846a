//! All memory of one sandbox, prepared for a guest that is about to start.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use host_guest_abi::layout::BOOT_INFO;
use host_guest_abi::mailbox::{BOOT_RAM_BYTES, BOOT_WINDOW_BYTES, BOOT_WINDOW_COUNT};

use super::snapshot::Base;
use super::windows::{Request, answer};
use super::{Access, Answer, Artifact, Plan, Region, Windows};
use crate::arch::x86_64::page_tables::TablesFull;
use crate::arch::x86_64::{descriptors, page_tables, stubs};
use crate::loader::GuestImage;

/// Why memory cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The kernel refused.
    #[error("guest memory cannot be mapped: {0}")]
    Map(#[from] io::Error),
    /// The configuration is too large.
    #[error(transparent)]
    Tables(#[from] TablesFull),
}

/// RAM, arena and artifact.
pub struct GuestMemory {
    /// RAM, arena and artifact, by guest-physical address. One region, because the
    /// hypervisor then needs one slot: each costs it memory and a wait for all CPUs.
    pub region: Region,
    /// Where what lies.
    pub plan: Plan,
    pub(super) artifact: Option<Arc<Artifact>>,
    pub(super) windows: Windows,
    /// The snapshot that it was made from, if it was.
    pub(super) base: Option<Base>,
}

impl GuestMemory {
    /// Makes memory and writes into it what the guest finds when it starts: its image,
    /// page tables, descriptors and boot info.
    ///
    /// # Errors
    /// See [`MemoryError`].
    pub fn new(
        plan: Plan,
        image: &GuestImage,
        artifact: Option<Artifact>,
    ) -> Result<Self, MemoryError> {
        let artifact_bytes = artifact.as_ref().map_or(0, Artifact::page_bytes);
        let region = Region::reserve(plan.arena_end + artifact_bytes)?;
        region.protect(0, plan.ram_bytes, Access::ReadWrite)?;
        if let Some(artifact) = &artifact {
            let file = (artifact.file(), 0);
            region.overlay(plan.arena_end, artifact_bytes, Access::Read, file)?;
        }
        let windows = Windows::new(&plan, &region)?;
        write_system(&region, &plan, image, artifact.as_ref())?;
        image.map(&region)?;
        Ok(Self {
            region,
            plan,
            artifact: artifact.map(Arc::new),
            windows,
            base: None,
        })
    }

    /// Host address and size of a transfer window.
    pub fn transfer_window(&self, index: usize) -> Option<(*mut u8, u64)> {
        let window = self
            .plan
            .windows
            .get(index)
            .filter(|_| Plan::is_transfer(index))?;
        Some((
            self.region.address(window.physical, window.capacity),
            window.capacity,
        ))
    }

    /// Accessible bytes of any window.
    pub fn accessible(&self, index: usize) -> u64 {
        self.windows.accessible(index)
    }

    /// Sets the most bytes of all component windows together.
    pub const fn limit_total(&mut self, bytes: u64) {
        self.windows.limit_total(bytes);
    }

    /// The most bytes of all component windows together.
    pub const fn total_limit(&self) -> u64 {
        self.windows.total_limit()
    }

    /// Makes window bytes accessible: (address, bytes, protection).
    ///
    /// # Errors
    /// A violation.
    pub fn protect(&mut self, request: Request) -> Answer {
        answer(self.windows.protect(&self.plan, &self.region, request))
    }

    /// Replaces window bytes by zero pages: (address, bytes, protection).
    ///
    /// # Errors
    /// A violation.
    pub fn remap(&mut self, request: Request) -> Answer {
        answer(self.windows.remap(&self.plan, &self.region, request))
    }

    /// Forgets a window.
    ///
    /// # Errors
    /// A violation.
    pub fn release(&mut self, index: u64) -> Answer {
        answer(self.windows.release(&self.plan, &self.region, index))
    }

    /// Maps artifact bytes over a window: (artifact address, window address, bytes).
    ///
    /// # Errors
    /// A violation.
    pub fn image(&mut self, request: (u64, u64, u64)) -> Answer {
        let artifact = self.artifact.as_deref();
        answer(
            self.windows
                .image(&self.plan, &self.region, artifact, request),
        )
    }
}

/// Writes what the guest finds below its image and cannot change.
///
/// # Errors
/// If the page tables do not fit.
pub fn write_system(
    region: &Region,
    plan: &Plan,
    image: &GuestImage,
    artifact: Option<&Artifact>,
) -> Result<(), TablesFull> {
    page_tables::write(region, plan, &image.segments, artifact)?;
    descriptors::write(region);
    stubs::write(region);
    write_boot_info(region, plan);
    Ok(())
}

fn write_boot_info(region: &Region, plan: &Plan) {
    let set = |index: u64, value: u64| {
        region
            .word(BOOT_INFO + 8 * index)
            .store(value, Ordering::Relaxed);
    };
    set(BOOT_RAM_BYTES, plan.ram_bytes);
    set(BOOT_WINDOW_COUNT, plan.windows.len() as u64);
    for (index, window) in (BOOT_WINDOW_BYTES..).zip(&plan.windows) {
        set(index, window.capacity);
    }
}
