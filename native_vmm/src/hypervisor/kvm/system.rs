//! /dev/kvm itself: opened once per process and checked for all that we need.

use std::io;
use std::sync::OnceLock;

use kvm_bindings::{
    CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES, KVM_SYNC_X86_EVENTS, KVM_SYNC_X86_REGS,
    KVM_SYNC_X86_SREGS, kvm_sregs,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd};

use super::failed;
use crate::arch::x86_64::registers;
use crate::hypervisor::HypervisorError;

const CAPABILITIES: [(Cap, &str); 3] = [
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
    (Cap::Xcrs, "KVM_CAP_XCRS"),
];

/// A usable /dev/kvm.
pub struct System {
    pub(super) kvm: Kvm,
    pub(super) cpuid: CpuId,
    /// Those with which every guest starts, once a vCPU has told what a fresh one has.
    system_registers: OnceLock<kvm_sregs>,
}

static SHARED: OnceLock<System> = OnceLock::new();

impl System {
    /// The process's /dev/kvm. A failure is not remembered: the next call tries again.
    ///
    /// # Errors
    /// If it is missing, not permitted, or lacks something; the message says what to do.
    pub fn shared() -> Result<&'static Self, HypervisorError> {
        if let Some(system) = SHARED.get() {
            return Ok(system);
        }
        let system = Self::open()?;
        Ok(SHARED.get_or_init(|| system))
    }

    fn open() -> Result<Self, HypervisorError> {
        let unavailable = |message: String| Err(HypervisorError::Unavailable(message));
        let kvm = match Kvm::new() {
            Ok(kvm) => kvm,
            Err(error) => return unavailable(reason(error.errno())),
        };
        let version = kvm.get_api_version();
        if u32::try_from(version) != Ok(KVM_API_VERSION) {
            return unavailable(format!("/dev/kvm has API version {version}, not 12"));
        }
        for (capability, name) in CAPABILITIES {
            if !kvm.check_extension(capability) {
                return unavailable(format!("/dev/kvm lacks {name}"));
            }
        }
        if !syncs_registers(&kvm) {
            return unavailable("/dev/kvm lacks KVM_CAP_SYNC_REGS".to_owned());
        }
        let cpuid = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(failed("KVM_GET_SUPPORTED_CPUID"))?;
        if let Some(feature) = registers::missing_feature() {
            return unavailable(format!("the CPU lacks {feature}"));
        }
        Ok(Self {
            kvm,
            cpuid,
            system_registers: OnceLock::new(),
        })
    }

    /// The system registers with which every guest starts.
    ///
    /// # Errors
    /// If a fresh vCPU does not tell its own.
    pub(super) fn system_registers(&self, fresh: &VcpuFd) -> Result<kvm_sregs, HypervisorError> {
        if let Some(known) = self.system_registers.get() {
            return Ok(*known);
        }
        let mut sregs = fresh.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        registers::set_system_registers(&mut sregs);
        Ok(*self.system_registers.get_or_init(|| sregs))
    }
}

fn syncs_registers(kvm: &Kvm) -> bool {
    let fields = kvm.check_extension_int(Cap::SyncRegs);
    let needed = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    u32::try_from(fields).is_ok_and(|fields| fields & needed == needed)
}

/// What an errno of opening /dev/kvm means to the user.
fn reason(errno: i32) -> String {
    let error = io::Error::from_raw_os_error(errno);
    match errno {
        libc::ENOENT => "/dev/kvm does not exist: no hypervisor is loaded, virtualisation is off, \
                         or the container was started without the device"
            .to_owned(),
        libc::EACCES => {
            "/dev/kvm may not be opened by this user: add the user to the group kvm".to_owned()
        }
        libc::EPERM => "/dev/kvm may not be opened in this container: start it with the device \
                        (--device /dev/kvm)"
            .to_owned(),
        libc::ENODEV | libc::ENXIO => {
            "/dev/kvm exists but no hypervisor is behind it: nested virtualisation may be off"
                .to_owned()
        }
        libc::EBUSY => "/dev/kvm is in use by another hypervisor".to_owned(),
        _ => format!("/dev/kvm cannot be opened: {error}"),
    }
}

/// What /dev/kvm says about itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query {
    /// Errno of opening it, 0 if it opened. All else is 0 if it did not.
    pub device: i32,
    /// KVM_GET_API_VERSION.
    pub api_version: i32,
    /// KVM_GET_VCPU_MMAP_SIZE.
    pub vcpu_mmap_bytes: usize,
    /// KVM_CAP_NR_MEMSLOTS.
    pub memslots_max: usize,
    /// KVM_CAP_SYNC_REGS, for general and system registers and events.
    pub sync_regs: bool,
    /// KVM_CAP_READONLY_MEM.
    pub readonly_mem: bool,
    /// KVM_CAP_IMMEDIATE_EXIT.
    pub immediate_exit: bool,
}

/// Asks /dev/kvm, opened afresh.
pub fn query() -> Query {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => {
            return Query {
                device: error.errno(),
                ..Query::default()
            };
        }
    };
    Query {
        device: 0,
        api_version: kvm.get_api_version(),
        vcpu_mmap_bytes: kvm.get_vcpu_mmap_size().unwrap_or(0),
        memslots_max: kvm.get_nr_memslots(),
        sync_regs: syncs_registers(&kvm),
        readonly_mem: kvm.check_extension(Cap::ReadonlyMem),
        immediate_exit: kvm.check_extension(Cap::ImmediateExit),
    }
}
