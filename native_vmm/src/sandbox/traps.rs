//! Turns faults of wasm code into calls of the guest's trap entry.
//!
//! The entry is `extern "C" fn(ip, fp, has_address, address)`. It runs on the stack of
//! the faulting code, below its red zone. Any fault that is not one of wasm code in
//! ring 3 ends the sandbox, and so does a fault inside the trap entry: that is, before
//! the guest's next request.

use std::sync::atomic::Ordering;

use super::exit::{Exit, Fault};
use super::guest::Guest;
use crate::arch::x86_64::descriptors::USER_CODE;
use crate::arch::x86_64::registers::RFLAGS;
use crate::arch::x86_64::stubs::{self, FRAME, Frame};
use crate::arch::x86_64::vectors::{self, PAGE_FAULT};
use crate::hypervisor::Registers;

/// Bytes below the stack pointer that the interrupted code may be using, amply.
const RED_ZONE: u64 = 256;

impl Guest {
    /// A CPU exception has been reported by its stub; the guest returns through the frame
    /// on the exception stack.
    pub(super) fn exception(&mut self) -> Option<Exit> {
        let registers = self.machine.registers();
        if !stubs::contains(registers.rip) || registers.rsp != FRAME {
            let what = "an exception was reported by other code than its stub";
            return Some(self.fault(what, -1, registers.rip, 0));
        }
        let vector = self.frame(Frame::Vector);
        let (rip, address) = (self.frame(Frame::Rip), self.frame(Frame::FaultAddress));
        let from_ring_3 = self.frame(Frame::Cs) == u64::from(USER_CODE);
        let entry = self
            .trap_entry
            .filter(|_| from_ring_3 && vectors::is_wasm_trap(vector) && !self.trapping);
        let Some(entry) = entry else {
            return Some(self.exception_fault(vector, rip, address));
        };
        let has_address = vector == PAGE_FAULT;
        self.set_frame(Frame::Rdx, u64::from(has_address));
        self.set_frame(Frame::Rax, 0);
        self.set_frame(Frame::Rip, entry);
        self.set_frame(Frame::Rflags, RFLAGS);
        self.set_frame(Frame::Rsp, entry_stack(self.frame(Frame::Rsp)));
        self.machine.set_registers(&Registers {
            rdi: rip,
            rsi: registers.rbp,
            rcx: if has_address { address } else { 0 },
            ..registers
        });
        self.trapping = true;
        if has_address {
            self.counters.page_faults += 1;
        } else {
            self.counters.exceptions += 1;
        }
        None
    }

    /// An instruction touched memory that the host does not let it touch. The vCPU still
    /// stands at the instruction; the address is not known.
    pub(super) fn access_fault(&mut self) -> Option<Exit> {
        let registers = self.machine.registers();
        let in_ring_3 = !stubs::contains(registers.rip);
        let Some(entry) = self.trap_entry.filter(|_| in_ring_3 && !self.trapping) else {
            let what = match (in_ring_3, self.trapping) {
                (false, _) => "access to memory without backing in an exception stub",
                (true, true) => "access to memory without backing while handling a trap",
                (true, false) => "access to memory without backing outside of wasm",
            };
            return Some(self.fault(what, -1, registers.rip, 0));
        };
        self.machine.set_registers(&Registers {
            rip: entry,
            rsp: entry_stack(registers.rsp),
            rflags: RFLAGS,
            rdi: registers.rip,
            rsi: registers.rbp,
            rdx: 0,
            rcx: 0,
            ..registers
        });
        self.trapping = true;
        self.counters.access_faults += 1;
        None
    }

    /// Ends the sandbox with a report.
    pub(super) fn fault(&mut self, what: &str, vector: i32, rip: u64, address: u64) -> Exit {
        let report = format!("{what} at rip {rip:#x}");
        self.set_text(&report);
        Exit::Fault(Fault {
            vector,
            rip,
            address,
        })
    }

    fn exception_fault(&mut self, vector: u64, rip: u64, address: u64) -> Exit {
        let mut report = format!("{} (vector {vector})", vectors::name(vector));
        if vectors::has_error_code(vector) {
            report += &format!(", error code {:#x}", self.frame(Frame::ErrorCode));
        }
        report += &format!(", at rip {rip:#x}, rsp {:#x}", self.frame(Frame::Rsp));
        if vector == PAGE_FAULT {
            report += &format!(", touching {address:#x}");
        }
        report += match (self.frame(Frame::Cs) & 3, self.trapping, self.trap_entry) {
            (3, true, _) => ", while handling a trap",
            (3, false, None) => ", before the guest handles traps",
            (3, false, Some(_)) => "",
            _ => ", in ring 0",
        };
        self.set_text(&report);
        let vector = i32::try_from(vector).unwrap_or(-1);
        Exit::Fault(Fault {
            vector,
            rip,
            address,
        })
    }

    fn frame(&self, word: Frame) -> u64 {
        self.memory
            .region
            .word(word.address())
            .load(Ordering::Relaxed)
    }

    fn set_frame(&self, word: Frame, value: u64) {
        self.memory
            .region
            .word(word.address())
            .store(value, Ordering::Relaxed);
    }
}

/// The stack pointer as a call would leave it: 16-byte aligned before the return address.
const fn entry_stack(rsp: u64) -> u64 {
    (rsp.wrapping_sub(RED_ZONE) & !15).wrapping_sub(8)
}
