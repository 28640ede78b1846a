//! One contiguous host mapping that stands for guest-physical memory from 0.
//!
//! This is the only place that creates and changes host mappings of guest memory, so
//! that memory of another origin (a snapshot's memfd) has one place to enter.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use host_guest_abi::layout::LARGE_PAGE_BYTES;

use super::units::host_size;

/// What the host, and behind it the guest, may do with bytes of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: a touch by the guest becomes an access fault.
    None,
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
}

impl Access {
    const fn protection(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// Private host memory, aligned to a large page, inaccessible until opened.
///
/// Offsets into it are guest-physical addresses. Callers check what comes from the
/// guest; an offset outside the region is a bug of ours and panics.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    bytes: u64,
    /// Whether the kernel must not make large pages of its own accord.
    small_pages: bool,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Region {}

impl Region {
    /// Reserves `bytes`, a multiple of the page size, without access to any of them.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn reserve(bytes: u64) -> io::Result<Self> {
        let unaligned = || io::Error::from(io::ErrorKind::OutOfMemory);
        let whole = bytes.checked_next_multiple_of(LARGE_PAGE_BYTES);
        let whole = whole.ok_or_else(unaligned)?;
        let start = reserve(whole)?;
        // Linux aligns a mapping of large pages by itself since 6.7.
        let base = if start.addr().is_multiple_of(host_size(LARGE_PAGE_BYTES)) {
            start
        } else {
            // SAFETY: just made, and unused.
            unsafe { unmap(start, host_size(whole)) };
            let padded = whole.checked_add(LARGE_PAGE_BYTES).ok_or_else(unaligned)?;
            let start = reserve(padded)?;
            let head = start.align_offset(host_size(LARGE_PAGE_BYTES));
            let tail = host_size(LARGE_PAGE_BYTES) - head;
            // SAFETY: `head` is less than the padding, so all parts lie in the new mapping.
            unsafe {
                let base = start.add(head);
                unmap(start, head);
                unmap(base.add(host_size(whole)), tail);
                base
            }
        };
        let base = NonNull::new(base).ok_or_else(unaligned)?;
        Ok(Self {
            base,
            bytes,
            small_pages: false,
        })
    }

    /// Keeps the kernel from making large pages where nobody prefers them, now and in
    /// mappings to come. Only where it would: most systems ask for advice first.
    pub fn keep_small_pages(&mut self) {
        if large_pages_always() {
            self.small_pages = true;
            self.advise_small(self.base.as_ptr(), self.bytes);
        }
    }

    fn advise_small(&self, address: *mut u8, bytes: u64) {
        // SAFETY: inside the mapping; advice changes no content.
        unsafe { libc::madvise(address.cast(), host_size(bytes), libc::MADV_NOHUGEPAGE) };
    }

    /// Size in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Host address of `[offset, offset + bytes)`.
    ///
    /// # Panics
    /// If that is not inside the region.
    pub fn address(&self, offset: u64, bytes: u64) -> *mut u8 {
        let end = offset.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes),
            "{offset:#x} + {bytes:#x} is outside"
        );
        // SAFETY: just checked to lie inside the mapping.
        unsafe { self.base.as_ptr().add(host_size(offset)) }
    }

    /// The word at `offset`, which guest and host may both use at any time.
    ///
    /// # Panics
    /// If it is not inside the region, or not aligned. The page must be accessible.
    pub fn word(&self, offset: u64) -> &AtomicU64 {
        let address = self.address(offset, 8).cast::<u64>();
        assert!(address.is_aligned(), "{offset:#x} is not aligned");
        // SAFETY: aligned, inside the mapping, which lives as long as `self`.
        unsafe { AtomicU64::from_ptr(address) }
    }

    /// Copies `data` to `offset`. The pages must be accessible.
    ///
    /// # Panics
    /// If it does not fit.
    pub fn write(&self, offset: u64, data: &[u8]) {
        let target = self.address(offset, data.len() as u64);
        // SAFETY: checked to be inside the mapping; a slice of ours never overlaps it.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), target, data.len()) }
    }

    /// Appends `bytes` bytes at `offset` to `out`. The pages must be accessible.
    ///
    /// # Panics
    /// If they are not inside the region.
    pub fn read(&self, offset: u64, bytes: u64, out: &mut Vec<u8>) {
        let source = self.address(offset, bytes);
        out.reserve(host_size(bytes));
        // SAFETY: the source is inside the mapping, the target was just reserved.
        unsafe {
            ptr::copy_nonoverlapping(source, out.as_mut_ptr().add(out.len()), host_size(bytes));
            out.set_len(out.len() + host_size(bytes));
        }
    }

    /// Changes the access to whole pages, keeping what is in them.
    ///
    /// # Errors
    /// The errno of `mprotect`.
    pub fn protect(&self, offset: u64, bytes: u64, access: Access) -> io::Result<()> {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping; nobody holds a reference into pages that lose access.
        checked(unsafe { libc::mprotect(address.cast(), host_size(bytes), access.protection()) })
    }

    /// Replaces whole pages by fresh zero pages.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn renew(&self, offset: u64, bytes: u64, access: Access) -> io::Result<()> {
        let flags = libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        self.replace(offset, bytes, access, flags, -1, 0)
    }

    /// Replaces whole pages by a private view of the file from `position`: writes stay here.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn overlay(
        &self,
        offset: u64,
        bytes: u64,
        access: Access,
        (file, position): (&File, u64),
    ) -> io::Result<()> {
        let fd = file.as_raw_fd();
        self.replace(offset, bytes, access, libc::MAP_NORESERVE, fd, position)
    }

    /// Copies bytes of the file from `position` to accessible pages.
    ///
    /// # Errors
    /// The errno of `pread`; `UnexpectedEof` if the file is shorter.
    pub fn read_file(&self, offset: u64, bytes: u64, file: &File, position: u64) -> io::Result<()> {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping; only the kernel writes to it while the slice exists.
        let target = unsafe { std::slice::from_raw_parts_mut(address, host_size(bytes)) };
        file.read_exact_at(target, position)
    }

    /// Lets the kernel back the large pages of a range by large pages, once they are
    /// accessible as a whole. Does nothing where the kernel has that switched off.
    pub fn prefer_large_pages(&self, offset: u64, bytes: u64) {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping; advice changes no content.
        unsafe { libc::madvise(address.cast(), host_size(bytes), libc::MADV_HUGEPAGE) };
    }

    /// Puts the large pages of a range into large pages of memory now, whatever the kernel's
    /// settings for its own choice are.
    ///
    /// # Errors
    /// The errno of `madvise`: `EINVAL` before Linux 6.1, and where it is not possible there.
    pub fn collapse(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping; what it holds stays the same.
        let result =
            unsafe { libc::madvise(address.cast(), host_size(bytes), libc::MADV_COLLAPSE) };
        checked(result)
    }

    /// Gives accessible pages back to the kernel: what was mapped there shows again, or zeros.
    /// Only a range that is none of ours could make it fail.
    pub fn discard(&self, offset: u64, bytes: u64) {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping, and nobody holds a reference to what is lost.
        unsafe { libc::madvise(address.cast(), host_size(bytes), libc::MADV_DONTNEED) };
    }

    /// Backs accessible pages with memory now, cheaper than one fault per page later.
    /// Does nothing on kernels that cannot (before 5.14).
    pub fn populate(&self, offset: u64, bytes: u64) {
        let address = self.address(offset, bytes);
        // SAFETY: inside the mapping; populating changes no content.
        unsafe { libc::madvise(address.cast(), host_size(bytes), libc::MADV_POPULATE_WRITE) };
    }

    fn replace(
        &self,
        offset: u64,
        bytes: u64,
        access: Access,
        flags: i32,
        fd: i32,
        position: u64,
    ) -> io::Result<()> {
        let address = self.address(offset, bytes);
        let position = libc::off_t::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: MAP_FIXED replaces pages of this mapping only, and atomically: a thread
        // that reads them meanwhile sees old or new bytes, never a hole.
        let mapped = unsafe {
            libc::mmap(
                address.cast(),
                host_size(bytes),
                access.protection(),
                libc::MAP_PRIVATE | libc::MAP_FIXED | flags,
                fd,
                position,
            )
        };
        if mapped == libc::MAP_FAILED {
            let error = io::Error::last_os_error();
            if fd >= 0 {
                // A file that refuses (a server is gone) is asked when the old pages are unmapped
                // already: what the process maps next could come to lie in the gap, in
                // the guest's memory.
                let _ = self.renew(offset, bytes, access);
            }
            return Err(error);
        }
        if self.small_pages {
            self.advise_small(address, bytes);
        }
        Ok(())
    }
}

