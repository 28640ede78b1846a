//! Puts the two bridges and the user's component together as siblings.
//!
//! Siblings, because a call between a component and its own child traps.

use std::collections::HashMap;

use wasm_encoder::{
    ComponentBuilder, ComponentExportKind, ComponentTypeRef, ComponentValType, InstanceType,
    PrimitiveValType,
};
use wasmparser::{ComponentExternalKind, Parser, Payload};

use crate::error::{BridgeError, Result};
use crate::export_bridge::{ExportBridge, Link};
use crate::reserved;
use crate::validation::{self, Bodies, Extern, Valid};

const STAGE: &str = "composition";

/// An item of the composed component's index spaces.
type Item = (ComponentExportKind, u32);

/// The composed component: imports the host interface if there is an import bridge, and
/// exports the guest interface.
pub(crate) fn compose(
    import_bridge: Option<&[u8]>,
    user: &Valid<'_>,
    export_bridge: &ExportBridge,
) -> Result<Vec<u8>> {
    let mut builder = ComponentBuilder::default();
    let imports = import_bridge.map(|bytes| {
        let host = import_host(&mut builder);
        let component = builder.component_raw(Some("import bridge"), bytes);
        let host_name = reserved::interface_name(reserved::HOST);
        let arguments = [(host_name, ComponentExportKind::Instance, host)];
        builder.instantiate(Some("import bridge"), component, arguments)
    });

    let component = builder.component_raw(Some("user"), user.bytes);
    let root_items = ImportItems {
        bridge: imports,
        root: imports
            .filter(|_| user.imports.iter().any(is_root_item))
            .map(|instance| {
                let root = reserved::interface_name(reserved::ROOT);
                builder.alias_export(instance, &root, ComponentExportKind::Instance)
            }),
    };
    let mut arguments = Vec::new();
    for import in &user.imports {
        let (kind, index) = root_items.find(&mut builder, import)?;
        arguments.push((import.name.clone(), kind, index));
    }
    let user_instance = builder.instantiate(Some("user"), component, arguments);
    let user_exports: HashMap<&str, &Extern> = user
        .exports
        .iter()
        .map(|export| (export.name.as_str(), export))
        .collect();

    let component = builder.component_raw(Some("export bridge"), &export_bridge.component);
    let mut arguments = Vec::new();
    for import in top_level_imports(&export_bridge.component)? {
        let (kind, index) = match export_bridge.links.get(&import.name) {
            Some(Link::User(name)) => {
                let export = user_exports
                    .get(name.as_str())
                    .ok_or_else(|| unlinked(name))?;
                let kind = export_kind(export)?;
                (kind, builder.alias_export(user_instance, name, kind))
            }
            Some(Link::Type { interface, name }) => {
                let bridge = imports.ok_or_else(|| unlinked(name))?;
                let kind = ComponentExportKind::Instance;
                let instance = builder.alias_export(bridge, interface, kind);
                let kind = ComponentExportKind::Type;
                (kind, builder.alias_export(instance, name, kind))
            }
            None => root_items.find(&mut builder, &import)?,
        };
        arguments.push((import.name, kind, index));
    }
    let bridge = builder.instantiate(Some("export bridge"), component, arguments);
    let guest_name = reserved::interface_name(reserved::GUEST);
    let kind = ComponentExportKind::Instance;
    let guest = builder.alias_export(bridge, &guest_name, kind);
    builder.export(guest_name.as_str(), kind, guest, None);
    let composed = builder.finish();
    // Fails where wit-component and the validator disagree about the user's world.
    validation::validate(&composed, validation::supported_features(), Bodies::Trust)
        .map_err(|error| BridgeError::internal(STAGE, error))?;
    Ok(composed)
}

/// Imports the interface of the host and returns its instance.
fn import_host(builder: &mut ComponentBuilder) -> u32 {
    let number = ComponentValType::Primitive(PrimitiveValType::U32);
    let mut instance = InstanceType::new();
    instance
        .ty()
        .function()
        .params([("function", number), ("pointer", number)])
        .result(Some(number));
    instance.export(reserved::HOST_CALL, ComponentTypeRef::Func(0));
    let instance = builder.type_instance(Some("host"), &instance);
    let name = reserved::interface_name(reserved::HOST);
    builder.import(name.as_str(), ComponentTypeRef::Instance(instance))
}

/// What the import bridge offers.
struct ImportItems {
    bridge: Option<u32>,
    root: Option<u32>,
}

impl ImportItems {
    /// The item that stands for an import of the user's component or of the export bridge.
    fn find(&self, builder: &mut ComponentBuilder, import: &Extern) -> Result<Item> {
        let instance = if is_root_item(import) {
            self.root
        } else {
            self.bridge
        };
        let instance = instance.ok_or_else(|| unlinked(&import.name))?;
        let kind = export_kind(import)?;
        Ok((kind, builder.alias_export(instance, &import.name, kind)))
    }
}

/// Whether an import lies outside any interface.
fn is_root_item(import: &Extern) -> bool {
    import.kind != ComponentExternalKind::Instance
}

fn export_kind(item: &Extern) -> Result<ComponentExportKind> {
    match item.kind {
        ComponentExternalKind::Func => Ok(ComponentExportKind::Func),
        ComponentExternalKind::Type => Ok(ComponentExportKind::Type),
        ComponentExternalKind::Instance => Ok(ComponentExportKind::Instance),
        _ => Err(unlinked(&item.name)),
    }
}

fn unlinked(name: &str) -> BridgeError {
    BridgeError::internal(STAGE, format!("nothing stands for {name}"))
}

/// The imports of a component that wit-component made, all of which come first in it.
fn top_level_imports(component: &[u8]) -> Result<Vec<Extern>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    found.push(Extern {
                        name: import.name.name.to_owned(),
                        kind: import.ty.kind(),
                    });
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
