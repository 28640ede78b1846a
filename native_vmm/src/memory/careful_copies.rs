//! Copying pages back where the file behind them may be cut off at any time.
//!
//! That takes even those pages away that a sandbox has made its own, and touching one would
//! be a SIGBUS. So the kernel does the copying: to it, a page that is missing is an error.
//!
//! ```text
//! process_vm_writev   from the cache of the snapshot, all pages in one call
//! pread               from the file, a call for each run of pages; where a container's filter
//!                     of system calls refuses the first way
//! ```

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use host_guest_abi::layout::PAGE_BYTES;

use super::content::{Content, Page, Source};
use super::hot_pages::HotPage;
use super::region::Region;
use super::units::host_size;
use crate::fork;

/// Pages that one system call copies: what the kernel takes.
const COPIES_AT_ONCE: usize = 1024;

const PAGE_SIZE: usize = host_size(PAGE_BYTES);

/// Whether `process_vm_writev` was refused, as it will be again.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Gives pages what they held at the snapshot, those that are known.
///
/// # Errors
/// If the file behind the pages was cut off.
///
/// # Safety
/// Nothing runs in the region, and the pages are whole, accessible pages of it, whose sources
/// are from this content.
pub unsafe fn copy_back(region: &Region, content: &Content, pages: &[HotPage]) -> io::Result<()> {
    if !REFUSED.load(Ordering::Relaxed) {
        match from_cache(region, pages) {
            Err(error) if is_refusal(&error) => REFUSED.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    // SAFETY: as the caller promised.
    unsafe { from_file(region, content, pages) }
}

/// Reads a page of the region.
///
/// # Errors
/// If the file behind it was cut off, or the kernel refuses.
///
/// # Safety
/// Nothing runs in the region, and it is a whole, accessible page of it.
pub unsafe fn read(region: &Region, physical: u64, page: &mut Page) -> io::Result<()> {
    let from = libc::iovec {
        iov_base: region.address(physical, PAGE_BYTES).cast(),
        iov_len: PAGE_SIZE,
    };
    let to = libc::iovec {
        iov_base: page.bytes_mut().as_mut_ptr().cast(),
        iov_len: PAGE_SIZE,
    };
    // SAFETY: writes to the page, which is ours; what cannot be read is an error.
    let copied =
        unsafe { libc::process_vm_readv(fork::process(), &raw const to, 1, &raw const from, 1, 0) };
    match usize::try_from(copied) {
        Ok(PAGE_SIZE) => Ok(()),
        Ok(_) => Err(io::Error::other("the snapshot file was cut off")),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS)
    )
}

fn from_cache(region: &Region, pages: &[HotPage]) -> io::Result<()> {
    let entry = |address: *const u8| libc::iovec {
        iov_base: address.cast_mut().cast(),
        iov_len: PAGE_SIZE,
    };
    for pages in pages.chunks(COPIES_AT_ONCE) {
        let (from, to): (Vec<_>, Vec<_>) = known(pages)
            .map(|(physical, source)| {
                let target = region.address(physical, PAGE_BYTES);
                (entry(source.address()), entry(target))
            })
            .unzip();
        let count = from.len() as libc::c_ulong;
        // SAFETY: reads pages of the content and writes pages of the region, in which
        // nothing runs; those that are not there any more are an error.
        let copied = unsafe {
            libc::process_vm_writev(fork::process(), from.as_ptr(), count, to.as_ptr(), count, 0)
        };
        if usize::try_from(copied).map_err(|_| io::Error::last_os_error())?
            != from.len() * PAGE_SIZE
        {
            return Err(io::Error::other("the snapshot file was cut off"));
        }
    }
    Ok(())
}

/// # Safety
/// As for [`copy_back`].
unsafe fn from_file(region: &Region, content: &Content, pages: &[HotPage]) -> io::Result<()> {
    let mut run: Option<FileRun> = None;
    for (physical, source) in known(pages) {
        let Some(position) = content.position(physical) else {
            // No file was ever mapped here: the page cannot vanish.
            // SAFETY: as the caller promised.
            unsafe { source.copy_to(region.address(physical, PAGE_BYTES)) };
            continue;
        };
        match &mut run {
            Some(run) if run.goes_on_with(physical, position) => run.bytes += PAGE_BYTES,
            _ => {
                let next = FileRun {
                    physical,
                    bytes: PAGE_BYTES,
                    position,
                };
                if let Some(run) = run.replace(next) {
                    run.read(region, content)?;
                }
            }
        }
    }
    run.map_or(Ok(()), |run| run.read(region, content))
}

/// Neighbouring pages that are neighbours in the file, too.
struct FileRun {
    physical: u64,
    bytes: u64,
    position: u64,
}

impl FileRun {
    const fn goes_on_with(&self, physical: u64, position: u64) -> bool {
        physical == self.physical + self.bytes && position == self.position + self.bytes
    }

    fn read(&self, region: &Region, content: &Content) -> io::Result<()> {
        region.read_file(self.physical, self.bytes, content.file(), self.position)
    }
}

/// Addresses and sources of those pages that have one.
fn known(pages: &[HotPage]) -> impl Iterator<Item = (u64, Source)> {
    pages
        .iter()
        .filter_map(|page| Some((page.physical, page.source?)))
}
