//! From the first instruction to the command loop.

use core::arch::{asm, naked_asm};

use host_guest_abi::layout::STACK_TOP;

use crate::component::Guest;
use crate::platform::traps;
use crate::{dispatch, heap, mailbox};

/// Where the host starts the guest: ring 3, any registers.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!(
        "mov rsp, {stack}",
        "xor ebp, ebp",
        "cld",
        "call {boot}",
        "ud2",
        stack = const STACK_TOP,
        boot = sym boot,
    )
}

extern "C" fn boot() -> ! {
    reset_float_state();
    heap::claim();
    let mut guest = Guest::new();
    let mut last = 0;
    loop {
        let command = mailbox::wait_for_command(last);
        reset_float_state();
        traps::arm();
        let outcome = dispatch::run(&mut guest, &command);
        last = mailbox::finish(&command, &outcome);
    }
}

/// Puts vector, x87 and direction state into a defined state. After a restore these
/// registers hold whatever was there before, and a component must not see it.
#[inline(always)]
fn reset_float_state() {
    const DEFAULT_MXCSR: u32 = 0x1f80;
    // SAFETY: only registers declared as clobbered change; the host enables AVX.
    unsafe {
        asm!(
            "cld",
            "vzeroall",
            "fninit",
            "vldmxcsr [{mxcsr}]",
            mxcsr = in(reg) &DEFAULT_MXCSR,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
}
