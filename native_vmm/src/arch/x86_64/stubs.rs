//! The only code that runs in ring 0: it tells the VMM of an exception and returns
//! to wherever the VMM then says.
//!
//! Each vector has a 16-byte stub that pushes an error code where the CPU does not,
//! then the vector. The tail adds three registers, so that the VMM finds on the
//! exception stack, from the stack pointer upwards, what [`Frame`] names.

use std::arch::global_asm;
use std::slice;

use host_guest_abi::exit::PORT_EXCEPTION;
use host_guest_abi::layout::{EXCEPTION_STACK_TOP, EXCEPTION_STUBS, PAGE_BYTES};

use super::vectors;
use crate::memory::Region;

/// Distance from stub to stub.
pub const STUB_BYTES: u64 = 16;

global_asm!(
    ".pushsection .rodata.hlwasm_exception_stubs, \"a\"",
    ".balign 16",
    "hlwasm_exception_stubs:",
    ".set hlwasm_vector, 0",
    ".rept {count}",
    ".balign 16",
    // The vectors for which the CPU itself pushes an error code.
    ".if ({with_error_code} >> hlwasm_vector) & 1 == 0",
    "push 0",
    ".endif",
    ".byte 0x6a, hlwasm_vector",
    "jmp hlwasm_exception_tail",
    ".set hlwasm_vector, hlwasm_vector + 1",
    ".endr",
    ".balign 16",
    "hlwasm_exception_tail:",
    "push rax",
    "push rdx",
    "mov rax, cr2",
    "push rax",
    "mov edx, {port}",
    "out dx, eax",
    "pop rax",
    "pop rdx",
    "pop rax",
    "add rsp, 16",
    "iretq",
    "hlwasm_exception_stubs_end:",
    ".popsection",
    count = const vectors::COUNT,
    with_error_code = const error_code_mask(),
    port = const PORT_EXCEPTION,
);

unsafe extern "C" {
    #[link_name = "hlwasm_exception_stubs"]
    static STUBS: u8;
    #[link_name = "hlwasm_exception_stubs_end"]
    static STUBS_END: u8;
}

const fn error_code_mask() -> u32 {
    let (mut mask, mut vector) = (0, 0);
    while vector < vectors::COUNT {
        if vectors::has_error_code(vector) {
            mask |= 1 << vector;
        }
        vector += 1;
    }
    mask
}

/// What an exception leaves on the exception stack, by word from the stack pointer.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Frame {
    /// The address of a page fault. Popped into rax, before rax itself.
    FaultAddress = 0,
    /// Popped into rdx.
    Rdx = 1,
    /// Popped into rax.
    Rax = 2,
    /// Which exception.
    Vector = 3,
    /// Its error code, or 0.
    ErrorCode = 4,
    /// Where `iretq` goes.
    Rip = 5,
    /// Its code segment.
    Cs = 6,
    /// Its flags.
    Rflags = 7,
    /// Its stack pointer.
    Rsp = 8,
    /// Its stack segment.
    Ss = 9,
}

/// Address of the frame: exceptions always start at the top of their stack.
pub const FRAME: u64 = EXCEPTION_STACK_TOP - 10 * 8;

impl Frame {
    /// Guest-physical address of the word.
    pub const fn address(self) -> u64 {
        FRAME + 8 * self as u64
    }
}

/// Whether an instruction pointer lies in the stubs, where only ring 0 executes.
pub const fn contains(rip: u64) -> bool {
    rip >= EXCEPTION_STUBS && rip < EXCEPTION_STUBS + PAGE_BYTES
}

/// Writes the stubs.
pub fn write(memory: &Region) {
    let (start, end) = (&raw const STUBS, &raw const STUBS_END);
    // SAFETY: both symbols are in the block above, the second behind the first.
    let code = unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) };
    assert!(
        code.len() as u64 <= PAGE_BYTES,
        "the stubs outgrew their page"
    );
    memory.write(EXCEPTION_STUBS, code);
}
