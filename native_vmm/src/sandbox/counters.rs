//! What happened so far, counted.

/// Counts since the sandbox was made, boot included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Returns of the vCPU.
    pub exits: u64,
    /// Calls of host functions.
    pub host_calls: u64,
    /// CPU page faults that became traps.
    pub page_faults: u64,
    /// Faults on host protections that became traps.
    pub access_faults: u64,
    /// Other CPU exceptions that became traps.
    pub exceptions: u64,
    /// Protect, remap, release and image requests.
    pub protects: u64,
    /// Returns because of signals and kicks.
    pub interrupts: u64,
    /// Restores to a snapshot.
    pub restores: u64,
    /// Pages that restores copied back.
    pub restored_pages: u64,
    /// Restores that had to look for dirtied pages.
    pub restore_scans: u64,
    /// Nanoseconds that making the VM and its memory took.
    pub create_nanoseconds: u64,
    /// Nanoseconds that the guest took to its first ready.
    pub boot_nanoseconds: u64,
}
