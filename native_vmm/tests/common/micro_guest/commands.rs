//! The commands of the micro guest, by their numbers.

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
