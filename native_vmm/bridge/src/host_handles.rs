//! The interface through which the export bridge makes and takes handles of host resources.
//!
//! To Python a host resource is a number. Only the import bridge, which defines these
//! resources, can turn numbers into handles and back; the export bridge asks it to.

use wit_parser::{Function, Handle, InterfaceId, Type, TypeDefKind, TypeId, TypeOwner, WorldKey};

use crate::plan::Plan;
use crate::reserved;
use crate::resolve_items::{add_interface, add_type, function};
use crate::world::World;

/// The interface, with one pair of functions per resource.
pub(crate) struct HostHandles {
    pub(crate) interface: InterfaceId,
    pub(crate) resources: Vec<HostHandle>,
}

/// The functions of one resource.
pub(crate) struct HostHandle {
    pub(crate) resource: TypeId,
    /// `func(number: u32) -> own`.
    pub(crate) make: Function,
    /// `func(handle: own) -> u32`; does not count as a drop.
    pub(crate) take: Function,
}

impl HostHandles {
    /// Adds the interface to the world; none if no handles of host resources are in exports.
    pub(crate) fn add(world: &mut World, plan: &Plan) -> Option<Self> {
        if plan.crossing.is_empty() {
            return None;
        }
        let resolve = &mut world.resolve;
        let interface = add_interface(resolve, world.package, Some(reserved::HANDLES));
        let owner = TypeOwner::Interface(interface);
        let mut resources = Vec::new();
        for (number, resource) in plan.crossing.iter().enumerate() {
            let name = format!("resource{number}");
            let used = TypeDefKind::Type(Type::Id(*resource));
            let used = add_type(resolve, Some(&name), used, owner);
            let own = TypeDefKind::Handle(Handle::Own(used));
            let own = Type::Id(add_type(resolve, None, own, TypeOwner::None));
            let make = function(
                &format!("make{number}"),
                &[("number", Type::U32)],
                Some(own),
            );
            let take = function(
                &format!("take{number}"),
                &[("handle", own)],
                Some(Type::U32),
            );
            let definition = &mut resolve.interfaces[interface];
            definition.types.insert(name, used);
            for function in [&make, &take] {
                definition
                    .functions
                    .insert(function.name.clone(), function.clone());
            }
            resources.push(HostHandle {
                resource: *resource,
                make,
                take,
            });
        }
        Some(Self {
            interface,
            resources,
        })
    }

    /// How worlds refer to the interface.
    pub(crate) fn key(&self) -> WorldKey {
        WorldKey::Interface(self.interface)
    }
}
