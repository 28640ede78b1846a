//! Turns any component or core module into one whose interface knows no types.
//!
//! ```text
//!            hlwasm:bridge/host                     hlwasm:bridge/guest
//! host-call(f, p) -> p │                            ▲ call0, call1, …
//!                      ▼                            │
//!               import bridge ──► user's component ──► export bridge
//!               exports what           │            imports what
//!               the user imports       ▼            the user exports
//! ```
//! All typed copying is done by the adapters that the compiler puts between the three
//! components. The host reads and writes canonical-ABI records in the two bridges' memories,
//! guided by the description; see `host_guest_abi::transfer` for their layout.
//!
//! | module | subject |
//! |---|---|
//! | `input`, `validation` | recognising, WAT, validation |
//! | `source`, `core_source` | core modules become components |
//! | `world`, `packages`, `unsupported`, `reserved`, `leftovers`, `uses` | the user's world and what is refused in it |
//! | `plan` | which function has which number |
//! | `canonical`, `transfer`, `core_module` | code of the bridges |
//! | `import_bridge`, `export_bridge`, `host_handles` | the bridges |
//! | `compose` | the three components together |
//! | `memories`, `description` | what the host must know |
//! | `wit_source` | the description of a world that is WIT alone |
//! | `wit_text` | WIT as text that may not become too long |
//! | `constants` | what the code of a component compares with, for its tests |
//! | `error`, `guard` | how it fails |

mod canonical;
mod compose;
mod constants;
mod core_module;
mod core_source;
mod description;
mod encode;
mod error;
mod export_bridge;
mod guard;
mod host_handles;
mod import_bridge;
mod input;
mod leftovers;
mod memories;
mod options;
mod packages;
mod plan;
mod reserved;
mod resolve_items;
mod source;
mod transfer;
mod unsupported;
mod uses;
mod validation;
mod wit_source;
mod wit_text;
mod world;

pub use constants::{Constants, constants};
pub use error::BridgeError;
use host_handles::HostHandles;
pub use options::Options;
use plan::Plan;
use source::Source;
pub use unsupported::WIT_PACKAGE;
pub use wit_source::{
    BinaryPackage, Place, WitError, WitFile, WitPackage, WitSources, describe_wit, print_wit,
};
use world::World;

/// What comes out.
#[derive(Debug)]
pub struct Bridged {
    /// The composed component.
    pub component: Vec<u8>,
    /// Its description in JSON.
    pub description: String,
}

/// Bridges a component, a core module or the text of one.
///
/// # Errors
/// See [`BridgeError`].
pub fn bridge(input: &[u8], options: &Options) -> Result<Bridged, BridgeError> {
    guard::whole(|| bridge_unguarded(input, options))
}

fn bridge_unguarded(input: &[u8], options: &Options) -> error::Result<Bridged> {
    let pages = options.transfer_pages()?;
    let source = Source::of(input)?;
    let component = validation::component(&source.component, source.bodies)?;
    let mut world = World::of(&component)?;
    let plan = Plan::new(&world);
    let memories = memories::of(component.bytes)?;
    let description = description::describe(&source, &world, &plan, &memories, pages)?;
    let handles = HostHandles::add(&mut world, &plan);
    let imports = import_bridge::build(&world, &plan, handles.as_ref(), pages)?;
    let exports = export_bridge::build(&world, &plan, handles.as_ref(), pages)?;
    Ok(Bridged {
        component: compose::compose(imports.as_deref(), &component, &exports)?,
        description,
    })
}
