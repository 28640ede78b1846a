//! What a sandbox is made of, checked.

use std::fs::File;

use super::error::SandboxError;
use crate::embedded_guest;
use crate::hypervisor::Driver;
use crate::memory::{Artifact, Plan};

/// A checked configuration.
#[derive(Debug)]
pub struct Config<'i> {
    pub(super) driver: Driver,
    pub(super) plan: Plan,
    pub(super) artifact: Option<Artifact>,
    pub(super) image: &'i [u8],
}

impl Config<'_> {
    /// RAM, windows by capacity, and the embedded guest.
    ///
    /// # Errors
    /// What is out of range.
    pub fn new(driver: Driver, ram_bytes: u64, windows: &[u64]) -> Result<Self, SandboxError> {
        let plan = Plan::new(ram_bytes, windows)?;
        Ok(Self { driver, plan, artifact: None, image: embedded_guest::IMAGE })
    }

    /// Adds an artifact: the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// If it is not one.
    pub fn with_artifact(mut self, file: File, bytes: u64) -> Result<Self, SandboxError> {
        self.artifact = Some(Artifact::new(file, bytes)?);
        Ok(self)
    }

    /// Boots another guest image than the embedded one.
    #[must_use]
    pub fn with_image(self, image: &[u8]) -> Config<'_> {
        let Self { driver, plan, artifact, .. } = self;
        Config { driver, plan, artifact, image }
    }
}
