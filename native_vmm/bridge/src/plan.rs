//! Which function and which resource gets which number; both bridges and the description follow it.

use std::collections::HashSet;

use wit_parser::{Function, LiveTypes, Resolve, TypeDefKind, TypeId};

use crate::resolve_items::interface_item;
use crate::world::{Export, Interface, World};

/// The numbers are the positions in the lists.
pub(crate) struct Plan {
    /// Host functions: `f` of `host-call`.
    pub(crate) imports: Vec<Call>,
    /// Guest functions: `k` of `call-k`.
    pub(crate) exports: Vec<Call>,
    /// Resources of the host: low bits of `f` when the guest drops one.
    pub(crate) host_resources: Vec<Resource>,
    /// Resources of the guest: `k` of the call that drops one follows the guest functions.
    pub(crate) guest_resources: Vec<Resource>,
    /// Host resources whose handles cross the export bridge.
    pub(crate) crossing: Vec<TypeId>,
}

/// A function and where it lives.
pub(crate) struct Call {
    /// None for an export outside any interface.
    pub(crate) interface: Option<Interface>,
    pub(crate) function: Function,
}

/// A resource and where it lives.
pub(crate) struct Resource {
    pub(crate) interface: Interface,
    pub(crate) id: TypeId,
}

impl Plan {
    pub(crate) fn new(world: &World) -> Self {
        let resolve = &world.resolve;
        let calls_of = |interface: &Interface| -> Vec<Call> {
            let functions = resolve.interfaces[interface.id].functions.values();
            functions
                .map(|function| Call {
                    interface: Some(interface.clone()),
                    function: function.clone(),
                })
                .collect()
        };
        let imports = world.imports.iter().flat_map(calls_of).collect();
        let exports = world
            .exports
            .iter()
            .flat_map(|export| match export {
                Export::Interface(interface) => calls_of(interface),
                Export::Function(function) => vec![Call {
                    interface: None,
                    function: function.clone(),
                }],
            })
            .collect();
        let host_resources = resources(resolve, world.imports.iter());
        let guest_resources = resources(resolve, world.exported_interfaces());
        let live = live_in_exports(world);
        let crossing = host_resources
            .iter()
            .map(|resource| resource.id)
            .filter(|id| live.contains(id))
            .collect();
        Self {
            imports,
            exports,
            host_resources,
            guest_resources,
            crossing,
        }
    }

    /// Number of `call-k` functions.
    pub(crate) fn call_count(&self) -> usize {
        self.exports.len() + self.guest_resources.len()
    }
}

/// Types that the exports mention, directly or through others.
pub(crate) fn live_in_exports(world: &World) -> HashSet<TypeId> {
    let mut live = LiveTypes::default();
    for export in &world.exports {
        match export {
            Export::Interface(interface) => {
                live.add_world_item(&world.resolve, &interface_item(interface.id));
            }
            Export::Function(function) => live.add_func(&world.resolve, function),
        }
    }
    live.iter().collect()
}

fn resources<'a>(
    resolve: &Resolve,
    interfaces: impl Iterator<Item = &'a Interface>,
) -> Vec<Resource> {
    let mut found = Vec::new();
    for interface in interfaces {
        for id in resolve.interfaces[interface.id].types.values() {
            if matches!(resolve.types[*id].kind, TypeDefKind::Resource) {
                found.push(Resource {
                    interface: interface.clone(),
                    id: *id,
                });
            }
        }
    }
    found
}
