//! Which pages of a region are its own: neither those of a file mapped below nor untouched.
//!
//! In a sandbox made from a snapshot these are the pages that somebody has written to,
//! guest, host or hypervisor. The kernel's page tables are asked, by `PAGEMAP_SCAN` where
//! there is one (Linux 6.7) and by reading `/proc/self/pagemap` otherwise.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use host_guest_abi::layout::PAGE_BYTES;

use super::units::host_size;
use crate::fork;

/// Neighbouring pages, by host address.
pub type Run = Range<u64>;

/// Runs that one system call reports.
const BATCH: usize = 512;

/// `struct page_region` of `linux/fs.h`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    region_count: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

const ENTRY_PRESENT: u64 = 1 << 63;
const ENTRY_SWAPPED: u64 = 1 << 62;
const ENTRY_FILE: u64 = 1 << 61;

/// `/proc/self/pagemap` belongs to the process that opened it.
struct Pagemap {
    process: i32,
    file: File,
}

static PAGEMAP: Mutex<Option<Pagemap>> = Mutex::new(None);
/// Its descriptor for the process of this id, so that nobody has to take the lock.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
static PROCESS: AtomicI32 = AtomicI32::new(0);
/// Whether the kernel has refused to know `PAGEMAP_SCAN`.
static OLD_KERNEL: AtomicBool = AtomicBool::new(false);

/// Calls `found` with the runs of private pages in a range of host addresses, ascending.
///
/// # Errors
/// What the kernel says.
pub fn private_pages(range: Run, found: &mut dyn FnMut(Run)) -> io::Result<()> {
    let descriptor = descriptor()?;
    if !OLD_KERNEL.load(Ordering::Relaxed) {
        match scan(descriptor, range.clone(), found) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                OLD_KERNEL.store(true, Ordering::Relaxed);
            }
            result => return result,
        }
    }
    read_entries(range, found)
}

/// The descriptor of the page map of this process; a child of a fork has its own.
fn descriptor() -> io::Result<i32> {
    let process = fork::process();
    if PROCESS.load(Ordering::Acquire) == process {
        return Ok(DESCRIPTOR.load(Ordering::Acquire));
    }
    let mut pagemap = fork::lock(&PAGEMAP);
    if pagemap.as_ref().is_none_or(|map| map.process != process) {
        let file = File::open("/proc/self/pagemap")?;
        DESCRIPTOR.store(file.as_raw_fd(), Ordering::Release);
        PROCESS.store(process, Ordering::Release);
        *pagemap = Some(Pagemap { process, file });
    }
    Ok(DESCRIPTOR.load(Ordering::Acquire))
}

fn scan(descriptor: i32, range: Run, found: &mut dyn FnMut(Run)) -> io::Result<()> {
    let mut regions = [PageRegion::default(); BATCH];
    let mut start = range.start;
    while start < range.end {
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            flags: 0,
            start,
            end: range.end,
            walk_end: 0,
            regions: regions.as_mut_ptr().expose_provenance() as u64,
            region_count: BATCH as u64,
            max_pages: 0,
            // Private, and not the page of zeros that a mere look leaves behind.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: 0,
        };
        // SAFETY: the argument and the regions that it names are ours and writable.
        let count = unsafe { libc::ioctl(descriptor, PAGEMAP_SCAN, &raw mut argument) };
        let Ok(count) = usize::try_from(count) else {
            return Err(io::Error::last_os_error());
        };
        for region in regions.iter().take(count) {
            found(region.start..region.end);
        }
        // The walk ends early when all regions are taken.
        if argument.walk_end <= start {
            break;
        }
        start = argument.walk_end;
    }
    Ok(())
}

/// The slow way, one word per page.
fn read_entries(range: Run, found: &mut dyn FnMut(Run)) -> io::Result<()> {
    let pagemap = fork::lock(&PAGEMAP);
    let Some(pagemap) = pagemap.as_ref() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let mut buffer = [0_u8; 8 * BATCH];
    let mut run: Option<Run> = None;
    let mut page = range.start / PAGE_BYTES;
    let end = range.end.div_ceil(PAGE_BYTES);
    while page < end {
        let count = host_size(end - page).min(BATCH);
        let entries = &mut buffer[..8 * count];
        pagemap.file.read_exact_at(entries, 8 * page)?;
        for entry in entries.as_chunks::<8>().0 {
            let entry = u64::from_le_bytes(*entry);
            let private = entry & (ENTRY_PRESENT | ENTRY_SWAPPED) != 0 && entry & ENTRY_FILE == 0;
            let address = page * PAGE_BYTES;
            match &mut run {
                Some(run) if private && run.end == address => run.end += PAGE_BYTES,
                _ => {
                    run.take().into_iter().for_each(&mut *found);
                    run = private.then(|| address..address + PAGE_BYTES);
                }
            }
            page += 1;
        }
    }
    run.into_iter().for_each(found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Access, Region};
    use std::os::fd::FromRawFd;

    const MIB: u64 = 1 << 20;

    /// A region of which a file stands behind the second mebibyte.
    fn region() -> io::Result<Region> {
        // SAFETY: makes a new descriptor or fails.
        let fd = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.write_all_at(&[1; 0x8000], 0)?;
        let region = Region::reserve(4 * MIB)?;
        region.protect(0, 4 * MIB, Access::ReadWrite)?;
        region.overlay(MIB, 0x8000, Access::ReadWrite, (&file, 0))?;
        Ok(region)
    }

    fn check(find: impl Fn(Run, &mut dyn FnMut(Run)) -> io::Result<()>) -> io::Result<()> {
        let region = region()?;
        let base = region.address(0, 0).addr() as u64;
        let mut seen = Vec::new();
        region.read(MIB, 0x2000, &mut seen); // a look makes no page private
        for page in [0, 1, 3, 256, 258] {
            region.write(page * PAGE_BYTES, b"x");
        }
        let mut runs = Vec::new();
        find(base..base + 4 * MIB, &mut |run: Run| {
            runs.push((run.start - base) / PAGE_BYTES..(run.end - base) / PAGE_BYTES);
        })?;
        assert_eq!(runs, [0..2, 3..4, 256..257, 258..259]);
        Ok(())
    }

    #[test]
    fn written_pages_are_found() -> io::Result<()> {
        check(private_pages)
    }

    #[test]
    fn written_pages_are_found_the_slow_way_too() -> io::Result<()> {
        descriptor()?;
        check(read_entries)
    }

    #[test]
    fn more_runs_than_fit_a_batch_are_found() -> io::Result<()> {
        let region = Region::reserve(8 * MIB)?;
        region.protect(0, 8 * MIB, Access::ReadWrite)?;
        let base = region.address(0, 0).addr() as u64;
        for page in (0..2048).step_by(2) {
            region.write(page * PAGE_BYTES, b"x");
        }
        let mut count = 0;
        private_pages(base..base + 8 * MIB, &mut |run| {
            assert_eq!(run.end - run.start, PAGE_BYTES);
            count += 1;
        })?;
        assert_eq!(count, 1024);
        Ok(())
    }
}