/// Whether the kernel backs any memory by large pages, asked for or not.
fn large_pages_always() -> bool {
    static ALWAYS: OnceLock<bool> = OnceLock::new();
    if let Some(known) = ALWAYS.get() {
        return *known;
    }
    // Outside of what a fork would leave half done in the child.
    let always = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|setting| setting.contains("[always]"));
    *ALWAYS.get_or_init(|| always)
}

impl Drop for Region {
    fn drop(&mut self) {
        let whole = self.bytes.next_multiple_of(LARGE_PAGE_BYTES);
        // SAFETY: the mapping is ours and nothing borrowed from it outlives `self`.
        unsafe { unmap(self.base.as_ptr(), host_size(whole)) }
    }
}

/// Address space without access, at an address of the kernel's choice.
fn reserve(bytes: u64) -> io::Result<*mut u8> {
    // SAFETY: a new mapping touches nothing of ours.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            host_size(bytes),
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(start.cast())
}

/// Unmaps, if there is anything to unmap.
///
/// # Safety
/// The range must be part of a mapping that the caller owns, and unused.
unsafe fn unmap(address: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: as the caller promised. Only a bad range could fail.
        unsafe { libc::munmap(address.cast(), bytes) };
    }
}

fn checked(result: i32) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_keeps_what_is_written() -> io::Result<()> {
        let region = Region::reserve(4 * LARGE_PAGE_BYTES)?;
        assert_eq!(
            region.address(0, 0) as usize % host_size(LARGE_PAGE_BYTES),
            0
        );
        region.protect(0x1000, 0x2000, Access::ReadWrite)?;
        region.write(0x1ffe, b"across");
        let mut read = Vec::new();
        region.read(0x1ffe, 6, &mut read);
        assert_eq!(read, b"across");
        region.renew(0x1000, 0x1000, Access::ReadWrite)?;
        read.clear();
        region.read(0x1ffe, 6, &mut read);
        assert_eq!(read, b"\0\0ross");
        Ok(())
    }

    #[test]
    #[should_panic(expected = "is outside")]
    fn refuses_offsets_outside() {
        if let Ok(region) = Region::reserve(LARGE_PAGE_BYTES) {
            region.address(LARGE_PAGE_BYTES - 4, 8);
        }
    }
}
