//! The world of the user's component, put into the form that the bridges are built from.

use std::collections::HashSet;

use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wit_component::DecodedWasm;
use wit_parser::{
    Function, InterfaceId, PackageId, Resolve, TypeOwner, WorldId, WorldItem, WorldKey,
};

use crate::error::{BridgeError, Result};
use crate::resolve_items::{add_interface, add_package};
use crate::source::Skipped;
use crate::uses::Uses;
use crate::validation::Valid;
use crate::wit_text::{self, NoText};
use crate::{guard, leftovers, packages, reserved, unsupported};

/// The item that errors are about if no other is to blame.
const COMPONENT: &str = "the component";
/// Of a world as text. Those of WASI are half a megabyte.
const WIT_BYTES_MAX: usize = 32 << 20;

/// A world as wit-component found it.
pub(crate) struct Decoded {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
}

/// A world in which an interface that is both imported and exported is two interfaces, and
/// in which all that is imported outside any interface lies in one of our own.
pub(crate) struct World {
    pub(crate) resolve: Resolve,
    /// The reserved package.
    pub(crate) package: PackageId,
    /// Such as `root:component/root`.
    pub(crate) name: String,
    /// The world as WIT text.
    pub(crate) wit: String,
    /// Dependencies first; the interface of items outside any interface is the last.
    pub(crate) imports: Vec<Interface>,
    pub(crate) exports: Vec<Export>,
    /// Names of types at world level that the user's component does not have.
    pub(crate) made_up_types: HashSet<String>,
    /// Exports that are of no use after the component was built.
    pub(crate) leftovers: Vec<Skipped>,
}

/// An imported or exported interface.
#[derive(Clone)]
pub(crate) struct Interface {
    pub(crate) key: WorldKey,
    pub(crate) id: InterfaceId,
    /// Name in the user's world; none for imports outside any interface.
    pub(crate) name: Option<String>,
}

/// An export of the user's component.
pub(crate) enum Export {
    Interface(Interface),
    Function(Function),
}

/// Finds the world of a component.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded> {
    guard::third_party(COMPONENT, || match wit_component::decode(bytes) {
        Ok(DecodedWasm::Component(resolve, world)) => Ok(Decoded { resolve, world }),
        Ok(DecodedWasm::WitPackage(..)) => Err(BridgeError::unsupported(
            "the input",
            "this is a WIT package, not a component",
        )),
        Err(error) => Err(BridgeError::unsupported(
            COMPONENT,
            format!("its world cannot be understood: {error:#}"),
        )),
    })
}

impl World {
    /// Reads the world of a component.
    ///
    /// # Errors
    /// `Unsupported` with the first item that cannot be bridged.
    pub(crate) fn of(component: &Valid<'_>) -> Result<Self> {
        unsupported::refuse_package(component)?;
        unsupported::refuse_externs(&component.imports, &component.exports)?;
        packages::check(component)?;
        let Decoded { resolve, world } = decode(component.bytes)?;
        Self::new(resolve, world, |resolve| prune(resolve, world, component))
    }

    /// A world of WIT sources: what a component would have that uses all of it.
    ///
    /// # Errors
    /// `Unsupported` likewise.
    pub(crate) fn of_resolve(resolve: Resolve, world: WorldId) -> Result<Self> {
        Self::new(resolve, world, |_| ())
    }

    fn new(mut resolve: Resolve, world: WorldId, prune: impl FnOnce(&mut Resolve)) -> Result<Self> {
        reserved::refuse(&resolve)?;
        unsupported::refuse_types(&resolve, world)?;
        let leftovers = leftovers::remove(&mut resolve, world);
        let name = world_name(&resolve, world);
        let wit = guard::third_party(COMPONENT, || print(&resolve, world))?;
        let made_up_types = use_types(&mut resolve, world);
        guard::third_party(COMPONENT, || {
            resolve.generate_nominal_type_ids(world);
            Ok(())
        })?;
        prune(&mut resolve);

        let package = add_package(&mut resolve, reserved::package_name());
        let imports = gather_imports(&mut resolve, world, package);
        let exports = gather_exports(&resolve, world);
        Ok(Self {
            resolve,
            package,
            name,
            wit,
            imports,
            exports,
            made_up_types,
            leftovers,
        })
    }

    /// Exported interfaces.
    pub(crate) fn exported_interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.exports.iter().filter_map(|export| match export {
            Export::Interface(interface) => Some(interface),
            Export::Function(_) => None,
        })
    }
}

fn world_name(resolve: &Resolve, world: WorldId) -> String {
    let world = &resolve.worlds[world];
    match world.package {
        Some(package) => resolve.id_of_name(package, &world.name),
        None => world.name.clone(),
    }
}

