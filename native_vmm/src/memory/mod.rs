//! Guest memory: one region for RAM and arena, and the artifact beside it.

mod artifact;
mod careful_copies;
mod content;
mod guest_memory;
mod hot_pages;
mod large_copy;
mod plan;
mod private_pages;
mod ranges;
mod record;
mod region;
mod sealed_file;
mod snapshot;
mod units;
mod usage;
mod windows;
mod working_set;

pub use artifact::{Artifact, ArtifactError};
pub use guest_memory::{GuestMemory, MemoryError};
pub use hot_pages::Restored;
pub use plan::{Plan, PlanError, Window, WindowPlace};
pub use record::MemoryRecord;
pub use region::{Access, Region};
pub use sealed_file::{memory_file, seal};
pub use snapshot::MemorySnapshot;
pub use units::{host_size, is_page_aligned, round_to_large_page, round_to_page};
pub use usage::MemoryUsage;
pub use windows::{Answer, Windows};
