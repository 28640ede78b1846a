//! Guest memory as it was at one moment, and how other memory becomes like it.
//!
//! ```text
//! capture   private pages, images, what the last snapshot had  ──►  a sealed file of pages
//! make      the file is mapped copy-on-write, host-side pages are copied, hot ones populated
//! restore   windows whose border moved are put back, hot pages are copied back;
//!           the page tables are looked at unless it is certain that no page is new
//! ```

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use host_guest_abi::layout::{
    EXCEPTION_STACK_TOP, GDT, IMAGE, MAILBOX, PAGE_BYTES, PAGE_TABLES, SYSTEM, SYSTEM_END, TEXT,
    TEXT_BYTES,
};
use host_guest_abi::transfer;

use super::artifact::Artifact;
use super::content::{Content, Extent, Page};
use super::guest_memory::{GuestMemory, MemoryError};
use super::hot_pages::{HOT_PAGES_MAX, HotPage, HotPages, Restored};
use super::plan::Plan;
use super::private_pages::private_pages;
use super::ranges::{coalesce, joined, pages_of, runs, without};
use super::region::{Access, Region};
use super::sealed_file::{memory_file, seal};
use super::units::host_size;
use super::windows::Windows;
use super::working_set::{WorkingSet, always};

/// Windows of the bridges' memories, the first ones.
pub const TRANSFER_WINDOWS: usize = 2;

const FILE_NAME: &CStr = c"hlwasm_snapshot";

/// Memory of a guest that waited for a command.
pub struct MemorySnapshot {
    /// Where what lies.
    pub plan: Plan,
    /// The artifact that the guest has loaded.
    pub artifact: Option<Arc<Artifact>>,
    pub(super) content: Content,
    pub(super) windows: Windows,
    /// Pages that sandboxes made from this write to, learned from those so far.
    pub(super) working_set: WorkingSet,
}

/// What ties the memory of a sandbox to the snapshot that it was made from.
pub struct Base {
    snapshot: Arc<MemorySnapshot>,
    hot: HotPages,
}

impl MemorySnapshot {
    /// Saves memory while nothing runs in it.
    ///
    /// # Errors
    /// If there is no memory for the copy, or a file behind an image was cut off.
    pub fn capture(memory: &GuestMemory, image: &Range<u64>) -> io::Result<Self> {
        let base = memory.base.as_ref().map(|base| &*base.snapshot);
        let (region, plan) = (&memory.region, &memory.plan);
        let mut file_backed = vec![image.clone()];
        file_backed.extend_from_slice(memory.windows.images());
        if let Some(base) = base {
            let extents = base.content.extents().iter();
            file_backed.extend(extents.map(|e| e.physical..e.physical + e.bytes));
        }
        let file_backed = joined(file_backed, 0);
        let mut accessible = memory.windows.accessible_ranges(plan);
        accessible.push(IMAGE..plan.ram_bytes);

        let mut copies = Vec::new();
        scan(region, MAILBOX..EXCEPTION_STACK_TOP, &mut |run| {
            let used = without_zeros(region, &run);
            let pages = used.into_iter().flat_map(pages_of);
            copies.extend(pages.map(|page| copy(region, page, PAGE_BYTES)));
        })?;
        // Tables and stubs stay as they are, so that all sandboxes can have the same pages.
        let mut fixed = Vec::new();
        scan(region, EXCEPTION_STACK_TOP..SYSTEM_END, &mut |run| {
            fixed.extend(without_zeros(region, &run));
        })?;
        fixed.extend(base.into_iter().flat_map(MemorySnapshot::fixed_extents));
        // Between calls nothing in a transfer memory counts but the words before its data.
        for window in plan.windows.iter().take(TRANSFER_WINDOWS) {
            if window.capacity > 0 {
                copies.push(copy(region, window.physical, transfer::DATA));
            }
        }
        let mut pages = Vec::new();
        for range in &accessible {
            scan(region, range.clone(), &mut |run| {
                // Pages of files are taken as a whole, and by the kernel alone: the file may be
                // cut off while this goes on, and to look at one would be a SIGBUS then.
                for own in without(run, &file_backed) {
                    pages.extend(without_zeros(region, &own));
                }
            })?;
            let clip = |r: &Range<u64>| r.start.max(range.start)..r.end.min(range.end);
            pages.extend(file_backed.iter().map(clip).filter(|run| !run.is_empty()));
        }
        let ranges = [joined(fixed, 0), coalesce(pages)].concat();
        let (file, extents) = write_pages(region, ranges)?;
        let working_set = WorkingSet::new(always(&extents, plan.ram_bytes));
        let windows = memory.windows.of_snapshot().mapped_from(plan, &extents);
        Ok(Self {
            plan: plan.clone(),
            artifact: memory.artifact.clone(),
            content: Content::new(file, true, extents, copies),
            windows,
            working_set,
        })
    }

