//! The static page tables. Written once, never edited while the guest runs, and not
//! mapped anywhere: the guest cannot even read them.
//!
//! Nothing is both writable and executable. Accessed and dirty bits are set in advance,
//! so that neither CPU nor hypervisor writes here.

use host_guest_abi::layout::{
    ARTIFACT, BOOT_INFO, EXCEPTION_STACK_TOP, EXCEPTION_STUBS, GDT, HEAP, IDT, LARGE_PAGE_BYTES,
    MAILBOX, PAGE_BYTES, PAGE_TABLES, STACK, STACK_TOP, SYSTEM_END, TEXT, TEXT_BYTES, TSS,
};

use crate::loader::Segment;
use crate::memory::{Artifact, Plan, Region, round_to_large_page};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A table points to tables of all kinds; the last level decides.
const TABLE: u64 = PRESENT | WRITABLE | USER | ACCESSED;

/// Who may do what with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Ring 3 reads.
    Read,
    /// Ring 3 reads and writes.
    ReadWrite,
    /// Ring 3 reads and executes.
    ReadExecute,
    /// Ring 0 reads.
    SystemRead,
    /// Ring 0 reads and writes.
    SystemReadWrite,
    /// Ring 0 reads and executes.
    SystemReadExecute,
}

impl Rights {
    const fn bits(self) -> u64 {
        PRESENT
            | ACCESSED
            | match self {
                Self::Read => USER | NO_EXECUTE,
                Self::ReadWrite => USER | WRITABLE | DIRTY | NO_EXECUTE,
                Self::ReadExecute => USER,
                Self::SystemRead => NO_EXECUTE,
                Self::SystemReadWrite => WRITABLE | DIRTY | NO_EXECUTE,
                Self::SystemReadExecute => 0,
            }
    }
}

/// The configuration needs more tables than fit their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page tables do not fit; fewer or smaller windows, or less RAM")]
pub struct TablesFull;

/// Writes the tables of a whole sandbox.
///
/// # Errors
/// If they do not fit.
pub fn write(
    memory: &Region,
    plan: &Plan,
    image: &[Segment],
    artifact: Option<&Artifact>,
) -> Result<(), TablesFull> {
    let mut tables = PageTables::new(memory)?;
    tables.map_same(MAILBOX, PAGE_BYTES, Rights::ReadWrite)?;
    tables.map_same(BOOT_INFO, PAGE_BYTES, Rights::Read)?;
    tables.map_same(TEXT, TEXT_BYTES, Rights::ReadWrite)?;

    tables.map_same(GDT, PAGE_BYTES, Rights::SystemRead)?;
    tables.map_same(TSS, PAGE_BYTES, Rights::SystemRead)?;
    tables.map_same(IDT, PAGE_BYTES, Rights::SystemRead)?;
    tables.map_same(EXCEPTION_STUBS, PAGE_BYTES, Rights::SystemReadExecute)?;
    let exception_stack = EXCEPTION_STACK_TOP - PAGE_BYTES;
    tables.map_same(exception_stack, PAGE_BYTES, Rights::SystemReadWrite)?;

    for segment in image {
        let rights = match (segment.writable, segment.executable) {
            (true, _) => Rights::ReadWrite,
            (false, true) => Rights::ReadExecute,
            (false, false) => Rights::Read,
        };
        tables.map_same(segment.address, segment.bytes, rights)?;
    }
    tables.map_same(STACK, STACK_TOP - STACK, Rights::ReadWrite)?;
    tables.map_same(HEAP, plan.ram_bytes - HEAP, Rights::ReadWrite)?;

    if let Some(artifact) = artifact {
        let (code, end) = (artifact.code(), artifact.page_bytes());
        let parts = [
            (0..code.start, Rights::Read),
            (code.clone(), Rights::ReadExecute),
            (code.end..end, Rights::Read),
        ];
        for (part, rights) in parts {
            let (bytes, physical) = (part.end - part.start, plan.arena_end + part.start);
            tables.map(ARTIFACT + part.start, physical, bytes, rights)?;
        }
    }
    for (index, window) in plan.windows.iter().enumerate() {
        // What rounding adds is never accessible on the host side.
        let bytes = round_to_large_page(window.capacity).ok_or(TablesFull)?;
        tables.map(
            Plan::window_address(index),
            window.physical,
            bytes,
            Rights::ReadWrite,
        )?;
    }
    Ok(())
}

/// Tables under construction.
struct PageTables<'m> {
    memory: &'m Region,
    next: u64,
}

impl<'m> PageTables<'m> {
    fn new(memory: &'m Region) -> Result<Self, TablesFull> {
        let mut tables = Self {
            memory,
            next: PAGE_TABLES,
        };
        tables.allocate().map(|_| tables)
    }

    /// Maps guest-virtual to the same guest-physical addresses.
    fn map_same(&mut self, address: u64, bytes: u64, rights: Rights) -> Result<(), TablesFull> {
        self.map(address, address, bytes, rights)
    }

