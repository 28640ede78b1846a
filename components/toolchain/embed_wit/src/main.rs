//! `embed_wit CORE_MODULE OUTPUT [WIT_DIRECTORY]`: makes a component of a core module
//! whose imports and exports follow the canonical ABI.
//!
//! The directory's only world says what they mean; modules made with `wit-bindgen` carry
//! it in them already.

use std::env;
use std::fs;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (module, output, wit) = match arguments.as_slice() {
        [module, output] => (module, output, None),
        [module, output, wit] => (module, output, Some(wit)),
        _ => bail!("usage: embed_wit CORE_MODULE OUTPUT [WIT_DIRECTORY]"),
    };
    let mut bytes = fs::read(module).with_context(|| format!("reading {module}"))?;
    if let Some(wit) = wit {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(wit).with_context(|| format!("reading {wit}"))?;
        let world = resolve.select_world(&[package], None)?;
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)?;
    }
    let component = ComponentEncoder::default()
        .module(&bytes)?
        .validate(true)
        .encode()
        .with_context(|| format!("{module} does not fit its WIT"))?;
    fs::write(output, component).with_context(|| format!("writing {output}"))
}
