//! wasmtime's configuration, and the CPU features that it asks about.
//!
//! What influences compiled code is as the host compiles it: wasmtime's defaults. The
//! artifact carries them, and wasmtime refuses one that differs.

use alloc::sync::Arc;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

use host_guest_abi::layout::{STACK, STACK_TOP, WINDOW_GUARD};
use wasmtime::{Config, Engine, Result};

use crate::log;
use crate::platform::code::ArtifactCode;
use crate::units::size;
use crate::windows::RESERVATION;

/// Stack that is left to wasmtime itself below wasm's frames.
const RUNTIME_STACK: usize = 512 << 10;
const WASM_STACK: usize = size(STACK_TOP - STACK) - RUNTIME_STACK;
/// Frames in a report.
const BACKTRACE_FRAMES: usize = 50;

/// The engine for one artifact.
///
/// # Errors
/// The CPU lacks what compiled code needs.
pub fn new(fuel: bool) -> Result<Engine> {
    let mut config = Config::new();
    config
        .memory_reservation(RESERVATION)
        .memory_guard_size(WINDOW_GUARD)
        .guard_before_linear_memory(true)
        .max_wasm_stack(WASM_STACK)
        .consume_fuel(fuel)
        .wasm_component_model_map(true)
        .wasm_backtrace_max_frames(core::num::NonZeroUsize::new(BACKTRACE_FRAMES));
    // SAFETY: the artifact's pages are executable for the whole life of the guest, and
    // `has_feature` asks the CPU itself.
    unsafe {
        config
            .with_custom_code_memory(Some(Arc::new(ArtifactCode)))
            .detect_host_feature(has_feature);
    }
    Engine::new(&config)
}

fn has_feature(name: &str) -> Option<bool> {
    let basic = __cpuid(1);
    let extended = __cpuid_count(7, 0);
    let amd = __cpuid(0x8000_0001);
    let bit = |register: u32, index: u32| register >> index & 1 == 1;
    // The CPU's word is not enough for AVX: the host must have enabled its registers.
    let avx_state = bit(basic.ecx, 27) && enabled_state() & 0b110 == 0b110;
    let present = match name {
        "sse3" => bit(basic.ecx, 0),
        "ssse3" => bit(basic.ecx, 9),
        "fma" => bit(basic.ecx, 12) && avx_state,
        "cmpxchg16b" => bit(basic.ecx, 13),
        "sse4.1" => bit(basic.ecx, 19),
        "sse4.2" => bit(basic.ecx, 20),
        "popcnt" => bit(basic.ecx, 23),
        "avx" => bit(basic.ecx, 28) && avx_state,
        "bmi1" => bit(extended.ebx, 3),
        "avx2" => bit(extended.ebx, 5) && avx_state,
        "bmi2" => bit(extended.ebx, 8),
        "lzcnt" => bit(amd.ecx, 5),
        // The host enables and saves no AVX-512 state, whatever the CPU says.
        _ if name.starts_with("avx512") => false,
        _ => return None,
    };
    if !present {
        log::error(format_args!("the guest's CPU lacks the feature {name}"));
    }
    Some(present)
}

/// XCR0: which register state is enabled. Call only if the CPU has OSXSAVE.
fn enabled_state() -> u32 {
    let low: u32;
    // SAFETY: reads a control register that ring 3 may read.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
    }
    low
}
