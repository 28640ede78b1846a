//! Images: artifact bytes that the guest has mapped over a window.

use std::io;

use host_guest_abi::layout::{ARTIFACT, PAGE_BYTES};

use super::check::{Pages, Refusal, Served};
use super::{Access, Artifact, IMAGES_MAX, Plan, Region, Windows, is_page_aligned, round_to_page};

impl Windows {
    /// Maps artifact bytes copy-on-write over a component window.
    ///
    /// # Errors
    /// A refusal. If the file was cut off, what the window had from there on is gone.
    pub fn image(
        &mut self,
        plan: &Plan,
        region: &Region,
        artifact: Option<&Artifact>,
        (source, address, bytes): (u64, u64, u64),
    ) -> Served {
        let Some(artifact) = artifact else {
            return Err(Refusal::Violation("an image without an artifact"));
        };
        let (position, padded) = artifact_pages(artifact, source, bytes)?;
        let pages = Pages::locate(plan, address, padded)?;
        if pages.are_transfer() {
            return Err(Refusal::Violation("an image in a transfer window"));
        }
        self.check_growth(&pages)?;
        if padded == 0 {
            return Ok(());
        }
        let (window, state) = (plan.windows[pages.index], &mut self.states[pages.index]);
        if state.images == IMAGES_MAX {
            return Err(Refusal::Errno(libc::ENOMEM));
        }
        state.images += 1;
        state.remapped();
        let start = window.physical + pages.offset;
        self.images.push(start..start + padded);
        let mapped = map_image(region, artifact, start, position, bytes);
        state.accessible = state.accessible.max(pages.end);
        if let Err(error) = mapped {
            // Somebody has cut the file off. What was mapped of it must go.
            let end = state.accessible;
            self.shrink(plan, region, Pages { end, ..pages })?;
            return Err(error.into());
        }
        Ok(())
    }
}

/// Position in the artifact of the bytes at a guest-virtual address, and how many they are
/// in whole pages.
fn artifact_pages(artifact: &Artifact, source: u64, bytes: u64) -> Result<(u64, u64), Refusal> {
    let position = source
        .checked_sub(ARTIFACT)
        .filter(|&position| is_page_aligned(position))
        .ok_or(Refusal::Violation("an image of no artifact page"))?;
    position
        .checked_add(bytes)
        .filter(|&end| end <= artifact.bytes())
        .and_then(|_| round_to_page(bytes))
        .map(|padded| (position, padded))
        .ok_or(Refusal::Violation("an image beyond the artifact"))
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
