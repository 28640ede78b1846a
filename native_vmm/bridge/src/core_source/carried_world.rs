//! The world that a core module carries, as far as it is checked before wit-component reads it.
//!
//! A toolchain puts it into custom sections: each is a component that exports one type, a
//! component type that in turn has one export, the world.

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::{ComponentExternalKind, Parser, Payload, WasmFeatures};

use crate::error::{BridgeError, Result};
use crate::packages::PackageGraph;
use crate::validation::{self, Bodies};

/// Start of the names of the sections.
pub(super) const SECTION: &str = "component-type";

/// Checks the sections of a module, and of the adapter that it will be linked with.
///
/// # Errors
/// `Malformed` if a section does not have the form above, `Unsupported` if their packages
/// use each other in a circle.
pub(super) fn check(module: &[u8], adapter: Option<&[u8]>) -> Result<()> {
    let mut packages = PackageGraph::default();
    for module in [Some(module), adapter].into_iter().flatten() {
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::CustomSection(section) if section.name().starts_with(SECTION) => {
                    check_section(section.name(), section.data(), &mut packages)?;
                }
                _ => {}
            }
        }
    }
    packages.check()
}

fn check_section(name: &str, data: &[u8], packages: &mut PackageGraph) -> Result<()> {
    let malformed = |message: &str| BridgeError::Malformed(format!("section {name}: {message}"));
    let world = validation::validate(data, WasmFeatures::all(), Bodies::Check)
        .map_err(|error| malformed(&BridgeError::from(error).to_string()))?;
    let types = &world.types;
    let [export] = world.exports.as_slice() else {
        return Err(malformed("it does not have one export"));
    };
    if export.kind != ComponentExternalKind::Type {
        return Err(malformed("its export is not a type"));
    }
    let item = types.as_ref().component_item_for_export(&export.name);
    let Some(ComponentEntityType::Type {
        referenced: ComponentAnyTypeId::Component(id),
        ..
    }) = item.map(|item| item.ty)
    else {
        return Err(malformed("it is not the type of a component"));
    };
    let outer = &types[id];
    let mut exports = outer.exports.iter();
    match (outer.imports.is_empty(), exports.next(), exports.next()) {
        (true, Some((name, item)), None) => match item.ty {
            ComponentEntityType::Component(world) => {
                let world = &types[world];
                for (name, item) in world.imports.iter().chain(&world.exports) {
                    let is_function = matches!(item.ty, ComponentEntityType::Func(_));
                    if is_function && name.contains(':') {
                        return Err(malformed("a function has the name of an interface"));
                    }
                }
                packages.add_world(types, name, world);
                Ok(())
            }
            _ => Err(malformed("what it describes is not a world")),
        },
        _ => Err(malformed("it does not describe one world")),
    }
}
