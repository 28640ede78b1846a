//! The transfer memories: one linear memory in each bridge, mapped by the host.
//!
//! Both have a fixed size (minimum = maximum), declared by the bridge generator, and
//! are fully accessible from the first moment, so they never grow and no exit is spent
//! on them. The guest knows them by order: components instantiate in a fixed order, the
//! import bridge (where there is one) first, the export bridge last.
//!
//! ```text
//! offset 56   overflow u32   a bridge writes the bytes it wanted before it traps
//!                            because they did not fit; the host clears it
//!        60   cursor   u32   first free byte; bump allocation, 16-byte aligned blocks
//!        64   data           export bridge: parameters of the call, then its result,
//!                            then payload of parameters and of results
//! ```
//! Export call: the host writes parameters and cursor, runs `call-k`, reads the result.
//! Host call `(f, p)`: the host reads parameters at `p`, runs the function, writes the
//! result at the cursor and answers its address. The import bridge rewinds its cursor
//! when the call's result has been copied out.

constants! {
    /// Offset of the overflow word.
    OVERFLOW = 56;
    /// Offset of the cursor word.
    CURSOR = 60;
    /// Offset of the first data byte.
    DATA = 64;
    /// Bytes in a wasm page.
    WASM_PAGE_BYTES = 0x1_0000;
    /// Function number flag: drop of a host resource of the type in the low bits.
    DROP_RESOURCE = 0x8000_0000;
    /// Usable bytes of a transfer memory unless chosen otherwise: 64 MiB.
    DEFAULT_BYTES = 0x400_0000;
}

/// Declared wasm pages of a bridge memory that offers at least `bytes`.
pub const fn pages_for(bytes: u64) -> u64 {
    bytes.div_ceil(WASM_PAGE_BYTES)
}
