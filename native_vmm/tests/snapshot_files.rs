//! Snapshots in files: round trips, and files that are damaged or forged.

mod common;

use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;

use common::micro_guest::{self, DATA, Do};
use common::{MIB, PAGE, READ_WRITE, TestResult, WINDOWS, answered, done, hypervisor, load, store};
use host_guest_abi::exit::EXIT_PROTECT;
use host_guest_abi::layout::{EXCEPTION_STUBS, PAGE_TABLES, STACK_TOP};
use native_vmm::hypervisor::Driver;
use native_vmm::memory::Plan;
use native_vmm::sandbox::{Config, Exit, FileError, Sandbox, SandboxError, Snapshot};

/// Our part of a file does not start at its beginning.
const POSITION: u64 = 3 * PAGE;

fn config(windows: &[u64]) -> Result<Config, Box<dyn std::error::Error>> {
    let config = Config::new(Driver::Kvm, 64 * MIB, windows)?;
    Ok(config.with_image(micro_guest::image()?))
}

fn memory_file() -> std::io::Result<File> {
    // SAFETY: makes a new descriptor or fails.
    let fd = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// A saved guest: its file, our part's length, and the record.
struct Saved {
    file: File,
    bytes: u64,
    record: String,
}

fn saved() -> Result<Option<Saved>, Box<dyn std::error::Error>> {
    if !hypervisor() {
        return Ok(None);
    }
    let sandbox = Sandbox::new(config(&WINDOWS)?)?;
    done(sandbox.command(Do::HandleTraps.code(), &[])?);
    let window = Plan::window_address(2);
    answered(&sandbox, EXIT_PROTECT, [window, MIB, READ_WRITE, 0], 0)?;
    for (address, value) in [
        (DATA, 1),
        (STACK_TOP - 8, 2),
        (0xf0_0000, 3),
        (window + PAGE, 4),
    ] {
        store(&sandbox, address, value)?;
    }
    let file = memory_file()?;
    let (bytes, record) = sandbox.snapshot()?.save(&file, POSITION)?;
    Ok(Some(Saved {
        file,
        bytes,
        record,
    }))
}

impl Saved {
    fn load(&self, record: &str) -> Result<Snapshot, Box<dyn std::error::Error>> {
        self.load_into(config(&WINDOWS)?, record)
    }

    fn load_into(
        &self,
        config: Config,
        record: &str,
    ) -> Result<Snapshot, Box<dyn std::error::Error>> {
        let file = self.file.try_clone()?;
        Ok(Snapshot::load(
            config,
            file,
            POSITION,
            self.bytes,
            record.as_bytes(),
        )?)
    }
}

#[test]
fn the_limit_of_all_windows_is_the_loaders() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let limited = |bytes| -> Result<Config, Box<dyn std::error::Error>> {
        Ok(config(&WINDOWS)?.with_total_memory(bytes))
    };
    let refused = saved.load_into(limited(MIB - 1)?, &saved.record).err();
    let refused = refused.ok_or("accepted")?.downcast::<FileError>()?;
    assert!(matches!(*refused, FileError::OtherLayout), "{refused}");
    let snapshot = saved.load_into(limited(MIB)?, &saved.record)?;
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    let more = [Plan::window_address(3), PAGE, READ_WRITE, 0];
    answered(&sandbox, EXIT_PROTECT, more, libc::ENOMEM)
}

#[test]
fn a_guest_comes_back_from_a_file() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let snapshot = saved.load(&saved.record)?;
    let window = Plan::window_address(2);
    for _ in 0..3 {
        let sandbox = Sandbox::from_snapshot(&snapshot)?;
        for (address, value) in [
            (DATA, 1),
            (STACK_TOP - 8, 2),
            (0xf0_0000, 3),
            (window + PAGE, 4),
        ] {
            assert_eq!(load(&sandbox, address)?, value);
            store(&sandbox, address, 9)?;
        }
        sandbox.restore(&snapshot, true)?;
        assert_eq!(load(&sandbox, window + PAGE)?, 4);
        // It handles traps as before.
        let exit = sandbox.command(Do::Load.code(), &[window + 2 * MIB])?;
        assert!(matches!(exit, Exit::Failed { .. }), "{exit:?}");
    }
    // Saved once more, from the file.
    let file = memory_file()?;
    let (bytes, record) = snapshot.save(&file, 0)?;
    let again = Snapshot::load(config(&WINDOWS)?, file, 0, bytes, record.as_bytes())?;
    assert_eq!(load(&Sandbox::from_snapshot(&again)?, 0xf0_0000)?, 3);
    Ok(())
}

#[test]
fn a_file_of_another_sandbox_is_refused() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let file = saved.file.try_clone()?;
    let record = saved.record.as_bytes();
    let other = Snapshot::load(config(&[MIB, MIB])?, file, POSITION, saved.bytes, record);
    assert!(matches!(other, Err(FileError::OtherLayout)));
    let foreign = saved.record.replace("\"cpu\":\"", "\"cpu\":\"time_travel ");
    let error = saved.load(&foreign).err().ok_or("loaded")?.to_string();
    assert!(error.contains("here missing: time_travel;"), "{error}");
    Ok(())
}

