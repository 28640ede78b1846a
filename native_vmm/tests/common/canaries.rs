//! All that a guest can see of its sandbox, compared with a sandbox that nothing ran in.

use std::error::Error;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use host_guest_abi::exit::{EXIT_IMAGE, EXIT_PROTECT, EXIT_RELEASE, EXIT_REMAP};
use host_guest_abi::layout::{
    ARTIFACT, HEAP, MAILBOX, PAGE_BYTES, STACK, STACK_TOP, TEXT, TEXT_BYTES,
};
use native_vmm::deadline::TimeLimits;
use native_vmm::hypervisor::Driver;
use native_vmm::kick::Reason;
use native_vmm::memory::memory_file;
use native_vmm::memory::{Plan, host_size};
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, Snapshot, vm_pool};

use super::micro_guest::{self, DATA, DUMP, DUMP_EXTENDED, Do, End, SAVED};
use super::{MIB, READ_WRITE, TestResult, answered, artifact, done, request};

const RAM: u64 = 32 * MIB;
/// Small, for all of it is read after each restore.
const WINDOWS: [u64; 4] = [MIB, 2 * MIB, 6 * MIB, 2 * MIB];
/// What the guest leaves everywhere.
const CANARY: u64 = 0xa5;

const fn window(index: usize) -> u64 {
    Plan::window_address(index)
}

/// Of the sandboxes of these tests.
pub fn config() -> Result<Config, Box<dyn Error>> {
    let (file, bytes) = artifact()?;
    let config = Config::new(Driver::Kvm, RAM, &WINDOWS)?.with_artifact(file, bytes)?;
    Ok(config.with_image(micro_guest::image()?))
}

/// The same snapshot by way of a file.
pub fn reloaded(snapshot: &Snapshot) -> Result<Snapshot, Box<dyn Error>> {
    let file = memory_file(c"test")?;
    let (bytes, record) = snapshot.save(&file, 0)?;
    Ok(Snapshot::load(
        config()?,
        file,
        0,
        bytes,
        record.as_bytes(),
    )?)
}

/// A guest with content of every kind, and a snapshot of it.
pub fn prepared() -> Result<(Sandbox, Snapshot), Box<dyn Error>> {
    let sandbox = Sandbox::new(config()?)?;
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    for (index, bytes) in [(2, MIB), (3, MIB)] {
        let range = [window(index), bytes, READ_WRITE, 0];
        answered(&sandbox, EXIT_PROTECT, range, 0)?;
    }
    let image = [ARTIFACT, window(3), 2 * PAGE_BYTES, 0];
    answered(&sandbox, EXIT_IMAGE, image, 0)?;
    let places = [
        DATA,
        STACK_TOP - 8,
        HEAP,
        HEAP + 5 * MIB,
        TEXT,
        window(0) + 0x20,
        window(2) + 0x1000,
        window(3) + 0x1800,
    ];
    for (value, place) in (1..).zip(places) {
        done(sandbox.command(Do::Store.code(), &[place, value])?);
    }
    let snapshot = sandbox.snapshot()?;
    Ok((sandbox, snapshot))
}

/// What the memory of a sandbox holds where the guest can read it, and what may be done where.
pub struct Memory {
    rights: Vec<(Range<u64>, String)>,
    pages: Vec<(Range<u64>, Vec<u8>)>,
}

impl Memory {
    /// Reads it in a thread of its own: its page faults are not those of the caller.
    pub fn of(sandbox: &Sandbox) -> Result<Self, Box<dyn Error>> {
        let place = sandbox.transfer_window(0)?.ok_or("no transfer window")?;
        let base = place.0.addr() as u64 - sandbox.physical(window(0), 1)?;
        let last = sandbox.physical(window(3), 1)? + WINDOWS[3];
        let read = std::thread::spawn(move || {
            Self::read(base, base + last).map_err(|error| error.to_string())
        });
        Ok(read.join().map_err(|_| "it panicked")??)
    }

    fn read(start: u64, end: u64) -> Result<Self, Box<dyn Error>> {
        let mut rights: Vec<(Range<u64>, String)> = Vec::new();
        for line in fs::read_to_string("/proc/self/maps")?.lines() {
            let (range, rest) = line.split_once(' ').ok_or("a line without a space")?;
            let (from, to) = range.split_once('-').ok_or("a range without a dash")?;
            let from = u64::from_str_radix(from, 16)?.max(start);
            let to = u64::from_str_radix(to, 16)?.min(end);
            if from >= to {
                continue;
            }
            let (range, right) = (from - start..to - start, &rest[..3]);
            match rights.last_mut() {
                Some((last, other)) if last.end == range.start && other == right => {
                    last.end = range.end;
                }
                _ => rights.push((range, right.to_owned())),
            }
        }
        let memory = File::open("/proc/self/mem")?;
        let mut pages = Vec::new();
        for (range, right) in &rights {
            if right.starts_with('r') {
                let mut bytes = vec![0; host_size(range.end - range.start)];
                memory.read_exact_at(&mut bytes, start + range.start)?;
                pages.push((range.clone(), bytes));
            }
        }
        Ok(Self { rights, pages })
    }

