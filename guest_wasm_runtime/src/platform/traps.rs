//! CPU exceptions: the host resumes the guest here, wasmtime decides whether wasm trapped.

use core::arch::naked_asm;
use core::cell::{Cell, UnsafeCell};

use host_guest_abi::exit::EXIT_TRAP_ENTRY;

use crate::exit::request;
use crate::panic;
use crate::units::Single;

type Handler = extern "C" fn(ip: usize, fp: usize, has_address: bool, address: usize);

static HANDLER: Single<Cell<Option<Handler>>> = Single::new(Cell::new(None));

/// Exceptions since the command began.
static DEPTH: Single<Cell<u32>> = Single::new(Cell::new(0));

const STACK_BYTES: usize = 0x1_0000;

/// Traps are handled on a stack of their own, so an exhausted stack can be reported.
#[repr(C, align(4096))]
struct TrapStack(UnsafeCell<[u8; STACK_BYTES]>);

/// Placed by `image.ld`.
#[unsafe(link_section = ".bss.trap_stack")]
static TRAP_STACK: Single<TrapStack> = Single::new(TrapStack(UnsafeCell::new([0; STACK_BYTES])));

// SAFETY: wasmtime's platform API declares this name and type.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_init_traps(handler: Handler) -> i32 {
    HANDLER.set(Some(handler));
    let entry = trap_entry as *const () as usize;
    request(EXIT_TRAP_ENTRY, [entry as u64]).errno()
}

/// A command begins: no exception so far.
pub fn arm() {
    DEPTH.set(0);
}

/// Entered by the host in place of the faulting instruction, on its stack.
#[unsafe(naked)]
extern "C" fn trap_entry() -> ! {
    naked_asm!(
        "lea rsp, [rip + {stack} + {bytes}]",
        "xor ebp, ebp",
        "cld",
        "call {handle}",
        "ud2",
        stack = sym TRAP_STACK,
        bytes = const STACK_BYTES,
        handle = sym handle,
    )
}

extern "C" fn handle(ip: usize, fp: usize, has_address: usize, address: usize) -> ! {
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    // The second is a fault while the first was handled; a third would be a loop.
    if panic::in_progress() || depth > 2 {
        panic::abort("CPU exception while another one was handled");
    }
    let has_address = has_address != 0;
    if let Some(handler) = HANDLER.get() {
        // Does not return if wasm trapped.
        handler(ip, fp, has_address, address);
    }
    if has_address {
        panic!("CPU exception outside wasm code: instruction {ip:#x}, address {address:#x}");
    }
    panic!("CPU exception outside wasm code: instruction {ip:#x}");
}