    /// The most bytes of all component windows together, in sandboxes made of this.
    pub const fn total_limit(&self) -> u64 {
        self.windows.total_limit()
    }

    /// Bytes of content.
    pub fn bytes(&self) -> u64 {
        self.content.bytes()
    }

    /// The mapped pages that neither guest nor host can change.
    fn fixed_extents(&self) -> impl Iterator<Item = Range<u64>> {
        let extents = self.content.extents().iter();
        extents
            .map(|extent| extent.physical..extent.physical + extent.bytes)
            .take_while(|range| range.end <= IMAGE)
    }

    /// Whether memory with this plan can be put back to the snapshot without making the
    /// machine anew: its page tables are the same.
    pub fn fits(&self, memory: &GuestMemory) -> bool {
        let layout = |artifact: Option<&Arc<Artifact>>| {
            artifact.map(|artifact| (artifact.page_bytes(), artifact.code().clone()))
        };
        self.plan == memory.plan
            && layout(self.artifact.as_ref()) == layout(memory.artifact.as_ref())
    }

    /// Fills a region, in which nothing is accessible, and says which pages are its own then.
    fn fill(&self, region: &Region) -> io::Result<HotPages> {
        self.windows.open(&self.plan, region)?;
        if let Some(artifact) = &self.artifact {
            let (start, bytes) = (self.plan.arena_end, artifact.page_bytes());
            let copy = artifact.large_copy();
            let file = copy.as_deref().unwrap_or_else(|| artifact.file());
            region.overlay(start, bytes, Access::Read, (file, 0))?;
        }
        // One call of the kernel for each run, and not a fault for each page.
        let copied = runs(self.content.copies().iter().map(|copy| copy.0));
        for run in &copied {
            region.populate(run.start, run.end - run.start);
        }
        self.content.place(region, 0, self.plan.arena_end)?;
        let working_set = self.working_set.pages();
        for run in runs(working_set.iter().map(|page| page.physical)) {
            region.populate(run.start, run.end - run.start);
        }
        let mut hot = HotPages::new(working_set.to_vec());
        let mut own: Vec<_> = copied.into_iter().flat_map(dynamic).collect();
        own.extend(runs(working_set.iter().map(|page| page.physical)));
        own.sort_unstable_by_key(|run| run.start);
        hot.update(region, &self.content, &own, &mut Restored::default())?;
        Ok(hot)
    }

    /// Sandboxes to come start with these pages, as far as they are the guest's own.
    pub(super) fn expect_pages(&self, pages: impl Iterator<Item = u64>) {
        let mut accessible = self.windows.accessible_ranges(&self.plan);
        accessible.push(IMAGE..self.plan.ram_bytes);
        let mut pages: Vec<_> = pages
            .filter(|page| page.is_multiple_of(PAGE_BYTES))
            .filter(|page| accessible.iter().any(|range| range.contains(page)))
            .collect();
        pages.sort_unstable();
        pages.dedup();
        self.working_set
            .set(pages.into_iter().map(HotPage::expected));
    }

    /// Whether sandboxes to come should start with this page, if it is written to: not if it
    /// is copied anyhow, or in a transfer window, where it depends on what is exchanged.
    fn is_worth_expecting(&self, physical: u64) -> bool {
        let mut transfer = self.plan.windows.iter().take(TRANSFER_WINDOWS);
        physical >= IMAGE
            && !transfer.any(|window| {
                (window.physical..window.physical + window.capacity).contains(&physical)
            })
    }

    fn learn(&self, hot: &HotPages) {
        let pages = hot.pages().iter();
        let own = pages.filter(|page| self.is_worth_expecting(page.physical));
        self.working_set.set(own.copied());
    }
}