    /// They are the same, byte for byte.
    pub fn assert_is(&self, fresh: &Self, what: &str) {
        assert_eq!(self.rights, fresh.rights, "{what}: rights");
        for ((range, mine), (_, theirs)) in self.pages.iter().zip(&fresh.pages) {
            if mine != theirs {
                let different = mine.iter().zip(theirs).position(|(a, b)| a != b);
                let offset = different.unwrap_or(0);
                let (mine, theirs) = (mine[offset], theirs[offset]);
                let address = range.start + offset as u64;
                panic!("{what}: {mine:#x} instead of {theirs:#x} at {address:#x}");
            }
        }
    }

    fn bytes(&self, physical: u64, count: usize) -> Vec<u8> {
        let inside = |(range, _): &&(Range<u64>, Vec<u8>)| range.contains(&physical);
        self.pages
            .iter()
            .find(inside)
            .map_or(vec![], |(range, bytes)| {
                let start = host_size(physical - range.start);
                bytes[start..start + count].to_vec()
            })
    }
}

/// All registers that a command begins with.
#[derive(Debug, PartialEq, Eq)]
pub struct Registers {
    general: Vec<u8>,
    extended: Vec<u8>,
}

impl Registers {
    /// As the guest finds them at its next command.
    pub fn of(sandbox: &Sandbox) -> Result<Self, Box<dyn Error>> {
        done(sandbox.command(Do::Dump.code(), &[])?);
        let memory = Memory::of(sandbox)?;
        let mut general = memory.bytes(SAVED, 9 * 8);
        general.extend(memory.bytes(DUMP, 68));
        // Without what the CPU notes for itself: which parts are as after a reset.
        let mut extended = memory.bytes(DUMP_EXTENDED, 464);
        extended.extend(memory.bytes(DUMP_EXTENDED + 576, 256));
        Ok(Self { general, extended })
    }

    /// They are the same. Vector and x87 registers count unless the last command ended well:
    /// after such a one it is the guest that clears them, before anything else.
    pub fn assert_is(&self, fresh: &Self, clean: bool, what: &str) {
        assert_eq!(self.general, fresh.general, "{what}: general registers");
        let same = self.extended == fresh.extended;
        assert!(clean || same, "{what}: vector registers");
    }
}

/// How a request ends.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// Of itself, so.
    Guest(End),
    /// An access beyond the border of a window.
    Border,
    /// A guard page.
    Guard,
    /// A stack that overflows.
    Overflow,
    /// It overwrites the mailbox.
    Mailbox,
    /// Kicked from outside.
    Kick,
    /// By its deadline.
    Deadline,
    /// A kick that comes when it has ended.
    Late,
}

/// Every way.
pub const WAYS: [Way; 17] = [
    Way::Guest(End::Well),
    Way::Guest(End::Invalid),
    Way::Guest(End::Spin),
    Way::Guest(End::HostCall),
    Way::Guest(End::Panic),
    Way::Guest(End::Log),
    Way::Guest(End::Divide),
    Way::Guest(End::Violation),
    Way::Guest(End::Request),
    Way::Border,
    Way::Guard,
    Way::Overflow,
    Way::Mailbox,
    Way::Kick,
    Way::Deadline,
    Way::Late,
    Way::Guest(End::Load),
];

impl Way {
    /// Fills all registers and ends.
    pub fn end(self, sandbox: &Sandbox) -> Result<Exit, Box<dyn Error>> {
        let spoil = |end: End, address| sandbox.command(Do::Spoil.code(), &[end.code(), address]);
        let exit = match self {
            Self::Guest(End::Spin) | Self::Kick => {
                sandbox.kick();
                spoil(End::Spin, 0)?
            }
            // The address counts for a load only: it is not aligned, and the CPU checks that.
            Self::Guest(end) => spoil(end, DATA + 1)?,
            Self::Border => spoil(End::Load, window(2) + WINDOWS[2] - 8)?,
            Self::Guard => spoil(End::Load, window(2) - 8)?,
            Self::Overflow => sandbox.command(Do::Overflow.code(), &[])?,
            Self::Mailbox => sandbox.command(Do::Fill.code(), &[MAILBOX, PAGE_BYTES, CANARY])?,
            Self::Deadline => {
                let wall = 300_000;
                sandbox.limit_time(TimeLimits { wall, cpu: 0 })?;
                let mut exit = spoil(End::Spin, 0)?;
                while exit == (Exit::Interrupted { reason: None }) {
                    exit = sandbox.resume()?;
                }
                sandbox.limit_time(TimeLimits::default())?;
                let reason = Some(Reason::Deadline);
                assert_eq!(exit, Exit::Interrupted { reason });
                exit
            }
            Self::Late => {
                let exit = spoil(End::Well, 0)?;
                sandbox.kick();
                exit
            }
        };
        Ok(exit)
    }
}

/// How much a request writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A page of each kind: these are copied back.
    Pages,
    /// More than a restore copies back: they are dropped.
    Everything,
    /// Its windows end elsewhere, too, and are mapped anew.
    Borders,
}

