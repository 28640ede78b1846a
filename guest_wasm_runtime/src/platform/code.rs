//! Executable memory: the artifact's text already is, by the host's page tables.

use host_guest_abi::layout::PAGE_BYTES;
use wasmtime::CustomCodeMemory;

use crate::units::size;

/// Publishes nothing, because everything is published.
pub struct ArtifactCode;

impl CustomCodeMemory for ArtifactCode {
    fn required_alignment(&self) -> usize {
        size(PAGE_BYTES)
    }

    fn publish_executable(&self, _start: *const u8, _bytes: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _start: *const u8, _bytes: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