fn print(resolve: &Resolve, world: WorldId) -> Result<String> {
    let Some(package) = resolve.worlds[world].package else {
        return Ok(String::new());
    };
    let others: Vec<PackageId> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != package)
        .collect();
    let mut room = WIT_BYTES_MAX;
    wit_text::print(resolve, package, &others, &mut room).map_err(|why| match why {
        NoText::TooLong => BridgeError::unsupported(
            COMPONENT,
            format!("its world has more than {WIT_BYTES_MAX} bytes as WIT"),
        ),
        NoText::Failed(message) => BridgeError::internal("WIT text", message),
    })
}

/// Makes all functions outside any interface refer to types by `use`; returns the new names.
fn use_types(resolve: &mut Resolve, world: WorldId) -> HashSet<String> {
    let mut imports = resolve.worlds[world].imports.clone();
    let mut exports = resolve.worlds[world].exports.clone();
    let mut uses = Uses::new(resolve, world);
    for item in imports.values_mut().chain(exports.values_mut()) {
        if let WorldItem::Function(function) = item {
            uses.apply(function);
        }
    }
    let names = uses.added.into_iter().map(|(name, _)| name).collect();
    let changed = &mut resolve.worlds[world];
    changed.exports = exports;
    changed.imports.extend(imports);
    // Functions come after the types that they name.
    let is_function = |item: &WorldItem| matches!(item, WorldItem::Function(_));
    changed.imports.sort_by_key(|_, item| is_function(item));
    names
}

/// Takes out of each interface what the component itself does not import or export.
///
/// wit-component describes an interface that occurs on both sides once, with the items of
/// both; a toolchain may have left out of the import what is not used.
fn prune(resolve: &mut Resolve, world: WorldId, component: &Valid<'_>) {
    let sides = [
        (&resolve.worlds[world].imports, true),
        (&resolve.worlds[world].exports, false),
    ];
    let mut present = Vec::new();
    for (items, imported) in sides {
        for (key, item) in items {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let name = resolve.name_world_key(key);
            let item = if imported {
                component.types.as_ref().component_item_for_import(&name)
            } else {
                component.types.as_ref().component_item_for_export(&name)
            };
            if let Some(names) = item.and_then(|item| item_names(component, item)) {
                present.push((*id, names));
            }
        }
    }
    for (id, names) in present {
        let interface = &mut resolve.interfaces[id];
        interface
            .types
            .retain(|name, _| names.contains(name.as_str()));
        interface
            .functions
            .retain(|name, _| names.contains(name.as_str()));
    }
}

fn item_names<'a>(component: &'a Valid<'_>, item: &ComponentItem) -> Option<HashSet<&'a str>> {
    let ComponentEntityType::Instance(id) = item.ty else {
        return None;
    };
    let exports = &component.types[id].exports;
    Some(exports.keys().map(String::as_str).collect())
}

/// The imported interfaces. Functions and types outside any interface are moved into one
/// of the reserved package, so that the import bridge can export them together.
fn gather_imports(resolve: &mut Resolve, world: WorldId, package: PackageId) -> Vec<Interface> {
    let items = resolve.worlds[world].imports.clone();
    let mut imports = Vec::new();
    let mut root = None;
    for (key, item) in items {
        match item {
            WorldItem::Interface { id, .. } => {
                let name = Some(resolve.name_world_key(&key));
                imports.push(Interface { key, id, name });
                continue;
            }
            WorldItem::Function(_) | WorldItem::Type { .. } => {}
        }
        let root =
            *root.get_or_insert_with(|| add_interface(resolve, package, Some(reserved::ROOT)));
        match item {
            WorldItem::Function(function) => {
                let name = function.name.clone();
                resolve.interfaces[root].functions.insert(name, function);
            }
            WorldItem::Type { id, .. } => {
                resolve.types[id].owner = TypeOwner::Interface(root);
                let name = resolve.name_world_key(&key);
                resolve.interfaces[root].types.insert(name, id);
            }
            WorldItem::Interface { .. } => {}
        }
    }
    imports.extend(root.map(|id| Interface {
        key: WorldKey::Interface(id),
        id,
        name: None,
    }));
    imports
}

fn gather_exports(resolve: &Resolve, world: WorldId) -> Vec<Export> {
    let items = &resolve.worlds[world].exports;
    items
        .iter()
        .filter_map(|(key, item)| match item {
            WorldItem::Interface { id, .. } => Some(Export::Interface(Interface {
                key: key.clone(),
                id: *id,
                name: Some(resolve.name_world_key(key)),
            })),
            WorldItem::Function(function) => Some(Export::Function(function.clone())),
            // Refused before.
            WorldItem::Type { .. } => None,
        })
        .collect()
}