/// Every extent.
pub const EXTENTS: [Extent; 3] = [Extent::Pages, Extent::Everything, Extent::Borders];

/// Leaves canaries in all memory of that extent that the guest can write to.
pub fn spoil(sandbox: &Sandbox, extent: Extent) -> TestResult {
    let fill = |address, bytes| -> Result<(), SandboxError> {
        done(sandbox.command(Do::Fill.code(), &[address, bytes, CANARY])?);
        Ok(())
    };
    if extent == Extent::Borders {
        // Smaller, larger, given back, replaced by zeros or by an image.
        let (two, three) = (window(2), window(3));
        let half = [two + MIB / 2, MIB / 2, 0, 0];
        // Refused where the window ended elsewhere.
        request(sandbox, EXIT_PROTECT, half)?;
        answered(sandbox, EXIT_PROTECT, [two, 4 * MIB, READ_WRITE, 0], 0)?;
        fill(two, 4 * MIB)?;
        answered(sandbox, EXIT_RELEASE, [3, 0, 0, 0], 0)?;
        answered(sandbox, EXIT_PROTECT, [three, 2 * MIB, READ_WRITE, 0], 0)?;
        fill(three, 2 * MIB)?;
        let zeros = [three + MIB, MIB, READ_WRITE, 0];
        request(sandbox, EXIT_REMAP, zeros)?;
        request(sandbox, EXIT_IMAGE, [ARTIFACT, two, PAGE_BYTES, 0])?;
    }
    let whole = |bytes| {
        if extent == Extent::Everything {
            bytes
        } else {
            PAGE_BYTES
        }
    };
    fill(DATA, 0x3000)?;
    fill(HEAP, whole(RAM - HEAP))?;
    fill(HEAP + 9 * MIB, PAGE_BYTES)?;
    fill(STACK, whole(STACK_TOP - STACK))?;
    fill(STACK_TOP - PAGE_BYTES, PAGE_BYTES)?;
    fill(TEXT, TEXT_BYTES)?;
    fill(MAILBOX + 0x900, PAGE_BYTES - 0x900)?;
    fill(window(0), whole(WINDOWS[0]))?;
    fill(window(1), whole(WINDOWS[1]))?;
    let accessible = sandbox.accessible(2)?;
    fill(window(2), whole(accessible))?;
    fill(window(2) + accessible - 8, 8)?;
    fill(window(3), whole(sandbox.accessible(3)?))?;
    // The exception stack.
    let _ = sandbox.command(Do::Divide.code(), &[])?;
    Ok(())
}

/// What a guest finds in a sandbox that nothing was done in.
pub struct Fresh {
    pub memory: Memory,
    pub registers: Registers,
    /// With its windows grown as far as they can.
    pub grown: Memory,
}

/// That of a snapshot.
pub fn fresh(snapshot: &Snapshot) -> Result<Fresh, Box<dyn Error>> {
    vm_pool::limit(Some(0));
    let sandbox = Sandbox::from_snapshot(snapshot)?;
    let memory = Memory::of(&sandbox)?;
    let registers = Registers::of(&sandbox)?;
    let grown = grown(&Sandbox::from_snapshot(snapshot)?)?;
    Ok(Fresh {
        memory,
        registers,
        grown,
    })
}

/// Restores after every extent and each of these ways.
pub fn restores(ways: &[Way]) -> TestResult {
    let (_original, snapshot) = prepared()?;
    restores_to(&snapshot, ways)
}

/// The same to a snapshot of a prepared guest.
pub fn restores_to(snapshot: &Snapshot, ways: &[Way]) -> TestResult {
    let clean = fresh(snapshot)?;
    let sandbox = Sandbox::from_snapshot(snapshot)?;
    for extent in EXTENTS {
        // All of memory takes its time.
        let step = if extent == Extent::Everything { 4 } else { 1 };
        for way in ways.iter().step_by(step) {
            let what = format!("{extent:?}, {way:?}");
            spoil(&sandbox, extent)?;
            let exit = way.end(&sandbox)?;
            sandbox.restore(snapshot, true)?;
            Memory::of(&sandbox)?.assert_is(&clean.memory, &what);
            let found = Registers::of(&sandbox)?;
            found.assert_is(&clean.registers, matches!(exit, Exit::Done { .. }), &what);
            sandbox.restore(snapshot, true)?;
            grown(&sandbox)?.assert_is(&clean.grown, &what);
            sandbox.restore(snapshot, true)?;
            // Pages are found the first time, and known the second.
            spoil(&sandbox, extent)?;
            way.end(&sandbox)?;
            sandbox.restore(snapshot, true)?;
            Memory::of(&sandbox)?.assert_is(&clean.memory, &what);
        }
    }
    Ok(())
}

/// What appears when the windows grow as far as they can.
pub fn grown(sandbox: &Sandbox) -> Result<Memory, Box<dyn Error>> {
    for index in [2, 3] {
        let bytes = WINDOWS[index] - MIB;
        let range = [window(index) + MIB, bytes, READ_WRITE, 0];
        answered(sandbox, EXIT_PROTECT, range, 0)?;
    }
    Memory::of(sandbox)
}
