//! Guest memory: one region for RAM and arena, and the artifact beside it.

mod artifact;
mod guest_memory;
mod plan;
mod region;
mod units;
mod windows;

pub use artifact::{Artifact, ArtifactError};
pub use guest_memory::{GuestMemory, MemoryError};
pub use plan::{Plan, PlanError, Window, WindowPlace};
pub use region::{Access, Region};
pub use units::{host_size, is_page_aligned, round_to_large_page, round_to_page};
pub use windows::{Answer, Windows};
