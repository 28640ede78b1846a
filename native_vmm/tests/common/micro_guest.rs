//! A guest of a few instructions, for exits and faults that must happen exactly so.
//!
//! Its commands are its own, see [`Do`]. Trap entries end the command with `STATUS_TRAP`,
//! the values ip and address, and 1 byte of text per `has_address`.

use std::arch::global_asm;
use std::sync::Arc;

use host_guest_abi::exit::{
    EXIT_HOST_CALL, EXIT_LOG, EXIT_NOP, EXIT_PANIC, EXIT_PROTECT, EXIT_READY, EXIT_TRAP_ENTRY,
    PORT_REQUEST,
};
use host_guest_abi::layout::{IMAGE, MAILBOX, STACK_TOP};
use host_guest_abi::mailbox::{
    ANSWER_SEQUENCE, ANSWER_STATUS, ANSWER_VALUE, COMMAND, COMMAND_ARGUMENTS, COMMAND_SEQUENCE,
    DONE_SEQUENCE, DONE_STATUS, DONE_TEXT_BYTES, DONE_VALUES, REQUEST_ARGUMENTS, REQUEST_SEQUENCE,
};
use host_guest_abi::status::STATUS_TRAP;
use native_vmm::loader::{GuestImage, ImageError};

/// The commands of the micro guest.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Do {
    /// Nothing.
    Nothing = 0,
    /// Store: (address, value).
    Store,
    /// Load: (address) → (value).
    Load,
    /// Jump: (address).
    Jump,
    /// Divide by zero.
    Divide,
    /// An invalid opcode.
    Invalid,
    /// Register the trap entry.
    HandleTraps,
    /// Register a trap entry that faults itself.
    HandleTrapsBadly,
    /// Count down: (n) → (n).
    Count,
    /// Make a request: (code, four arguments) → (status, value).
    Request,
    /// n host calls of function 7: (n) → (sum of the values, last answer sequence).
    HostCalls,
    /// n bare exits: (n).
    Exits,
    /// `out dx, eax`: (port, value).
    Out,
    /// `out dx, al`: (port, value).
    OutByte,
    /// `syscall`.
    Syscall,
    /// `int3`.
    Breakpoint,
    /// Push until it faults.
    Overflow,
    /// End with (sequence, status, value, text bytes), whatever they are.
    End,
    /// Load 0 into the stack pointer, then an invalid opcode.
    BadStack,
    /// `hlt`.
    Halt,
    /// Set the direction and trap flags' neighbours, then an invalid opcode.
    Flags,
    /// `rep outsb` to the request port: (bytes).
    OutString,
    /// XGETBV → (XCR0), needs OSXSAVE.
    ExtendedState,
    /// Fill memory with a byte: (address, bytes, value).
    Fill,
    /// Fill every register that ring 3 can write to, then go on as [`End`] says:
    /// (end, address).
    Spoil,
    /// Write all registers, as they were when the command began, to [`SAVED`] and [`DUMP`].
    Dump,
    /// Grow and shrink a window for ever by requests: (address).
    Resize,
}

/// How [`Do::Spoil`] ends.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum End {
    /// As a command that ends well.
    Well = 0,
    /// An invalid opcode.
    Invalid,
    /// Spins.
    Spin,
    /// A host call.
    HostCall,
    /// A load from the address.
    Load,
    /// A panic.
    Panic,
    /// A log record.
    Log,
    /// Divides by zero.
    Divide,
    /// The end of another command.
    Violation,
    /// A request with a bad argument.
    Request,
}

impl End {
    pub const fn code(self) -> u64 {
        self as u64
    }
}

