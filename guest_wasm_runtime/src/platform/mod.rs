//! What wasmtime asks of an operating system: the functions of its C platform API.

pub mod code;
mod images;
mod memory;
mod tls;
pub mod traps;

/// `errno` for "no memory".
const ENOMEM: i32 = 12;
/// `errno` for "invalid argument".
const EINVAL: i32 = 22;
