//! Register values: the state in which a guest starts.

use host_guest_abi::layout::{GDT, IDT, PAGE_TABLES, TSS};
use kvm_bindings::{kvm_segment, kvm_sregs};

use super::descriptors::{GDT_LIMIT, IDT_LIMIT, TASK, TSS_LIMIT, USER_CODE, USER_DATA};

/// PE MP ET NE WP AM PG: protected mode with paging; write protection counts in ring 0.
const CR0: u64 = 0x8005_0033;
/// TSD PAE OSFXSR OSXMMEXCPT OSXSAVE: no time stamps in ring 3, long mode, SSE, AVX.
const CR4: u64 = 0x4_0624;
/// LME LMA NXE: long mode with no-execute. Not SCE: `syscall` is an invalid opcode.
const EFER: u64 = 0xd00;
/// Flags: only the bit that is always set.
pub const RFLAGS: u64 = 0x2;
/// Extended state that the guest may use: x87, SSE, AVX.
pub const XCR0: u64 = 7;

/// x87 control word after `fninit`.
pub const FCW: u32 = 0x37f;
/// SSE control and status after a reset: all exceptions masked.
pub const MXCSR: u32 = 0x1f80;

/// The first CPU feature that the guest and its artifacts are compiled for, and that
/// this machine lacks. The CPU itself is asked, not the hypervisor: software KVM lists
/// none of these and has them all.
pub fn missing_feature() -> Option<&'static str> {
    macro_rules! first_missing {
        ($($name:tt)*) => { $(if !std::is_x86_feature_detected!($name) { return Some($name); })* };
    }
    first_missing!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b" "movbe" "lzcnt");
    first_missing!("bmi1" "bmi2" "avx" "avx2" "f16c" "fma" "xsave");
    None
}

/// Features of this CPU that code may have been chosen by, as words.
pub fn features() -> String {
    macro_rules! present {
        ($($name:tt)*) => { [$((std::is_x86_feature_detected!($name), $name)),*] };
    }
    let features = present!(
        "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b" "movbe" "lzcnt" "bmi1" "bmi2" "avx"
        "avx2" "f16c" "fma" "xsave" "aes" "pclmulqdq" "sha" "rdrand" "rdseed" "adx" "vaes" "gfni"
        "vpclmulqdq" "avx512f" "avx512bw" "avx512dq" "avx512vl"
    );
    let names = features.iter().filter(|(present, _)| *present);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
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
    let data = kvm_segment {
        selector: USER_DATA,
        type_: 3,
        l: 0,
        db: 1,
        ..code
    };
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
    // No local descriptors: that of a fresh vCPU would be read from guest-virtual 0.
    sregs.ldt = kvm_segment {
        type_: 2,
        unusable: 1,
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
