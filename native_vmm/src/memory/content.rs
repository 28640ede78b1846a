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
use std::sync::{Mutex, PoisonError};

use host_guest_abi::layout::PAGE_BYTES;

use super::region::{Access, Region};
use super::units::host_size;

/// A page's worth of bytes.
#[repr(C, align(64))]
pub struct Page([u8; host_size(PAGE_BYTES)]);

/// Pages that sandboxes copy back at each restore are kept here, at most so many.
const CACHE_PAGES_MAX: usize = 8192;

/// Neighbouring pages that have content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Guest-physical address of the first page.
    pub physical: u64,
    /// Bytes, whole pages.
    pub bytes: u64,
    /// Where in the file they are.
    pub position: u64,
    /// Whether the pages become a mapping of the file, or a copy.
    pub mapped: bool,
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
    extents: Vec<Extent>,
    cache: Mutex<HashMap<u64, Box<Page>>>,
}

impl Content {
    /// A file and its extents: ascending, disjoint and inside the file, as whoever calls
    /// this has made sure.
    pub fn new(file: File, extents: Vec<Extent>) -> Self {
        Self {
            file,
            extents,
            cache: Mutex::default(),
        }
    }

    /// The extents, ascending.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Bytes of all extents together.
    pub fn bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.bytes).sum()
    }

    /// Puts the content of `[start, end)` into accessible memory that holds zeros there.
    ///
    /// # Errors
    /// What `mmap` or `pread` say.
    pub fn place(&self, region: &Region, start: u64, end: u64) -> io::Result<()> {
        for extent in &self.extents {
            let first = extent.physical.max(start);
            let last = (extent.physical + extent.bytes).min(end);
            if first >= last {
                continue;
            }
            let position = extent.position + (first - extent.physical);
            if extent.mapped {
                let file = (&self.file, position);
                region.overlay(first, last - first, Access::ReadWrite, file)?;
            } else {
                region.read_file(first, last - first, &self.file, position)?;
            }
        }
        Ok(())
    }

    /// The content of the page at a guest-physical address; `None` if no more pages are kept.
    ///
    /// # Errors
    /// What `pread` says.
    pub fn source(&self, physical: u64) -> io::Result<Option<Source>> {
        let Some(position) = self.position(physical) else {
            return Ok(Some(Source::Zeros));
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = cache.get(&physical) {
            return Ok(Some(Source::Bytes(NonNull::from(&**page))));
        }
        if cache.len() >= CACHE_PAGES_MAX {
            return Ok(None);
        }
        let mut page = Box::new(Page([0; host_size(PAGE_BYTES)]));
        self.file.read_exact_at(&mut page.0, position)?;
        let page = cache.entry(physical).or_insert(page);
        Ok(Some(Source::Bytes(NonNull::from(&**page))))
    }

    /// Whether a page was copied when memory was made, so that it cannot be had again by
    /// giving it back to the kernel.
    pub fn is_copied(&self, physical: u64) -> bool {
        self.extent(physical).is_some_and(|extent| !extent.mapped)
    }

    /// Where in the file a page is, if it has content.
    fn position(&self, physical: u64) -> Option<u64> {
        let extent = self.extent(physical)?;
        Some(extent.position + (physical - extent.physical))
    }

    fn extent(&self, physical: u64) -> Option<&Extent> {
        let after = self
            .extents
            .partition_point(|extent| extent.physical <= physical);
        let extent = self.extents.get(after.checked_sub(1)?)?;
        (physical - extent.physical < extent.bytes).then_some(extent)
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
