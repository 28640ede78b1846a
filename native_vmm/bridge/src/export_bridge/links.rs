//! The world of the export bridge, and what each of its imports stands for.

use std::collections::HashMap;

use wit_parser::{Resolve, TypeOwner, WorldId, WorldItem, WorldKey};

use crate::host_handles::HostHandles;
use crate::plan::{Plan, live_in_exports};
use crate::reserved;
use crate::resolve_items::{add_interface, add_world, function, interface_item};
use crate::uses::Uses;
use crate::world::World;

/// What stands for the imports that are not exports of the import bridge, by name.
pub(crate) type Links = HashMap<String, Link>;

pub(crate) enum Link {
    /// An export of the user's component.
    User(String),
    /// A type that an interface of the import bridge exports.
    Type { interface: String, name: String },
}

/// The world of the bridge. Exported interfaces of the user are imported under names of
/// the reserved package, so none can meet an import of the same name.
pub(super) fn add_bridge_world(
    resolve: &mut Resolve,
    world: &World,
    plan: &Plan,
    handles: Option<&HostHandles>,
) -> (WorldId, Links) {
    let id = add_world(resolve, world.package, "export-bridge");
    let mut links = HashMap::new();
    let mut imports: Vec<(WorldKey, WorldItem)> = Vec::new();

    let live = live_in_exports(world);
    // Of the imported interfaces only the types are needed that exports mention.
    for interface in &world.imports {
        let items = &mut resolve.interfaces[interface.id];
        items.functions.clear();
        items.types.retain(|_, id| live.contains(id));
        if !items.types.is_empty() {
            imports.push((interface.key.clone(), interface_item(interface.id)));
        }
    }
    if let Some(handles) = handles {
        imports.push((handles.key(), interface_item(handles.interface)));
    }
    for (number, interface) in world.exported_interfaces().enumerate() {
        let name = format!("export{number}");
        let moved = &mut resolve.interfaces[interface.id];
        moved.package = Some(world.package);
        moved.name = Some(name.clone());
        links.insert(
            reserved::interface_name(&name),
            Link::User(interface.name.clone().unwrap_or_default()),
        );
        resolve.packages[world.package]
            .interfaces
            .insert(name, interface.id);
        imports.push((
            WorldKey::Interface(interface.id),
            interface_item(interface.id),
        ));
    }
    resolve.worlds[id].imports.extend(imports);
    add_functions(resolve, id, world, plan, &mut links);

    let guest = add_interface(resolve, world.package, Some(reserved::GUEST));
    for number in 0..plan.call_count() {
        let call = function(&reserved::call_name(number), &[], None);
        resolve.interfaces[guest]
            .functions
            .insert(call.name.clone(), call);
    }
    let bridge_world = &mut resolve.worlds[id];
    bridge_world
        .exports
        .insert(WorldKey::Interface(guest), interface_item(guest));
    (id, links)
}

/// Imports the exported functions outside any interface, and the types they need.
fn add_functions(
    resolve: &mut Resolve,
    bridge_world: WorldId,
    world: &World,
    plan: &Plan,
    links: &mut Links,
) {
    let mut functions = Vec::new();
    let mut uses = Uses::new(resolve, bridge_world);
    for (number, call) in plan.exports.iter().enumerate() {
        if call.interface.is_none() {
            let mut function = call.function.clone();
            function.name = function_name(number);
            links.insert(
                function.name.clone(),
                Link::User(call.function.name.clone()),
            );
            uses.apply(&mut function);
            functions.push(function);
        }
    }
    for (import, used) in uses.added {
        let used = &resolve.types[used];
        let mut interfaces = world.imports.iter();
        let interface = interfaces.find(|each| used.owner == TypeOwner::Interface(each.id));
        if let (Some(interface), Some(name)) = (interface, &used.name) {
            let interface = resolve.name_world_key(&interface.key);
            let name = name.clone();
            links.insert(import, Link::Type { interface, name });
        }
    }
    let imports = &mut resolve.worlds[bridge_world].imports;
    for function in functions {
        imports.insert(
            WorldKey::Name(function.name.clone()),
            WorldItem::Function(function),
        );
    }
}

/// Name under which an exported function outside any interface is imported.
pub(super) fn function_name(number: usize) -> String {
    format!("function{number}")
}
