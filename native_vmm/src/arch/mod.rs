//! Machine facts.

pub mod x86_64;
