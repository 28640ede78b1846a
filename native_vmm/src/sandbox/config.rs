//! What a sandbox is made of, checked.

use std::fs::File;
use std::sync::Arc;

use super::error::SandboxError;
use crate::embedded_guest;
use crate::hypervisor::Driver;
use crate::loader::GuestImage;
use crate::memory::{Artifact, Plan};

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    pub(super) driver: Driver,
    pub(super) plan: Plan,
    pub(super) artifact: Option<Artifact>,
    pub(super) total_memory_bytes: u64,
    pub(super) image: Arc<GuestImage>,
}

impl Config {
    /// RAM, windows by capacity, and the embedded guest.
    ///
    /// # Errors
    /// What is out of range.
    pub fn new(driver: Driver, ram_bytes: u64, windows: &[u64]) -> Result<Self, SandboxError> {
        let plan = Plan::new(ram_bytes, windows)?;
        Ok(Self {
            driver,
            plan,
            artifact: None,
            total_memory_bytes: u64::MAX,
            image: embedded_guest::image()?,
        })
    }

    /// Adds an artifact: the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// If it is not one.
    pub fn with_artifact(mut self, file: File, bytes: u64) -> Result<Self, SandboxError> {
        self.artifact = Some(Artifact::new(file, bytes)?);
        Ok(self)
    }

    /// Limits what all component windows together make accessible.
    #[must_use]
    pub const fn with_total_memory(mut self, bytes: u64) -> Self {
        self.total_memory_bytes = bytes;
        self
    }

    /// Boots another guest image than the embedded one.
    #[must_use]
    pub fn with_image(mut self, image: Arc<GuestImage>) -> Self {
        self.image = image;
        self
    }
}
