//! System calls that fail, one at a time, at every step of a sandbox's life.
//!
//! The kernel itself is told to refuse them: a seccomp filter on one thread, while the others
//! go on as ever. Whatever fails, there is an error, no crash and no leak; and a sandbox is
//! either as it was or says that it is unusable.

mod common;

use std::error::Error;
use std::fs;

use common::micro_guest::{self, DATA, Do};
use common::refusal::{Refused, call, ioctl, refusing};
use common::{MIB, TestResult, WINDOWS, done, hypervisor};
use native_vmm::hypervisor::Driver;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, Snapshot, vm_pool};

const CALLS: [Refused; 17] = [
    ioctl("KVM_CREATE_VM", 0xae01),
    ioctl("KVM_GET_VCPU_MMAP_SIZE", 0xae04),
    ioctl("KVM_CREATE_VCPU", 0xae41),
    ioctl("KVM_SET_USER_MEMORY_REGION", 0x4020_ae46),
    ioctl("KVM_SET_CPUID2", 0x4008_ae90),
    ioctl("KVM_SET_XCRS", 0x4188_aea7),
    ioctl("KVM_SET_XSAVE", 0x5000_aea5),
    ioctl("KVM_RUN", 0xae80),
    ioctl("PAGEMAP_SCAN", 0xc060_6610),
    call("mmap", libc::SYS_mmap),
    call("mprotect", libc::SYS_mprotect),
    call("madvise", libc::SYS_madvise),
    call("memfd_create", libc::SYS_memfd_create),
    call("pwrite64", libc::SYS_pwrite64),
    call("pread64", libc::SYS_pread64),
    call("fcntl", libc::SYS_fcntl),
    call("getrusage", libc::SYS_getrusage),
];

fn new_sandbox() -> Result<Sandbox, Box<dyn Error + Send + Sync>> {
    let config = Config::new(Driver::Kvm, 64 * MIB, &WINDOWS)?;
    let image = micro_guest::image()?;
    Ok(Sandbox::new(config.with_image(image))?)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn store(sandbox: &Sandbox, value: u64) -> Result<Exit, SandboxError> {
    sandbox.command(Do::Store.code(), &[DATA, value])
}

/// A sandbox that something failed for is whole, or says that it is not.
fn check(name: &str, sandbox: &Sandbox, snapshot: &Snapshot) -> TestResult {
    match sandbox.restore(snapshot, true) {
        Ok(()) => {
            let found = done(sandbox.command(Do::Load.code(), &[DATA])?)[0];
            assert_eq!(found, 7, "{name}");
        }
        Err(error) => assert!(error.to_string().contains("unusable"), "{name}: {error}"),
    }
    Ok(())
}

/// One test, because it counts what the process has open.
#[test]
fn every_step_may_fail() -> TestResult {
    if !hypervisor() {
        return Ok(());
    }
    vm_pool::limit(Some(0));
    let original = new_sandbox().map_err(|error| error.to_string())?;
    done(store(&original, 7)?);
    let snapshot = original.snapshot()?;
    let mut before = None;
    for round in 0..3 {
        for refused in CALLS {
            let name = refused.name;
            let made = refusing(refused, libc::ENOMEM, || {
                new_sandbox().map(drop).map_err(|e| e.to_string())
            })?;
            let essential = name.starts_with("KVM_CREATE") || name == "KVM_RUN" || name == "mmap";
            assert!(
                made.is_err() || !essential,
                "{name} is not needed to make a sandbox"
            );

            let copied = refusing(refused, libc::ENOMEM, || Sandbox::from_snapshot(&snapshot))?;
            if let Ok(copy) = &copied {
                check(name, copy, &snapshot)?;
            }
            drop(copied);

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            done(store(&sandbox, 8)?);
            let _ = refusing(refused, libc::ENOMEM, || sandbox.restore(&snapshot, false))?;
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            done(store(&sandbox, 8)?);
            let _ = sandbox.command(Do::Invalid.code(), &[]);
            let _ = refusing(refused, libc::ENOMEM, || sandbox.restore(&snapshot, true))?;
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            let saved = refusing(refused, libc::ENOMEM, || sandbox.snapshot())?;
            if let Ok(saved) = saved {
                check(name, &Sandbox::from_snapshot(&saved)?, &saved)?;
            }
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            let _ = refusing(refused, libc::ENOMEM, || store(&sandbox, 9))?;
            check(name, &sandbox, &snapshot)?;
        }
        while vm_pool::limit(None).waiting > 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // The first round opens what is opened once.
        if round == 0 {
            before = Some(descriptors());
        }
    }
    assert_eq!(Some(descriptors()), before);
    Ok(())
}