impl GuestMemory {
    /// Memory like that of a snapshot.
    ///
    /// # Errors
    /// See [`MemoryError`].
    pub fn from_snapshot(snapshot: &Arc<MemorySnapshot>) -> Result<Self, MemoryError> {
        let artifact = snapshot.artifact.as_ref();
        let artifact_bytes = artifact.map_or(0, |artifact| artifact.page_bytes());
        let mut region = Region::reserve(snapshot.plan.arena_end + artifact_bytes)?;
        region.keep_small_pages();
        let hot = snapshot.fill(&region)?;
        Ok(Self {
            region,
            plan: snapshot.plan.clone(),
            artifact: artifact.cloned(),
            windows: snapshot.windows.clone(),
            base: Some(Base {
                snapshot: Arc::clone(snapshot),
                hot,
            }),
        })
    }

    /// Puts memory back to a snapshot that fits it. Nothing may run in it.
    ///
    /// `certain` says that the calling thread alone has touched the memory since the last
    /// restore, and has not had a page fault: there can be no new private pages.
    ///
    /// # Errors
    /// What the kernel says. The memory is in between then, and of no use.
    pub fn restore(
        &mut self,
        snapshot: &Arc<MemorySnapshot>,
        certain: bool,
    ) -> io::Result<Restored> {
        let mut restored = Restored::default();
        let base = self.base.as_mut();
        let Some(base) = base.filter(|base| Arc::ptr_eq(&base.snapshot, snapshot)) else {
            self.rebase(snapshot)?;
            restored.scanned = true;
            return Ok(restored);
        };
        let (region, hot) = (&self.region, &mut base.hot);
        self.windows
            .restore(&snapshot.windows, &self.plan, region, |range| {
                hot.forget(&range);
                restored.scanned = true;
                snapshot.content.place(region, range.start, range.end)
            })?;
        // What was placed anew may be copies, which are hot from the start.
        if !certain || restored.scanned {
            restored.scanned = true;
            let mut own = Vec::new();
            scan(region, MAILBOX..self.plan.arena_end, &mut |run| {
                own.extend(dynamic(run));
            })?;
            hot.update(region, &snapshot.content, &own, &mut restored)?;
            snapshot.learn(hot);
        }
        let dropped = restored.dropped;
        // SAFETY: nothing runs in the memory, and `base` keeps the snapshot.
        unsafe { hot.copy_back(region, &snapshot.content, &mut restored)? };
        if restored.dropped > dropped {
            snapshot.learn(hot);
        }
        Ok(restored)
    }

    /// Makes memory anew in the same place.
    fn rebase(&mut self, snapshot: &Arc<MemorySnapshot>) -> io::Result<()> {
        self.base = None;
        self.region.keep_small_pages();
        self.region.renew(0, self.region.bytes(), Access::None)?;
        let hot = snapshot.fill(&self.region)?;
        self.artifact.clone_from(&snapshot.artifact);
        self.windows = snapshot.windows.clone();
        self.base = Some(Base {
            snapshot: Arc::clone(snapshot),
            hot,
        });
        Ok(())
    }

    /// Has sandboxes to come learn from this one, which is freed.
    ///
    /// # Errors
    /// If the kernel does not tell which pages are its own.
    pub fn teach(&self) -> io::Result<()> {
        let Some(base) = &self.base else {
            return Ok(());
        };
        let snapshot = &base.snapshot;
        let mut accessible = snapshot.windows.accessible_ranges(&self.plan);
        accessible.push(IMAGE..self.plan.ram_bytes);
        accessible.sort_unstable_by_key(|range| range.start);
        let mut pages = Vec::new();
        for range in accessible {
            scan(&self.region, range, &mut |run| {
                // One more than are of use says that they are too many.
                let room = HOT_PAGES_MAX + 1 - pages.len();
                let expected = pages_of(run).filter(|&page| snapshot.is_worth_expecting(page));
                pages.extend(expected.take(room));
            })?;
        }
        // It started with some, which are its own whether it has written to them or not.
        let mut unchanged = Vec::new();
        for &page in &pages {
            // SAFETY: the sandbox is freed, so nothing runs in the region.
            if unsafe {
                base.hot
                    .is_unchanged(&self.region, &snapshot.content, page)?
            } {
                unchanged.push(page);
            }
        }
        snapshot.working_set.learn_from_freed(pages, &unchanged);
        if let Some(artifact) = &snapshot.artifact {
            artifact.clone_freed();
        }
        Ok(())
    }

