//! `embed_wit CORE_MODULE OUTPUT [WIT_DIRECTORY [WORLD]]`: makes a component of a core
//! module whose imports and exports follow the canonical ABI.
//!
//! The world says what they mean; it may be left out where there is only one. Modules made
//! with `wit-bindgen` carry their world in them already.

use std::env;
use std::fs;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (module, output, wit, world) = match arguments.as_slice() {
        [module, output] => (module, output, None, None),
        [module, output, wit] => (module, output, Some(wit), None),
        [module, output, wit, world] => (module, output, Some(wit), Some(world.as_str())),
        _ => bail!("usage: embed_wit CORE_MODULE OUTPUT [WIT_DIRECTORY [WORLD]]"),
    };
    let mut bytes = fs::read(module).with_context(|| format!("reading {module}"))?;
    if let Some(wit) = wit {
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_dir(wit)
            .with_context(|| format!("reading {wit}"))?;
        let world = resolve.select_world(&[package], world)?;
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)?;
    }
    let component = ComponentEncoder::default()
        .module(&bytes)?
        .validate(true)
        .encode()
        .with_context(|| format!("{module} does not fit its WIT"))?;
    fs::write(output, component).with_context(|| format!("writing {output}"))
}
