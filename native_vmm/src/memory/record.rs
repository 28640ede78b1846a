//! The memory of a snapshot in a file: what is written, and what is believed of what is read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use host_guest_abi::layout::{BOOT_INFO, IMAGE, MAILBOX, PAGE_BYTES, STACK, TEXT, TEXT_BYTES};
use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::content::{Content, Extent, Page};
use super::guest_memory::write_system;
use super::hot_pages::HOT_PAGES_MAX;
use super::plan::Plan;
use super::ranges::{MAPPED_EXTENTS_MAX, pages_of};
use super::region::{Access, Region};
use super::snapshot::{MemorySnapshot, TRANSFER_WINDOWS, dynamic};
use super::units::{host_size, is_page_aligned};
use super::windows::{WindowRecord, Windows};
use super::working_set::{WorkingSet, always};
use crate::loader::GuestImage;
use crate::sandbox::{FileError, damaged};

/// What is known of the pages in a file. Addresses are guest-physical.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRecord {
    ram_bytes: u64,
    capacities: Vec<u64>,
    artifact: Option<(u64, Range<u64>)>,
    windows: Vec<WindowRecord>,
    /// Address, bytes, position in the file.
    extents: Vec<(u64, u64, u64)>,
    /// Address, position in the file.
    pub copies: Vec<(u64, u64)>,
    /// Addresses of pages that are worth having from the start.
    working_set: Vec<u64>,
}

impl MemorySnapshot {
    /// Writes the mapped pages by `copy` (source, bytes, position there → position), and
    /// answers a record in which the positions of the copied pages are still missing.
    ///
    /// # Errors
    /// What `copy` says.
    pub fn save(
        &self,
        mut copy: impl FnMut(&File, u64, u64) -> io::Result<u64>,
    ) -> io::Result<MemoryRecord> {
        let mut extents = Vec::with_capacity(self.content.extents().len());
        // Whoever loads it makes the system's own pages anew.
        for extent in self
            .content
            .extents()
            .iter()
            .filter(|e| e.physical >= IMAGE)
        {
            let position = copy(self.content.file(), extent.bytes, extent.position)?;
            extents.push((extent.physical, extent.bytes, position));
        }
        let artifact = self.artifact.as_ref();
        Ok(MemoryRecord {
            ram_bytes: self.plan.ram_bytes,
            capacities: self.plan.windows.iter().map(|w| w.capacity).collect(),
            artifact: artifact.map(|a| (a.page_bytes(), a.code().clone())),
            windows: self.windows.to_records(),
            extents,
            copies: self.dynamic_copies().map(|(at, _)| (*at, 0)).collect(),
            working_set: self
                .working_set
                .pages()
                .iter()
                .map(|page| page.physical)
                .collect(),
        })
    }

    /// The copied pages that a file has to hold, in the order of the record.
    pub fn copies_to_save(&self) -> impl Iterator<Item = &[u8]> {
        self.dynamic_copies().map(|(_, page)| page.bytes())
    }

    fn dynamic_copies(&self) -> impl Iterator<Item = &(u64, Box<Page>)> {
        let copies = self.content.copies().iter();
        copies.filter(|(at, _)| dynamic(*at..*at + PAGE_BYTES).next().is_some())
    }

    /// Takes pages of a file as the memory of a sandbox with this configuration.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn load(
        plan: Plan,
        total_memory_bytes: u64,
        artifact: Option<Arc<Artifact>>,
        image: &GuestImage,
        file: File,
        part: Range<u64>,
        record: MemoryRecord,
    ) -> Result<Self, FileError> {
        let layout = artifact
            .as_ref()
            .map(|a| (a.page_bytes(), a.code().clone()));
        let capacities = plan.windows.iter().map(|window| window.capacity);
        if record.ram_bytes != plan.ram_bytes
            || !capacities.eq(record.capacities.iter().copied())
            || record.artifact != layout
        {
            return Err(FileError::OtherLayout);
        }
        let mut windows = Windows::from_records(&plan, &record.windows)
            .ok_or_else(|| damaged("its memories have impossible sizes"))?;
        windows.limit_total(total_memory_bytes);
        if !windows.keep_total() {
            return Err(FileError::OtherLayout);
        }
        let extents = check_extents(&plan, &windows, &part, &record.extents)?;
        let mut copies = system_pages(&plan, artifact.as_deref(), image)?;
        read_copies(&plan, &file, &part, &record.copies, &mut copies)?;
        let working_set = WorkingSet::new(always(&extents, plan.ram_bytes));
        let windows = windows.mapped_from(&plan, &extents);
        let snapshot = Self {
            plan,
            artifact,
            content: Content::new(file, false, extents, copies),
            windows,
            working_set,
        };
        snapshot.expect_pages(record.working_set.iter().copied().take(HOT_PAGES_MAX));
        Ok(snapshot)
    }
}

