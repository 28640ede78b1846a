//! What was in guest memory when a snapshot was taken: a file of pages and where they belong.
//!
//! The file is sealed memory or a snapshot file of the user's. Sandboxes map it
//! copy-on-write; the few pages that the host itself touches are read into memory of their
//! own, since a page of a file that somebody cuts off must not become a SIGBUS. Whatever no
//! extent covers is zeros.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Mutex;

use host_guest_abi::layout::PAGE_BYTES;

use super::region::{Access, Region};
use super::units::host_size;
use crate::fork;

/// A page's worth of bytes.
#[repr(C, align(64))]
pub struct Page([u8; host_size(PAGE_BYTES)]);

/// Pages that sandboxes copy back at each restore are kept here, at most so many.
const CACHE_PAGES_MAX: usize = 8192;

/// Neighbouring pages that become a mapping of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Guest-physical address of the first page.
    pub physical: u64,
    /// Bytes, whole pages.
    pub bytes: u64,
    /// Where in the file they are.
    pub position: u64,
}

/// Where the content of one page is found when it is to be copied back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is all zeros.
    Zeros,
    /// Here; it lives as long as the content.
    Bytes(NonNull<Page>),
}

// SAFETY: the page never changes once it is cached, and whoever keeps a source keeps the
// content alive.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

/// The content of a snapshot.
pub struct Content {
    file: File,
    sealed: bool,
    extents: Vec<Extent>,
    /// Pages that the host touches too, by address. They are copied, not mapped.
    copies: Vec<(u64, Box<Page>)>,
    cache: Mutex<HashMap<u64, Box<Page>>>,
}

impl Content {
    /// A file with its extents, and pages to be copied. Both ascend, without a common page,
    /// and the extents are inside the file, as whoever calls this has made sure.
    ///
    /// `sealed` says that the file cannot become shorter.
    pub fn new(
        file: File,
        sealed: bool,
        extents: Vec<Extent>,
        copies: Vec<(u64, Box<Page>)>,
    ) -> Self {
        Self {
            file,
            sealed,
            extents,
            copies,
            cache: Mutex::default(),
        }
    }

    /// The file that the extents are in.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Whether the file cannot become shorter. If it can, its pages may vanish from memory at
    /// any time, copies that were written to included, and touching one is a SIGBUS then.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The extents, ascending.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The pages that are copied, ascending.
    pub fn copies(&self) -> &[(u64, Box<Page>)] {
        &self.copies
    }

    /// Bytes of all content.
    pub fn bytes(&self) -> u64 {
        let mapped: u64 = self.extents.iter().map(|extent| extent.bytes).sum();
        mapped + self.copies.len() as u64 * PAGE_BYTES
    }

    /// Puts the content of `[start, end)` into accessible memory that holds zeros there.
    ///
    /// # Errors
    /// What `mmap` says.
    pub fn place(&self, region: &Region, start: u64, end: u64) -> io::Result<()> {
        for extent in &self.extents {
            let first = extent.physical.max(start);
            let last = (extent.physical + extent.bytes).min(end);
            if first < last {
                let position = extent.position + (first - extent.physical);
                let file = (&self.file, position);
                region.overlay(first, last - first, Access::ReadWrite, file)?;
            }
        }
        for (physical, page) in &self.copies {
            if (start..end).contains(physical) {
                region.write(*physical, &page.0);
            }
        }
        Ok(())
    }

    /// The content of the page at a guest-physical address; `None` if no more pages are kept.
    ///
    /// # Errors
    /// What `pread` says.
    pub fn source(&self, physical: u64) -> io::Result<Option<Source>> {
        if let Some(index) = self.copy(physical) {
            return Ok(Some(Source::Bytes(NonNull::from(&*self.copies[index].1))));
        }
        let Some(position) = self.position(physical) else {
            return Ok(Some(Source::Zeros));
        };
        let found = |page: &Page| Some(Source::Bytes(NonNull::from(page)));
        let cache = fork::lock(&self.cache);
        if let Some(page) = cache.get(&physical) {
            return Ok(found(page));
        }
        if cache.len() >= CACHE_PAGES_MAX {
            return Ok(None);
        }
        drop(cache);
        // Not under the lock, which a fork waits for: the file may be on a slow disk.
        let mut page = Page::new();
        self.file.read_exact_at(&mut page.0, position)?;
        let mut cache = fork::lock(&self.cache);
        Ok(found(cache.entry(physical).or_insert(page)))
    }

    /// Whether a page was copied when memory was made, so that it cannot be had again by
    /// giving it back to the kernel.
    pub fn is_copied(&self, physical: u64) -> bool {
        self.copy(physical).is_some()
    }

    fn copy(&self, physical: u64) -> Option<usize> {
        self.copies
            .binary_search_by_key(&physical, |copy| copy.0)
            .ok()
    }

    /// Where in the file a page is, if it has content there.
    pub fn position(&self, physical: u64) -> Option<u64> {
        let after = self
            .extents
            .partition_point(|extent| extent.physical <= physical);
        let extent = self.extents.get(after.checked_sub(1)?)?;
        let offset = physical - extent.physical;
        (offset < extent.bytes).then(|| extent.position + offset)
    }
}

impl Page {
    /// A page of zeros.
    pub fn new() -> Box<Self> {
        Box::new(Self([0; host_size(PAGE_BYTES)]))
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bytes.
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Source {
    /// Whether a page has this content.
    ///
    /// # Safety
    /// The page is readable, whole and aligned, and the content that the source is from exists.
    pub unsafe fn equals(self, page: *const u8) -> bool {
        // SAFETY: as the caller promised. Compared word by word, for it is not ours alone.
        let page = unsafe { std::slice::from_raw_parts(page.cast::<u64>(), PAGE_WORDS) };
        match self {
            Self::Zeros => page.iter().all(|&word| word == 0),
            Self::Bytes(source) => {
                // SAFETY: the caller keeps it alive; a page is aligned for words.
                let source = unsafe {
                    std::slice::from_raw_parts(source.as_ptr().cast::<u64>(), PAGE_WORDS)
                };
                page == source
            }
        }
    }

    /// Where the content can be read.
    pub fn address(self) -> *const u8 {
        static ZEROS: Page = Page([0; host_size(PAGE_BYTES)]);
        match self {
            Self::Zeros => (&raw const ZEROS).cast(),
            Self::Bytes(source) => source.as_ptr().cast_const().cast(),
        }
    }

    /// Gives a page this content.
    ///
    /// # Safety
    /// The page is writable, whole and nobody else's, and the content that the source is
    /// from exists.
    pub unsafe fn copy_to(self, page: *mut u8) {
        match self {
            // SAFETY: as the caller promised.
            Self::Zeros => unsafe { page.write_bytes(0, host_size(PAGE_BYTES)) },
            // SAFETY: as the caller promised; cached pages lie outside of all regions.
            Self::Bytes(source) => unsafe {
                page.copy_from_nonoverlapping(source.as_ptr().cast(), host_size(PAGE_BYTES));
            },
        }
    }
}

const PAGE_WORDS: usize = host_size(PAGE_BYTES) / 8;
