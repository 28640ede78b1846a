//! CPU exceptions by number.

/// Vectors that have a stub.
pub const COUNT: u64 = 32;

/// Division error.
pub const DIVIDE_ERROR: u64 = 0;
/// Invalid opcode.
pub const INVALID_OPCODE: u64 = 6;
/// Page fault.
pub const PAGE_FAULT: u64 = 14;

/// Whether the CPU pushes an error code.
pub const fn has_error_code(vector: u64) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// Whether the guest is told of it in its trap entry: what compiled wasm runs into.
pub const fn is_wasm_trap(vector: u64) -> bool {
    matches!(vector, DIVIDE_ERROR | INVALID_OPCODE | PAGE_FAULT)
}

/// The exception in words.
pub const fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        _ => "unknown exception",
    }
}
