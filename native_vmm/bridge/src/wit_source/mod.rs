//! The description of a world that exists as WIT alone, without a component of it.
//!
//! | module | subject |
//! |---|---|
//! | `sources` | what is given |
//! | `binary`, `agreement` | packages in binary form become text |
//! | `read` | text becomes a `Resolve` |
//! | `choose` | which of its worlds is meant, or one that is made up |
//! | `names` | names that no component can have |
//! | `limits` | what is refused because it would take too much of the host |
//! | `error` | how it fails |

mod agreement;
mod binary;
mod choose;
mod error;
mod limits;
mod names;
mod read;
mod sources;

use std::thread;

use crate::error::Result as BridgeResult;
use crate::options::Options;
use crate::plan::Plan;
use crate::source::Source;
use crate::world::World;
use crate::{description, guard};
pub use error::{Place, WitError};
pub use sources::{BinaryPackage, WitFile, WitPackage, WitSources};

/// Describes a component of a world, as [`crate::bridge`] would. It has no memories.
///
/// A package without worlds gets one that exports each of its interfaces.
///
/// # Errors
/// See [`WitError`].
pub fn describe_wit(sources: &WitSources) -> Result<String, WitError> {
    limits::bytes(sources)?;
    // Interfaces and worlds that use each other make the parser call itself once for each.
    thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(limits::STACK_BYTES);
        let running = parser
            .spawn_scoped(scope, || describe_guarded(sources))
            .map_err(|error| WitError::anywhere(format!("no thread to parse in: {error}")))?;
        running
            .join()
            .unwrap_or_else(|_| Err(WitError::anywhere("the parser failed")))
    })
}

/// A package in binary form as text, with the parts of other packages that it uses.
///
/// # Errors
/// See [`WitError`].
pub fn print_wit(package: &BinaryPackage) -> Result<String, WitError> {
    limits::length(package.wasm.len())?;
    guard::third_party("the package", || Ok(binary::print(package)))?
}

fn describe_guarded(sources: &WitSources) -> Result<String, WitError> {
    let text = guard::third_party("the package", || Ok(binary::to_text(sources)))??;
    let (resolve, world) = guard::third_party("the sources", || Ok(read::read(&text)))??;
    Ok(guard::whole(|| describe(resolve, world))?)
}

fn describe(resolve: wit_parser::Resolve, world: wit_parser::WorldId) -> BridgeResult<String> {
    let pages = Options::default().transfer_pages()?;
    let world = World::of_resolve(resolve, world)?;
    let plan = Plan::new(&world);
    description::describe(&Source::of_wit(), &world, &plan, &[], pages)
}
