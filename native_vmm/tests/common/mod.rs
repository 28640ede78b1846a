//! What the integration tests share.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod canaries;
pub mod elf;
pub mod micro_guest;
pub mod refusal;

use std::error::Error;
use std::fs::File;
use std::io::{Seek, Write};

use native_vmm::hypervisor::{Driver, kvm};
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError};

use micro_guest::Do;

pub type TestResult = Result<(), Box<dyn Error>>;

pub const MIB: u64 = 1 << 20;
pub const PAGE: u64 = 4096;
pub const READ_WRITE: u64 = 3;

/// Windows of the test sandboxes: two transfer windows and two of the component.
pub const WINDOWS: [u64; 4] = [MIB, 2 * MIB, 16 * MIB, 4 * MIB];

/// Whether there is a hypervisor. If not, says so, or fails where one is demanded.
pub fn hypervisor() -> bool {
    let Err(reason) = kvm::System::shared() else {
        return true;
    };
    let demanded = std::env::var_os("HLWASM_REQUIRE_KVM").is_some_and(|value| value == "1");
    assert!(!demanded, "HLWASM_REQUIRE_KVM=1, but {reason}");
    eprintln!("SKIPPED, no hypervisor: {reason}");
    false
}

/// A KVM sandbox with the micro guest; `None` without a hypervisor.
pub fn micro_sandbox() -> Result<Option<Sandbox>, Box<dyn Error>> {
    if !hypervisor() {
        return Ok(None);
    }
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?;
    Ok(Some(Sandbox::new(
        config.with_image(micro_guest::image()?),
    )?))
}

/// The text of the last exit.
pub fn text(sandbox: &Sandbox) -> String {
    String::from_utf8_lossy(&sandbox.text().unwrap_or_default()).into_owned()
}

/// The two values of a command that ended well.
pub fn done(exit: Exit) -> [u64; 2] {
    match exit {
        Exit::Done { values } => values,
        other => panic!("{other:?} is not the end of the command"),
    }
}

/// Has the micro guest store a word.
pub fn store(sandbox: &Sandbox, address: u64, value: u64) -> TestResult {
    done(sandbox.command(Do::Store.code(), &[address, value])?);
    Ok(())
}

/// What the micro guest loads from an address.
pub fn load(sandbox: &Sandbox, address: u64) -> Result<u64, SandboxError> {
    Ok(done(sandbox.command(Do::Load.code(), &[address])?)[0])
}

/// Has the micro guest make a request.
pub fn request(sandbox: &Sandbox, code: u64, arguments: [u64; 4]) -> Result<Exit, SandboxError> {
    let [a, b, c, d] = arguments;
    sandbox.command(Do::Request.code(), &[code, a, b, c, d])
}

/// The request must be answered with this errno.
pub fn answered(sandbox: &Sandbox, code: u64, arguments: [u64; 4], errno: i32) -> TestResult {
    let answer = done(request(sandbox, code, arguments)?);
    assert_eq!(
        answer,
        [u64::from(errno.unsigned_abs()), 0],
        "{code} {arguments:x?}"
    );
    Ok(())
}

/// An artifact with one page of code between two pages of data, and 100 bytes more.
pub fn artifact() -> Result<(File, u64), Box<dyn Error>> {
    // SAFETY: makes a new file descriptor, or fails.
    let fd = unsafe { libc::memfd_create(c"artifact".as_ptr(), 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just made, and ours.
    let mut file: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    let page = usize::try_from(PAGE)?;
    let mut bytes = vec![0; 3 * page + 100];
    bytes[page..2 * page].fill(0xcc);
    bytes[2 * page..].fill(0xdd);
    // xor r13d, r13d; ud2
    bytes[page..page + 5].copy_from_slice(&[0x45, 0x31, 0xed, 0x0f, 0x0b]);
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = 62;
    bytes[40] = 64;
    bytes[58] = 64;
    bytes[60] = 1;
    bytes[64 + 4] = 1;
    bytes[64 + 8] = 6;
    bytes[64 + 24..64 + 32].copy_from_slice(&PAGE.to_le_bytes());
    bytes[64 + 32..64 + 40].copy_from_slice(&PAGE.to_le_bytes());
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok((file, bytes.len() as u64))
}
