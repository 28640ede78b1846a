//! The description: what the host must know to lower, lift and link, as JSON.
//!
//! The structures here are its schema. `hlwasm/wit/model.py` reads it.

mod functions;
mod types;

use indexmap::IndexMap;
use serde::Serialize;

use crate::canonical::Layout;
use crate::error::{BridgeError, Result};
use crate::memories::Memory;
use crate::plan::Plan;
use crate::source::{Skipped, Source, SourceKind};
use crate::world::{Export, Interface, World};
use functions::FunctionEntry;
use types::{TypeEntry, TypeReference, TypeTable};

/// Version of the schema.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Description<'a> {
    format: u32,
    source_kind: SourceKind,
    wit: &'a str,
    world: &'a str,
    transfer_pages: TransferPages,
    /// The component's own memories in the order of their creation.
    memories: &'a [Memory],
    call_count: usize,
    /// Each refers to earlier ones only.
    types: Vec<TypeEntry>,
    interfaces: Vec<InterfaceEntry>,
    world_types: IndexMap<String, usize>,
    imports: Vec<FunctionEntry>,
    exports: Vec<FunctionEntry>,
    resource_drops: Vec<ResourceDrop>,
    resource_destructors: Vec<ResourceDestructor>,
    skipped: Vec<&'a Skipped>,
}

#[derive(Serialize)]
struct TransferPages {
    /// 0 if there is no import bridge.
    import: u32,
    export: u32,
}

#[derive(Serialize)]
struct InterfaceEntry {
    name: String,
    direction: Direction,
    /// By name, also under names of aliases and of types used from elsewhere.
    types: IndexMap<String, usize>,
    docs: Option<String>,
    /// The import module's name where the world was made up for a core module.
    #[serde(skip_serializing_if = "Option::is_none")]
    core_name: Option<String>,
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Import,
    Export,
}

/// `call-index` drops a handle of a guest resource.
#[derive(Serialize)]
struct ResourceDrop {
    index: usize,
    resource: usize,
}

/// `host-call` with this number and the drop flag: the guest dropped a host resource.
#[derive(Serialize)]
struct ResourceDestructor {
    number: usize,
    resource: usize,
}

/// Describes a bridged component.
pub(crate) fn describe(
    source: &Source<'_>,
    world: &World,
    plan: &Plan,
    memories: &[Memory],
    pages: u32,
) -> Result<String> {
    let layout = Layout::new(&world.resolve);
    let mut types = TypeTable::new(world, plan);
    let mut interfaces = Vec::new();
    let mut world_types = IndexMap::new();
    let exported = world.exports.iter().filter_map(|export| match export {
        Export::Interface(interface) => Some((Direction::Export, interface)),
        Export::Function(_) => None,
    });
    let imported = world
        .imports
        .iter()
        .map(|interface| (Direction::Import, interface));
    for (direction, interface) in imported.chain(exported) {
        let names = names(world, interface, &mut types)?;
        match &interface.name {
            None => {
                world_types = names;
                world_types.retain(|name, _| !world.made_up_types.contains(name));
            }
            Some(name) => interfaces.push(InterfaceEntry {
                name: name.clone(),
                direction,
                types: names,
                docs: world.resolve.interfaces[interface.id].docs.contents.clone(),
                core_name: source.core_interface(name).map(str::to_owned),
            }),
        }
    }
    let imports = functions::imports(&layout, plan, source, &mut types)?;
    let exports = functions::exports(&layout, plan, source, &mut types)?;
    let mut resource_drops = Vec::new();
    for (index, resource) in (plan.exports.len()..).zip(&plan.guest_resources) {
        let resource = types.index(resource.id)?;
        resource_drops.push(ResourceDrop { index, resource });
    }
    let mut resource_destructors = Vec::new();
    for (number, resource) in plan.host_resources.iter().enumerate() {
        let resource = types.index(resource.id)?;
        resource_destructors.push(ResourceDestructor { number, resource });
    }
    let description = Description {
        format: FORMAT,
        source_kind: source.kind,
        wit: &world.wit,
        world: &world.name,
        transfer_pages: TransferPages {
            import: if world.imports.is_empty() { 0 } else { pages },
            export: pages,
        },
        memories,
        call_count: plan.call_count(),
        types: types.finish(),
        interfaces,
        world_types,
        imports,
        exports,
        resource_drops,
        resource_destructors,
        skipped: world.leftovers.iter().chain(&source.skipped).collect(),
    };
    serde_json::to_string(&description).map_err(|error| BridgeError::internal("description", error))
}

/// Indices of an interface's types by name. Names of primitive types are left out: they
/// have no index, and stand for nothing but the primitive.
fn names(
    world: &World,
    interface: &Interface,
    types: &mut TypeTable<'_>,
) -> Result<IndexMap<String, usize>> {
    let mut names = IndexMap::new();
    for (name, id) in &world.resolve.interfaces[interface.id].types {
        if let TypeReference::Index(index) = types.reference_id(*id)? {
            names.insert(name.clone(), index);
        }
    }
    Ok(names)
}