    /// Maps whole pages, large ones wherever they fit.
    fn map(
        &mut self,
        address: u64,
        physical: u64,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), TablesFull> {
        let mut done = 0;
        while done < bytes {
            let (virtual_, physical) = (address + done, physical + done);
            let large = (virtual_ | physical).is_multiple_of(LARGE_PAGE_BYTES)
                && bytes - done >= LARGE_PAGE_BYTES;
            let directory = self.directory(virtual_)?;
            let entry = directory + 8 * index(virtual_, 21);
            if large {
                self.set(entry, physical | rights.bits() | LARGE);
                done += LARGE_PAGE_BYTES;
            } else {
                let table = self.table_at(entry)?;
                self.set(table + 8 * index(virtual_, 12), physical | rights.bits());
                done += PAGE_BYTES;
            }
        }
        Ok(())
    }

    /// The page directory of an address.
    fn directory(&mut self, address: u64) -> Result<u64, TablesFull> {
        let pointers = self.table_at(PAGE_TABLES + 8 * index(address, 39))?;
        self.table_at(pointers + 8 * index(address, 30))
    }

    /// The table that an entry points to, made if there is none.
    fn table_at(&mut self, entry: u64) -> Result<u64, TablesFull> {
        let value = self.get(entry);
        if value & PRESENT != 0 {
            debug_assert_eq!(value & LARGE, 0, "a large page is in the way");
            return Ok(value & ADDRESS);
        }
        let table = self.allocate()?;
        self.set(entry, table | TABLE);
        Ok(table)
    }

    /// The memory is fresh: a new table is empty.
    fn allocate(&mut self) -> Result<u64, TablesFull> {
        let table = self.next;
        if table >= SYSTEM_END {
            return Err(TablesFull);
        }
        self.next += PAGE_BYTES;
        Ok(table)
    }

    fn get(&self, entry: u64) -> u64 {
        self.memory
            .word(entry)
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    fn set(&self, entry: u64, value: u64) {
        self.memory
            .word(entry)
            .store(value, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Index of an address in the table whose entries cover `1 << shift` bytes.
const fn index(address: u64, shift: u32) -> u64 {
    address >> shift & 0x1ff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Access;
    use std::error::Error;

    const MIB: u64 = 1 << 20;

    /// What the CPU would find: physical address and bits of the last level, with its size.
    fn walk(memory: &Region, address: u64) -> Option<(u64, u64)> {
        let mut table = PAGE_TABLES;
        for shift in [39, 30, 21, 12] {
            let word = memory.word(table + 8 * index(address, shift));
            let entry = word.load(std::sync::atomic::Ordering::Relaxed);
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 12 || entry & LARGE != 0 {
                let offset = address & ((1 << shift) - 1);
                return Some(((entry & ADDRESS & !LARGE) + offset, entry & !ADDRESS));
            }
            table = entry & ADDRESS;
        }
        None
    }

    fn tables(plan: &Plan) -> Result<Region, Box<dyn Error>> {
        let memory = Region::reserve(plan.arena_end)?;
        memory.protect(0, plan.ram_bytes, Access::ReadWrite)?;
        write(&memory, plan, &[], None)?;
        Ok(memory)
    }

    #[test]
    fn only_what_is_named_is_mapped() -> Result<(), Box<dyn Error>> {
        let plan = Plan::new(64 * MIB, &[0, 4 * MIB, MIB])?;
        let memory = tables(&plan)?;
        for absent in [
            0,
            0xf_f000,
            0x11_0000,
            PAGE_TABLES,
            EXCEPTION_STACK_TOP - 2 * PAGE_BYTES,
            STACK - 1,
            plan.ram_bytes,
            ARTIFACT,
            Plan::window_address(0),
            Plan::window_address(1) - 1,
            Plan::window_address(1) + 4 * MIB,
            Plan::window_address(2) + 2 * MIB,
            Plan::window_address(3),
        ] {
            assert_eq!(walk(&memory, absent), None, "{absent:#x}");
        }
        let export = walk(&memory, Plan::window_address(1) + 3 * MIB + 5);
        assert_eq!(export.map(|found| found.0), Some(67 * MIB + 5));
        Ok(())
    }

    #[test]
    fn ring_3_cannot_touch_the_system_pages() -> Result<(), Box<dyn Error>> {
        let memory = tables(&Plan::new(32 * MIB, &[0, MIB])?)?;
        for address in (0x20_0000..SYSTEM_END).step_by(0x1000) {
            let user = walk(&memory, address).is_some_and(|(_, bits)| bits & USER != 0);
            assert!(!user, "{address:#x}");
        }
        Ok(())
    }

    #[test]
    fn no_page_is_writable_and_executable() -> Result<(), Box<dyn Error>> {
        let plan = Plan::new(32 * MIB, &[0, MIB])?;
        let memory = tables(&plan)?;
        let window = Plan::window_address(1);
        for address in (0..plan.ram_bytes)
            .chain(window..window + MIB)
            .step_by(0x1000)
        {
            let both = |bits| bits & (WRITABLE | NO_EXECUTE) == WRITABLE;
            let wrong = walk(&memory, address).is_some_and(|(_, bits)| both(bits));
            assert!(!wrong, "{address:#x}");
        }
        Ok(())
    }

    #[test]
    fn the_largest_configurations_fit() -> Result<(), Box<dyn Error>> {
        tables(&Plan::new(64 * MIB, &[480 * MIB; 64])?)?;
        tables(&Plan::new(30 << 30, &[0; 64])?)?;
        Ok(())
    }
}
