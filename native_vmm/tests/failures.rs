//! System calls that fail, one at a time, at every step of a sandbox's life.
//!
//! The kernel itself is told to refuse them: a seccomp filter on one thread, while the others
//! go on as ever. Whatever fails, there is an error, no crash and no leak; and a sandbox is
//! either as it was or says that it is unusable.

mod common;

use std::error::Error;
use std::fs;

use common::micro_guest::{self, DATA, Do};
use common::{MIB, TestResult, WINDOWS, done, hypervisor};
use native_vmm::hypervisor::Driver;
use native_vmm::sandbox::{Config, Exit, Sandbox, SandboxError, Snapshot, vm_pool};

/// What is refused: a system call, and its second argument if it is to be that only.
#[derive(Clone, Copy)]
struct Refused {
    name: &'static str,
    call: libc::c_long,
    request: Option<u32>,
}

const fn ioctl(name: &'static str, request: u32) -> Refused {
    Refused {
        name,
        call: libc::SYS_ioctl,
        request: Some(request),
    }
}

const fn call(name: &'static str, call: libc::c_long) -> Refused {
    Refused {
        name,
        call,
        request: None,
    }
}

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

/// Runs `body` in a thread in which the call is refused with ENOMEM.
fn refusing<T: Send>(refused: Refused, body: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // What a thread needs for itself it gets before the filter is there.
            drop(Box::new([0_u8; 100_000]));
            install(refused).map(|()| body())
        });
        thread.join().map_err(|_| "it panicked".to_owned())?
    })
    .map_err(|error| format!("{}: {error}", refused.name))
}

/// Installs the filter for the calling thread.
fn install(refused: Refused) -> Result<(), String> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let statement = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let otherwise_skip = |k, jf| libc::sock_filter {
        code: JUMP_IF_EQUAL,
        jt: 0,
        jf,
        k,
    };
    let number = u32::try_from(refused.call).map_err(|error| error.to_string())?;
    let enomem = ERRNO | u32::try_from(libc::ENOMEM).unwrap_or(0);
    let mut program = vec![statement(LOAD, 0)];
    match refused.request {
        Some(request) => program.extend([
            otherwise_skip(number, 3),
            // The low half of the second argument.
            statement(LOAD, 24),
            otherwise_skip(request, 1),
            statement(RETURN, enomem),
        ]),
        None => program.extend([otherwise_skip(number, 1), statement(RETURN, enomem)]),
    }
    program.push(statement(RETURN, ALLOW));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|error| error.to_string())?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter is a valid program, which only makes calls of this thread fail.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().to_string())
    }
}

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
            let made = refusing(refused, || {
                new_sandbox().map(drop).map_err(|e| e.to_string())
            })?;
            let essential = name.starts_with("KVM_CREATE") || name == "KVM_RUN" || name == "mmap";
            assert!(
                made.is_err() || !essential,
                "{name} is not needed to make a sandbox"
            );

            let copied = refusing(refused, || Sandbox::from_snapshot(&snapshot))?;
            if let Ok(copy) = &copied {
                check(name, copy, &snapshot)?;
            }
            drop(copied);

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            done(store(&sandbox, 8)?);
            let _ = refusing(refused, || sandbox.restore(&snapshot, false))?;
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            done(store(&sandbox, 8)?);
            let _ = sandbox.command(Do::Invalid.code(), &[]);
            let _ = refusing(refused, || sandbox.restore(&snapshot, true))?;
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            let saved = refusing(refused, || sandbox.snapshot())?;
            if let Ok(saved) = saved {
                check(name, &Sandbox::from_snapshot(&saved)?, &saved)?;
            }
            check(name, &sandbox, &snapshot)?;

            let sandbox = Sandbox::from_snapshot(&snapshot)?;
            let _ = refusing(refused, || store(&sandbox, 9))?;
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