#[test]
fn what_a_guest_cannot_have_written_is_not_taken_from_a_file() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let copy = format!("\"copies\":[[{PAGE_TABLES},{POSITION}],");
    for forged in [
        saved.record.replace("\"copies\":[", &copy),
        saved.record.replace(
            "\"copies\":[",
            &copy.replace(&PAGE_TABLES.to_string(), &EXCEPTION_STUBS.to_string()),
        ),
        saved.record.replace(
            "\"extents\":[",
            &format!("\"extents\":[[{PAGE_TABLES},4096,{POSITION}],"),
        ),
        saved.record.replace(
            "\"extents\":[",
            "\"extents\":[[4194304,18446744073709547520,12288],",
        ),
        saved
            .record
            .replace("\"sequence\"", "\"surprise\":1,\"sequence\""),
    ] {
        assert_ne!(forged, saved.record);
        let error = saved.load(&forged).err().ok_or("loaded")?.to_string();
        assert!(error.contains("damaged"), "{error}");
    }
    Ok(())
}

/// A small generator, so that failures can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or(0)
    }
}

#[test]
fn damaged_files_end_in_errors_or_in_guests_that_are_confined() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let mut random = Random(0x5eed);
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..2000 {
        let mut record = saved.record.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let index = random.below(record.len());
            match random.below(4) {
                0 => record[index] = b'0' + u8::try_from(random.below(10))?,
                1 => drop(record.remove(index)),
                2 => record.insert(index, b'9'),
                _ => record.truncate(index.max(1)),
            }
        }
        let file = saved.file.try_clone()?;
        match Snapshot::load(config(&WINDOWS)?, file, POSITION, saved.bytes, &record) {
            Err(_) => refused += 1,
            Ok(snapshot) if loaded < 60 => {
                loaded += 1;
                let sandbox = Sandbox::from_snapshot(&snapshot)?;
                sandbox.limit_time(native_vmm::deadline::TimeLimits {
                    wall: 20_000_000,
                    cpu: 0,
                })?;
                // Whatever it does, it does inside.
                let _ = sandbox.command(Do::Nothing.code(), &[]);
            }
            Ok(_) => {}
        }
    }
    assert!(refused > 1000, "{refused} of 2000");
    Ok(())
}

#[test]
fn a_file_cut_off_later_ends_its_guests_and_nothing_else() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let snapshot = saved.load(&saved.record)?;
    let before = Sandbox::from_snapshot(&snapshot)?;
    assert_eq!(load(&before, DATA)?, 1);
    saved.file.set_len(POSITION + PAGE)?;
    let short = saved.load(&saved.record).err().ok_or("loaded")?.to_string();
    assert!(short.contains("shorter"), "{short}");
    for sandbox in [Ok(before), Sandbox::from_snapshot(&snapshot)]
        .into_iter()
        .flatten()
    {
        sandbox.limit_time(native_vmm::deadline::TimeLimits {
            wall: 50_000_000,
            cpu: 0,
        })?;
        for address in [0xf0_0000, Plan::window_address(2) + PAGE, DATA] {
            let _ = sandbox.command(Do::Load.code(), &[address]);
        }
        let _ = sandbox.restore(&snapshot, false);
    }
    // A guest that comes from elsewhere is as well as ever.
    let other = Sandbox::new(config(&WINDOWS)?)?;
    assert_eq!(load(&other, DATA)?, 0);
    Ok(())
}

#[test]
fn a_file_cut_off_while_its_pages_are_hot_is_an_error_of_the_restore() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let snapshot = saved.load(&saved.record)?;
    let sandbox = Sandbox::from_snapshot(&snapshot)?;
    for _ in 0..10 {
        for address in [DATA, 0xf0_0000, Plan::window_address(2) + PAGE] {
            store(&sandbox, address, 9)?;
        }
        sandbox.restore(&snapshot, true)?;
    }
    // What the sandbox has written to vanishes, too.
    saved.file.set_len(POSITION)?;
    let restored = sandbox.restore(&snapshot, true);
    assert!(
        matches!(restored, Err(SandboxError::Snapshot(_))),
        "{restored:?}"
    );
    drop(sandbox);
    // A guest that comes from elsewhere is as well as ever.
    let other = Sandbox::new(config(&WINDOWS)?)?;
    assert_eq!(load(&other, DATA)?, 0);
    Ok(())
}

/// The file is cut off at any moment of a capture, also while its pages are looked at: those
/// that the guest has filled with zeros take longest.
#[test]
fn a_file_cut_off_while_a_snapshot_is_taken_is_an_error() -> TestResult {
    let Some(saved) = saved()? else {
        return Ok(());
    };
    let window = Plan::window_address(2);
    let filled = |sandbox: &Sandbox, value| -> TestResult {
        done(sandbox.command(Do::Fill.code(), &[window, MIB, value])?);
        Ok(())
    };
    let whole = Sandbox::from_snapshot(&saved.load(&saved.record)?)?;
    filled(&whole, 1)?;
    let file = memory_file()?;
    let (bytes, record) = whole.snapshot()?.save(&file, 0)?;
    let mut content = vec![0; usize::try_from(bytes)?];
    file.read_exact_at(&mut content, 0)?;
    let (mut taken, mut refused) = (0, 0);
    for round in 0..200 {
        file.write_all_at(&content, 0)?;
        let snapshot = Snapshot::load(
            config(&WINDOWS)?,
            file.try_clone()?,
            0,
            bytes,
            record.as_bytes(),
        )?;
        let sandbox = Sandbox::from_snapshot(&snapshot)?;
        filled(&sandbox, 0)?;
        let cutter = file.try_clone()?;
        let cut = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_micros(round * 5));
            cutter.set_len(0)
        });
        match sandbox.snapshot() {
            Ok(_) => taken += 1,
            Err(SandboxError::Snapshot(_)) => refused += 1,
            Err(error) => return Err(error.into()),
        }
        cut.join().map_err(|_| "it panicked")??;
    }
    assert!(refused > 0, "{taken} taken, {refused} refused");
    Ok(())
}
