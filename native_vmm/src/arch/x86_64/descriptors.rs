//! Segment, task and interrupt descriptors.
//!
//! Accessed and busy bits are set in advance, so that the CPU never writes here.

use host_guest_abi::exit::PORT_REQUEST;
use host_guest_abi::layout::{EXCEPTION_STACK_TOP, EXCEPTION_STUBS, GDT, IDT, TSS};

use super::stubs::STUB_BYTES;
use super::vectors;
use crate::memory::Region;

/// Ring 0 code segment, used by the exception stubs.
pub const KERNEL_CODE: u16 = 0x08;
/// Ring 3 stack segment.
pub const USER_DATA: u16 = 0x18 | 3;
/// Ring 3 code segment.
pub const USER_CODE: u16 = 0x20 | 3;
/// Task register.
pub const TASK: u16 = 0x28;

/// Last byte of the GDT: seven entries, of which the task takes two.
pub const GDT_LIMIT: u16 = 7 * 8 - 1;
/// Last byte of the IDT.
#[allow(clippy::cast_possible_truncation, reason = "512")]
pub const IDT_LIMIT: u16 = (vectors::COUNT * 16 - 1) as u16;
/// Last byte of the TSS: its fixed part, then permissions of ports up to that of
/// requests, then the byte of ones that must follow.
#[allow(clippy::cast_possible_truncation, reason = "0x109")]
pub const TSS_LIMIT: u32 = (PORT_MAP + PORT_REQUEST / 8 + 1) as u32;

/// Offset of the port permissions in the TSS.
const PORT_MAP: u64 = 0x68;
/// Interrupt stack table entry that all exceptions use.
const EXCEPTION_IST: u64 = 1;

/// Writes all descriptors.
pub fn write(memory: &Region) {
    write_gdt(memory);
    write_tss(memory);
    write_idt(memory);
}

fn write_gdt(memory: &Region) {
    let task = u64::from(TSS_LIMIT)
        | (TSS & 0xff_ffff) << 16
        | 0x8b << 40 // present, busy 64-bit TSS
        | (TSS >> 24 & 0xff) << 56;
    let entries = [
        0,
        0x00af_9b00_0000_ffff, // ring 0, 64-bit code
        0x00cf_9300_0000_ffff, // ring 0 data
        0x00cf_f300_0000_ffff, // ring 3 data
        0x00af_fb00_0000_ffff, // ring 3, 64-bit code
        task,
        TSS >> 32,
    ];
    write_words(memory, GDT, &entries);
}

/// Ports are closed to ring 3, but for the four that a 32-bit `out` to the port of
/// requests covers.
fn write_tss(memory: &Region) {
    const { assert!(PORT_REQUEST.is_multiple_of(8)) };
    memory.write(TSS + 4, &EXCEPTION_STACK_TOP.to_le_bytes()); // stack of ring 0
    memory.write(
        TSS + 0x24 + 8 * (EXCEPTION_IST - 1),
        &EXCEPTION_STACK_TOP.to_le_bytes(),
    );
    memory.write(
        TSS + 0x66,
        &[PORT_MAP.to_le_bytes()[0], PORT_MAP.to_le_bytes()[1]],
    );
    for byte in PORT_MAP..=u64::from(TSS_LIMIT) {
        let open = byte == PORT_MAP + PORT_REQUEST / 8;
        memory.write(TSS + byte, &[if open { 0xf0 } else { 0xff }]);
    }
}

fn write_idt(memory: &Region) {
    for vector in 0..vectors::COUNT {
        let stub = EXCEPTION_STUBS + STUB_BYTES * vector;
        let gate = (stub & 0xffff)
            | u64::from(KERNEL_CODE) << 16
            | EXCEPTION_IST << 32
            | 0x8e << 40 // present, interrupt gate, not for `int` from ring 3
            | (stub >> 16 & 0xffff) << 48;
        write_words(memory, IDT + 16 * vector, &[gate, stub >> 32]);
    }
}

fn write_words(memory: &Region, address: u64, words: &[u64]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory.write(address, &bytes);
}