impl Do {
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// Where the data segment starts: readable, writable, not executable.
pub const DATA: u64 = IMAGE + 0x10_0000;
/// Where the read-only segment starts; its first word is [`CONSTANT`].
pub const CONSTANTS: u64 = IMAGE + 0x8_0000;
/// Where [`Do::Dump`] finds what the dispatcher needs for itself: rcx, rbp, r8 to r14.
pub const SAVED: u64 = MAILBOX + 0x800;
/// Where it writes the others: rbx, rdx, rsi, rdi, rsp, r15, flags, six segment registers.
pub const DUMP: u64 = DATA + 0x1000;
/// And vector and x87 registers, as XSAVE does.
pub const DUMP_EXTENDED: u64 = DATA + 0x1800;
/// What is there.
pub const CONSTANT: u64 = 0x0123_4567_89ab_cdef;

global_asm!(
    ".pushsection .rodata.micro_guest, \"a\"",
    "micro_guest_start:",
    "   mov ebx, {mailbox}",
    "ready:",
    "   mov eax, {ready}",
    "   mov edx, {port}",
    "   out dx, eax",
    // No flag changes before the command begins.
    "   mov [rbx + {saved}], rcx",
    "   mov [rbx + {saved} + 8], rbp",
    "   mov [rbx + {saved} + 16], r8",
    "   mov [rbx + {saved} + 24], r9",
    "   mov [rbx + {saved} + 32], r10",
    "   mov [rbx + {saved} + 40], r11",
    "   mov [rbx + {saved} + 48], r12",
    "   mov [rbx + {saved} + 56], r13",
    "   mov [rbx + {saved} + 64], r14",
    "   mov rax, [rbx + 8 * {command}]",
    "   mov r8, [rbx + 8 * {arguments}]",
    "   mov r9, [rbx + 8 * {arguments} + 8]",
    "   mov r10, [rbx + 8 * {arguments} + 16]",
    "   mov r11, [rbx + 8 * {arguments} + 24]",
    "   mov r12, [rbx + 8 * {arguments} + 32]",
    "   mov r13d, 0",
    "   mov r14d, 0",
    "   lea rcx, [rip + table]",
    "   movsxd rax, dword ptr [rcx + 4 * rax]",
    "   lea rax, [rax + rcx]",
    "   mov ebp, 0xb0b",
    "   jmp rax",
    // Ends the command with r13 and r14.
    "done:",
    "   mov qword ptr [rbx + 8 * {done_status}], 0",
    "   mov qword ptr [rbx + 8 * {done_text}], 0",
    "finish:",
    "   mov [rbx + 8 * {done_values}], r13",
    "   mov [rbx + 8 * {done_values} + 8], r14",
    "   mov rax, [rbx + 8 * {command_sequence}]",
    "   mov [rbx + 8 * {done_sequence}], rax",
    "   jmp ready",
    "store:",
    "   mov [r8], r9",
    "   jmp done",
    "load:",
    "   mov r13, [r8]",
    "   jmp done",
    "jump:",
    "   jmp r8",
    "divide:",
    "   xor eax, eax",
    "   xor edx, edx",
    "   xor ecx, ecx",
    "   div ecx",
    "   jmp done",
    "invalid:",
    "   ud2",
    "handle_traps:",
    "   lea rcx, [rip + trap_entry]",
    "   jmp register",
    "handle_traps_badly:",
    "   lea rcx, [rip + bad_trap_entry]",
    "register:",
    "   mov [rbx + 8 * {request_arguments}], rcx",
    "   mov eax, {trap_entry}",
    "   out dx, eax",
    "   jmp done",
    "count:",
    "   mov r13, r8",
    "1: dec r8",
    "   jnz 1b",
    "   jmp done",
    "request:",
    "   inc qword ptr [rbx + 8 * {request_sequence}]",
    "   mov [rbx + 8 * {request_arguments}], r9",
    "   mov [rbx + 8 * {request_arguments} + 8], r10",
    "   mov [rbx + 8 * {request_arguments} + 16], r11",
    "   mov [rbx + 8 * {request_arguments} + 24], r12",
    "   mov eax, r8d",
    "   out dx, eax",
    "   mov r13, [rbx + 8 * {answer_status}]",
    "   mov r14, [rbx + 8 * {answer_value}]",
    "   jmp done",
    "host_calls:",
    "   inc qword ptr [rbx + 8 * {request_sequence}]",
    "   mov qword ptr [rbx + 8 * {request_arguments}], 7",
    "   mov [rbx + 8 * {request_arguments} + 8], r8",
    "   mov eax, {host_call}",
    "   out dx, eax",
    "   add r13, [rbx + 8 * {answer_value}]",
    "   mov r14, [rbx + 8 * {answer_sequence}]",
    "   dec r8",
    "   jnz host_calls",
    "   jmp done",
    "exits:",
    "   mov eax, {nop}",
    "1: out dx, eax",
    "   dec r8",
    "   jnz 1b",
    "   jmp done",
    "out:",
    "   mov rdx, r8",
    "   mov rax, r9",
    "   out dx, eax",
    "   jmp done",
    "out_byte:",
    "   mov rdx, r8",
    "   mov rax, r9",
    "   out dx, al",
    "   jmp done",
    "syscall_:",
    "   syscall",
    "   jmp done",
    "breakpoint:",
    "   int3",
    "   jmp done",
    "overflow:",
    "   push rax",
    "   jmp overflow",
    "end:",
    "   mov [rbx + 8 * {done_sequence}], r8",
    "   mov [rbx + 8 * {done_status}], r9",
    "   mov [rbx + 8 * {done_values}], r10",
    "   mov [rbx + 8 * {done_text}], r11",
    "   jmp ready",
    "bad_stack:",
    "   xor esp, esp",
    "   ud2",
    "halt:",
    "   hlt",
    "   jmp done",
    "set_flags:",
    "   std",
    "   ud2",
    "out_string:",
    "   mov rsi, rbx",
    "   mov rcx, r8",
    "   rep outsb",
    "   jmp done",
    "extended_state:",
    "   xor ecx, ecx",
    "   xgetbv",
    "   mov r13d, eax",
    "   jmp done",
    "fill:",
    "   mov rdi, r8",
    "   mov rcx, r9",
    "   mov rax, r10",
    "   rep stosb",
    "   jmp done",
    "spoil:",
    "   lea rcx, [rip + ends]",
    "   movsxd rcx, dword ptr [rcx + 4 * r8]",
    "   lea rax, [rip + ends]",
    "   add rcx, rax",
    "   vpcmpeqd ymm0, ymm0, ymm0",
    "   vmovdqa ymm1, ymm0",
    "   vmovdqa ymm2, ymm0",
    "   vmovdqa ymm3, ymm0",
    "   vmovdqa ymm4, ymm0",
    "   vmovdqa ymm5, ymm0",
    "   vmovdqa ymm6, ymm0",
    "   vmovdqa ymm7, ymm0",
    "   vmovdqa ymm8, ymm0",
    "   vmovdqa ymm9, ymm0",
    "   vmovdqa ymm10, ymm0",
    "   vmovdqa ymm11, ymm0",
    "   vmovdqa ymm12, ymm0",
    "   vmovdqa ymm13, ymm0",
    "   vmovdqa ymm14, ymm0",
    "   vmovdqa ymm15, ymm0",
    "   fninit",
    "   fldpi",
    "   fld1",
    "   fldl2t",
    "   fldpi",
    "   fld1",
    "   fldl2t",
    "   fldpi",
    // Other rounding and precision, denormals are zeros, all exceptions seen.
    "   mov dword ptr [rbx + {saved} + 0x100], 0xc3f",
    "   fldcw [rbx + {saved} + 0x100]",
    "   mov dword ptr [rbx + {saved} + 0x100], 0xffff",
    "   ldmxcsr [rbx + {saved} + 0x100]",
    "   xor eax, eax",
    "   mov ds, eax",
    "   mov es, eax",
    "   mov fs, eax",
    "   mov eax, 0x1b",
    "   mov gs, eax",
    "   mov esp, {data} + 0x2ff0",
    // Direction, nested task, alignment, identification, and the status of an operation.
    "   push 0x244cd5",
    "   popfq",
    "   mov rax, -1",
    "   mov rdx, -2",
    "   mov rsi, -3",
    "   mov rdi, -4",
    "   mov rbp, -5",
    "   mov r8, -6",
    "   mov r10, -7",
    "   mov r11, -8",
    "   mov r12, -9",
    "   mov r13, -10",
    "   mov r14, -11",
    "   mov r15, -12",
    "   jmp rcx",
    "end_spin:",
    "   mov rbx, -13",
    "   mov rcx, -14",
    "   mov rsp, -16",
    "1: jmp 1b",
    "end_host_call:",
    "   inc qword ptr [rbx + 8 * {request_sequence}]",
    "   mov qword ptr [rbx + 8 * {request_arguments}], 7",
    "   mov edx, {port}",
    "   mov eax, {host_call}",
    "   out dx, eax",
    "   ud2",
    "end_load:",
    "   mov rax, [r9]",
    "   jmp done",
    "end_panic:",
    "   mov qword ptr [rbx + 8 * {request_arguments}], 64",
    "   mov edx, {port}",
    "   mov eax, {panic}",
    "   out dx, eax",
    "end_log:",
    "   mov qword ptr [rbx + 8 * {request_arguments}], 20",
    "   mov qword ptr [rbx + 8 * {request_arguments} + 8], 64",
    "   mov edx, {port}",
    "   mov eax, {log}",
    "   out dx, eax",
    "   ud2",
    "end_violation:",
    "   mov qword ptr [rbx + 8 * {done_sequence}], -1",
    "   jmp ready",
    "end_request:",
    "   mov qword ptr [rbx + 8 * {request_arguments}], -1",
    "   mov edx, {port}",
    "   mov eax, {protect}",
    "   out dx, eax",
    "   ud2",
    "dump:",
    "   mov [{dump}], rbx",
    "   mov [{dump} + 8], rdx",
    "   mov [{dump} + 16], rsi",
    "   mov [{dump} + 24], rdi",
    "   mov [{dump} + 32], rsp",
    "   mov [{dump} + 40], r15",
    "   mov esp, {data} + 0x2ff0",
    "   pushfq",
    "   pop qword ptr [{dump} + 48]",
    "   cld",
    "   mov [{dump} + 56], ds",
    "   mov [{dump} + 58], es",
    "   mov [{dump} + 60], fs",
    "   mov [{dump} + 62], gs",
    "   mov [{dump} + 64], ss",
    "   mov [{dump} + 66], cs",
    "   mov eax, 7",
    "   xor edx, edx",
    "   xsave64 [{extended}]",
    "   mov rsp, [{dump} + 32]",
    "   mov edx, {port}",
    "   jmp done",
    "resize:",
    "   mov [rbx + 8 * {request_arguments}], r8",
    "   mov qword ptr [rbx + 8 * {request_arguments} + 8], 0x100000",
    "   xor r9d, 3",
    "   mov [rbx + 8 * {request_arguments} + 16], r9",
    "   inc qword ptr [rbx + 8 * {request_sequence}]",
    "   mov eax, {protect}",
    "   out dx, eax",
    "   test r9d, r9d",
    "   jz resize",
    "   mov qword ptr [r8 + 0x80000], 77",
    "   jmp resize",
    // extern "C" fn(ip, fp, has_address, address)
    "trap_entry:",
    "   test rsp, 15",
    "   jz 2f",
    "   mov qword ptr [rbx + 8 * {done_status}], {trap}",
    "   mov [rbx + 8 * {done_text}], rdx",
    "   mov r13, rdi",
    "   mov r14, rcx",
    "   cmp rsi, 0xb0b",
    "   jne 2f",
    "   pushfq",
    "   pop rax",
    "   test rax, 0x40500",
    "   jnz 2f",
    "   mov esp, {stack}",
    "   jmp finish",
    "2: mov r13, -1",
    "   jmp finish",
    "bad_trap_entry:",
    "   ud2",
    ".balign 4",
    "table:",
    "   .long done - table, store - table, load - table, jump - table, divide - table",
    "   .long invalid - table, handle_traps - table, handle_traps_badly - table",
    "   .long count - table, request - table, host_calls - table, exits - table",
    "   .long out - table, out_byte - table, syscall_ - table, breakpoint - table",
    "   .long overflow - table, end - table, bad_stack - table, halt - table, set_flags - table",
    "   .long out_string - table, extended_state - table, fill - table, spoil - table",
    "   .long dump - table, resize - table",
    "ends:",
    "   .long done - ends, invalid - ends, end_spin - ends, end_host_call - ends",
    "   .long end_load - ends, end_panic - ends, end_log - ends, divide - ends",
    "   .long end_violation - ends, end_request - ends",
    "micro_guest_end:",
    ".popsection",
    mailbox = const MAILBOX,
    port = const PORT_REQUEST,
    ready = const EXIT_READY,
    host_call = const EXIT_HOST_CALL,
    nop = const EXIT_NOP,
    panic = const EXIT_PANIC,
    log = const EXIT_LOG,
    protect = const EXIT_PROTECT,
    saved = const SAVED - MAILBOX,
    data = const DATA,
    dump = const DUMP,
    extended = const DUMP_EXTENDED,
    trap_entry = const EXIT_TRAP_ENTRY,
    trap = const STATUS_TRAP,
    stack = const STACK_TOP,
    command = const COMMAND,
    command_sequence = const COMMAND_SEQUENCE,
    arguments = const COMMAND_ARGUMENTS,
    done_sequence = const DONE_SEQUENCE,
    done_status = const DONE_STATUS,
    done_values = const DONE_VALUES,
    done_text = const DONE_TEXT_BYTES,
    request_sequence = const REQUEST_SEQUENCE,
    request_arguments = const REQUEST_ARGUMENTS,
    answer_sequence = const ANSWER_SEQUENCE,
    answer_status = const ANSWER_STATUS,
    answer_value = const ANSWER_VALUE,
);

unsafe extern "C" {
    #[link_name = "micro_guest_start"]
    static START: u8;
    #[link_name = "micro_guest_end"]
    static END: u8;
}

/// Where its code ends, amply, counted from `IMAGE`.
pub const IMAGE_END_OF_CODE: u64 = 0x1000;

/// One segment of an image: address, flags, content, bytes in memory.
pub type Segment<'s> = (u64, u32, &'s [u8], u64);

/// The micro guest.
pub fn image() -> Result<Arc<GuestImage>, ImageError> {
    GuestImage::new(&file()).map(Arc::new)
}

/// The micro guest as an ELF file.
pub fn file() -> Vec<u8> {
    let (start, end) = (&raw const START, &raw const END);
    // SAFETY: both symbols are in the block above, the second behind the first.
    let code = unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) };
    let constants = CONSTANT.to_le_bytes();
    elf(
        IMAGE,
        &[
            (IMAGE, 5, code, code.len() as u64),
            (CONSTANTS, 4, &constants, 8),
            (DATA, 6, &[], 0x3000),
        ],
    )
}

/// An ELF file with these segments.
pub fn elf(entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
    let count = u16::try_from(segments.len()).unwrap_or(u16::MAX);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 62, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [0_u16, 0, 64, 56, count, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for (address, flags, content, bytes) in segments {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        let length = content.len() as u64;
        for word in [offset, *address, *address, length, *bytes, 1] {
            file.extend(word.to_le_bytes());
        }
        offset += length;
    }
    for (_, _, content, _) in segments {
        file.extend(*content);
    }
    file
}