    /// The snapshot that the memory was made from or last put back to.
    pub fn snapshot(&self) -> Option<&Arc<MemorySnapshot>> {
        self.base.as_ref().map(|base| &base.snapshot)
    }
}

/// Calls `found` with the runs of private pages of a guest-physical range.
pub fn scan(
    region: &Region,
    range: Range<u64>,
    found: &mut dyn FnMut(Range<u64>),
) -> io::Result<()> {
    let start = region.address(range.start, range.end - range.start).addr() as u64;
    let end = start + (range.end - range.start);
    private_pages(start..end, &mut |run| {
        found(run.start - start + range.start..run.end - start + range.start);
    })
}

/// The parts of a run that can change after a snapshot. The system's own pages cannot:
/// the guest may not write there, and neither CPU nor hypervisor has a reason to, but for
/// the exception stack.
pub fn dynamic(run: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    const PARTS: [Range<u64>; 4] = [
        MAILBOX..MAILBOX + PAGE_BYTES,
        TEXT..TEXT + TEXT_BYTES,
        SYSTEM..EXCEPTION_STACK_TOP,
        SYSTEM_END..u64::MAX,
    ];
    const { assert!(MAILBOX < TEXT && TEXT + TEXT_BYTES <= SYSTEM && SYSTEM_END == IMAGE) };
    const { assert!(EXCEPTION_STACK_TOP == GDT && GDT < PAGE_TABLES && PAGE_TABLES < IMAGE) };
    let inside = run.clone();
    PARTS
        .into_iter()
        .map(move |part| part.start.max(inside.start)..part.end.min(inside.end))
        .filter(|part| !part.is_empty())
}

/// The parts of a run of private pages that are not all zeros.
fn without_zeros(region: &Region, run: &Range<u64>) -> Vec<Range<u64>> {
    let used = pages_of(run.clone()).filter(|&page| {
        let words = (page..page + PAGE_BYTES).step_by(8);
        words.into_iter().any(|word| {
            let word = region.word(word);
            word.load(std::sync::atomic::Ordering::Relaxed) != 0
        })
    });
    runs(used)
}

/// The first bytes of a page, as a page to be copied.
fn copy(region: &Region, physical: u64, bytes: u64) -> (u64, Box<Page>) {
    let (mut page, mut read) = (Page::new(), Vec::new());
    region.read(physical, bytes, &mut read);
    page.bytes_mut()[..read.len()].copy_from_slice(&read);
    (physical, page)
}

/// Writes pages to a new file and seals it.
fn write_pages(region: &Region, ranges: Vec<Range<u64>>) -> io::Result<(File, Vec<Extent>)> {
    let file = memory_file(FILE_NAME)?;
    let mut position = 0;
    let mut extents = Vec::with_capacity(ranges.len());
    for range in ranges {
        let bytes = range.end - range.start;
        write_run(region, &range, &file, position)?;
        extents.push(Extent {
            physical: range.start,
            bytes,
            position,
        });
        position += bytes;
    }
    seal(&file)?;
    Ok((file, extents))
}

/// By the kernel, to which a page that cannot be read is an error and no SIGBUS.
fn write_run(region: &Region, run: &Range<u64>, file: &File, position: u64) -> io::Result<()> {
    let bytes = run.end - run.start;
    let (mut source, mut left) = (region.address(run.start, bytes), host_size(bytes));
    let mut position = libc::off_t::try_from(position).map_err(io::Error::other)?;
    while left > 0 {
        // SAFETY: the source is inside the region, and only the kernel reads it.
        let written =
            unsafe { libc::pwrite(file.as_raw_fd(), source.cast_const().cast(), left, position) };
        let Ok(count @ 1..) = usize::try_from(written) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        // SAFETY: so many bytes of the source were read.
        source = unsafe { source.add(count) };
        position += libc::off_t::try_from(written).map_err(io::Error::other)?;
        left -= count;
    }
    Ok(())
}
