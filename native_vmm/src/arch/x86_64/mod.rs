//! The x86-64 machine that a guest starts in: ring 3, paging on, no kernel below.

pub mod descriptors;
pub mod page_tables;
pub mod registers;
pub mod stubs;
pub mod vectors;
