//! From the core module of a bridge and its world to a component.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::error::{BridgeError, Result};
use crate::guard;

/// Makes a component of a core module that was written for `world`.
pub(crate) fn component(
    resolve: &Resolve,
    world: WorldId,
    mut core: Vec<u8>,
    stage: &str,
) -> Result<Vec<u8>> {
    let failed = |error| BridgeError::internal(stage, format!("{error:#}"));
    guard::third_party(stage, || {
        embed_component_metadata(&mut core, resolve, world, StringEncoding::UTF8)
            .map_err(failed)?;
        ComponentEncoder::default()
            .merge_imports_based_on_semver(false)
            .validate(cfg!(debug_assertions))
            .module(&core)
            .and_then(|mut encoder| encoder.encode())
            .map_err(failed)
    })
}
