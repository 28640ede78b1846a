//! Register values: the state in which a guest starts.

use host_guest_abi::layout::{GDT, IDT, PAGE_TABLES, TSS};
use kvm_bindings::{CpuId, kvm_segment, kvm_sregs};

use super::descriptors::{
    GDT_LIMIT, IDT_LIMIT, TASK, TSS_LIMIT, USER_CODE, USER_DATA,
};

/// PE MP ET NE WP AM PG: protected mode with paging; write protection counts in ring 0.
const CR0: u64 = 0x8005_0033;
/// PAE OSFXSR OSXMMEXCPT OSXSAVE: long mode, SSE, AVX.
const CR4: u64 = 0x4_0620;
/// LME LMA NXE: long mode with no-execute. Not SCE: `syscall` is an invalid opcode.
const EFER: u64 = 0xd00;
/// Flags: only the bit that is always set.
pub const RFLAGS: u64 = 0x2;
/// Extended state that the guest may use: x87, SSE, AVX.
pub const XCR0: u64 = 7;

/// CPU features that the guest and its artifacts are compiled for: CPUID leaf, register
/// (0 to 3: eax, ebx, ecx, edx), bit, name.
const REQUIRED: &[(u32, u8, u8, &str)] = &[
    (1, 2, 0, "sse3"),
    (1, 2, 9, "ssse3"),
    (1, 2, 12, "fma"),
    (1, 2, 13, "cmpxchg16b"),
    (1, 2, 19, "sse4.1"),
    (1, 2, 20, "sse4.2"),
    (1, 2, 22, "movbe"),
    (1, 2, 23, "popcnt"),
    (1, 2, 26, "xsave"),
    (1, 2, 28, "avx"),
    (1, 2, 29, "f16c"),
    (7, 1, 3, "bmi1"),
    (7, 1, 5, "avx2"),
    (7, 1, 8, "bmi2"),
    (0x8000_0001, 2, 5, "lzcnt"),
    (0x8000_0001, 3, 20, "nx"),
];

/// The first CPU feature that the guest needs and the hypervisor does not offer.
pub fn missing_feature(cpuid: &CpuId) -> Option<&'static str> {
    REQUIRED.iter().find(|&&(leaf, register, bit, _)| !has(cpuid, leaf, register, bit)).map(|r| r.3)
}

fn has(cpuid: &CpuId, leaf: u32, register: u8, bit: u8) -> bool {
    cpuid.as_slice().iter().any(|entry| {
        let value = [entry.eax, entry.ebx, entry.ecx, entry.edx][usize::from(register)];
        entry.function == leaf && entry.index == 0 && value >> bit & 1 == 1
    })
}

/// Turns the system registers of a fresh vCPU into those of a guest about to start.
pub fn set_system_registers(sregs: &mut kvm_sregs) {
    let code = kvm_segment {
        limit: u32::MAX,
        selector: USER_CODE,
        type_: 11,
        present: 1,
        dpl: 3,
        s: 1,
        l: 1,
        g: 1,
        ..Default::default()
    };
    let data = kvm_segment { selector: USER_DATA, type_: 3, l: 0, db: 1, ..code };
    sregs.cs = code;
    sregs.ss = data;
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.tr = kvm_segment {
        base: TSS,
        limit: TSS_LIMIT,
        selector: TASK,
        type_: 11,
        present: 1,
        ..Default::default()
    };
    sregs.gdt.base = GDT;
    sregs.gdt.limit = GDT_LIMIT;
    sregs.idt.base = IDT;
    sregs.idt.limit = IDT_LIMIT;
    sregs.cr0 = CR0;
    sregs.cr3 = PAGE_TABLES;
    sregs.cr4 = CR4;
    sregs.efer = EFER;
}
