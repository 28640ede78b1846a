//! Makes a component of a core module.
//!
//! | the module | becomes |
//! |---|---|
//! | carries its world (`component-type` section) | what the toolchain meant |
//! | imports WASI preview 1 | see [`preview1`]; a world is made up for the rest |
//! | anything else | a world is made up for it, see [`bare`] |

mod bare;
mod carried_world;
mod names;
mod preview1;
mod rename;
mod surface;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use self::bare::BareWorld;
use self::preview1::Adapter;
use self::surface::Surface;
use crate::error::{BridgeError, Result};
use crate::guard;
use crate::source::{Source, SourceKind};
use crate::validation::{self, Bodies};

const STAGE: &str = "the module";

/// Makes a component of a core module in binary form.
///
/// # Errors
/// `Malformed` if it is not valid, `Unsupported` with the import that cannot be bridged.
pub(crate) fn componentize(module: &[u8]) -> Result<Source<'static>> {
    let types = validation::module(module)?;
    let surface = Surface::of(module, &types)?;
    preview1::refuse_other_flavours(&surface)?;
    let adapter = Adapter::for_module(&surface);
    if surface.has_world {
        carried_world::check(module, adapter.map(Adapter::bytes))?;
        let renamed = rename::Renames {
            imports: preview1::renamed_imports(&surface, adapter),
            exports: None,
        };
        return Ok(Source {
            kind: adapter.map_or(SourceKind::Component, Adapter::source_kind),
            component: encode(&renamed.apply(module)?, adapter)?.into(),
            bodies: Bodies::Trust,
            skipped: Vec::new(),
            core_names: Default::default(),
        });
    }

    let world = BareWorld::make_up(&surface, adapter)?;
    let mut imports = preview1::renamed_imports(&surface, adapter);
    imports.extend(world.renamed_imports);
    let renames = rename::Renames {
        imports,
        exports: Some(world.exports),
    };
    let mut module = renames.apply(module)?.into_owned();
    let (resolve, id) = (&world.resolve, world.id);
    embed_component_metadata(&mut module, resolve, id, StringEncoding::UTF8)
        .map_err(|error| BridgeError::internal(STAGE, format!("{error:#}")))?;
    Ok(Source {
        kind: adapter.map_or(SourceKind::Module, Adapter::source_kind),
        component: encode(&module, adapter)?.into(),
        bodies: Bodies::Trust,
        skipped: world.skipped,
        core_names: world.core_names,
    })
}

fn encode(module: &[u8], adapter: Option<Adapter>) -> Result<Vec<u8>> {
    let encode = || {
        let mut encoder = ComponentEncoder::default()
            .merge_imports_based_on_semver(false)
            .module(module)?;
        if let Some(adapter) = adapter {
            encoder = encoder.adapter(preview1::MODULE, adapter.bytes())?;
        }
        encoder.encode()
    };
    // The module is valid, so what fails here is how it goes together with its world.
    let failed = |error: anyhow::Error| BridgeError::unsupported(STAGE, format!("{error:#}"));
    guard::third_party(STAGE, || encode().map_err(failed))
}