/// Extents must be where only the guest touches memory, accessible, apart from each other, and
/// inside our part of the file.
fn check_extents(
    plan: &Plan,
    windows: &Windows,
    part: &Range<u64>,
    extents: &[(u64, u64, u64)],
) -> Result<Vec<Extent>, FileError> {
    if extents.len() > MAPPED_EXTENTS_MAX {
        return Err(damaged("it has too many parts"));
    }
    let mut accessible = windows.accessible_ranges(plan);
    accessible.push(IMAGE..plan.ram_bytes);
    let (mut free, mut checked) = (IMAGE, Vec::with_capacity(extents.len()));
    for &(physical, bytes, position) in extents {
        let end = physical.checked_add(bytes);
        let file_end = position.checked_add(bytes);
        let (Some(end), Some(file_end)) = (end, file_end) else {
            return Err(damaged("a part of it is too long"));
        };
        let inside = |range: &Range<u64>| range.start <= physical && end <= range.end;
        if bytes == 0
            || ![physical, bytes, position].into_iter().all(is_page_aligned)
            || physical < free
            || !accessible.iter().any(inside)
            || position < part.start
            || file_end > part.end
        {
            return Err(damaged("a part of it is out of place"));
        }
        checked.push(Extent {
            physical,
            bytes,
            position,
        });
        free = end;
    }
    Ok(checked)
}

/// Reads the pages that the host touches too, of those that a guest can write to.
fn read_copies(
    plan: &Plan,
    file: &File,
    part: &Range<u64>,
    listed: &[(u64, u64)],
    copies: &mut Vec<(u64, Box<Page>)>,
) -> Result<(), FileError> {
    let headers = plan.windows.iter().take(TRANSFER_WINDOWS);
    let headers: Vec<_> = headers.map(|window| window.physical).collect();
    for &(physical, position) in listed {
        let low = physical < IMAGE && dynamic(physical..physical + PAGE_BYTES).next().is_some();
        let known = copies.iter().any(|copy| copy.0 == physical);
        let fits = position
            .checked_add(PAGE_BYTES)
            .is_some_and(|end| position >= part.start && end <= part.end);
        if !is_page_aligned(physical) || known || !fits || !(low || headers.contains(&physical)) {
            return Err(damaged("a page of it is out of place"));
        }
        let mut page = Page::new();
        file.read_exact_at(page.bytes_mut(), position)?;
        copies.push((physical, page));
    }
    copies.sort_unstable_by_key(|copy| copy.0);
    Ok(())
}

/// What a page has that was never written.
const ZEROS: [u8; host_size(PAGE_BYTES)] = [0; host_size(PAGE_BYTES)];

/// What a guest finds below its image that it cannot have changed.
fn system_pages(
    plan: &Plan,
    artifact: Option<&Artifact>,
    image: &GuestImage,
) -> Result<Vec<(u64, Box<Page>)>, FileError> {
    let region = Region::reserve(IMAGE)?;
    region.protect(0, IMAGE, Access::ReadWrite)?;
    write_system(&region, plan, image, artifact).map_err(io::Error::other)?;
    let mut pages = Vec::new();
    let mut bytes = Vec::new();
    for physical in pages_of(MAILBOX..IMAGE) {
        if dynamic(physical..physical + PAGE_BYTES).next().is_some() {
            continue;
        }
        bytes.clear();
        region.read(physical, PAGE_BYTES, &mut bytes);
        // Page by page, which is a memcmp: byte by byte takes as long as booting the guest.
        if bytes != ZEROS {
            let mut page = Page::new();
            page.bytes_mut().copy_from_slice(&bytes);
            pages.push((physical, page));
        }
    }
    Ok(pages)
}

const _: () = assert!(BOOT_INFO > MAILBOX && TEXT + TEXT_BYTES <= IMAGE && IMAGE < STACK);
