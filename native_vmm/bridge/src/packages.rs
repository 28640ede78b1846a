//! Refuses uses of types that WIT forbids and binary components do not: wit-parser would
//! recurse without end or panic.
//!
//! These are packages that use each other's types in a circle, and interfaces that use types
//! of the world around them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentEntityType, ComponentItem, ComponentType,
};
use wasmparser::types::Types;

use crate::error::{BridgeError, Result};
use crate::validation::Valid;

/// The package of a component's own world.
const ROOT: &str = "root:component";

/// Which packages use which others.
#[derive(Default)]
pub(crate) struct PackageGraph {
    uses: BTreeMap<String, BTreeSet<String>>,
    /// The first interface that uses a type of the world.
    turned_inside_out: Option<String>,
}

/// Where a type got its name.
struct Definition {
    package: String,
    /// Outside any interface.
    in_world: bool,
}

/// Checks how the imports and exports of a component use each other's types.
pub(crate) fn check(component: &Valid<'_>) -> Result<()> {
    let types = component.types.as_ref();
    let imports = component.imports.iter().filter_map(|import| {
        let item = types.component_item_for_import(&import.name)?;
        Some((import.name.as_str(), item))
    });
    let exports = component.exports.iter().filter_map(|export| {
        let item = types.component_item_for_export(&export.name)?;
        Some((export.name.as_str(), item))
    });
    let mut graph = PackageGraph::default();
    graph.add_items(&component.types, ROOT, imports.chain(exports));
    graph.check()
}

/// Whether this is a WIT package in binary form: it has types of components, and nothing else.
pub(crate) fn is_wit(component: &Valid<'_>) -> bool {
    component.imports.is_empty()
        && !component.exports.is_empty()
        && component
            .exports
            .iter()
            .all(|export| outer_type(component, &export.name).is_some())
}

/// Checks how the worlds and interfaces of a WIT package use each other's types.
pub(crate) fn check_wit(component: &Valid<'_>) -> Result<()> {
    let types = &component.types;
    let mut graph = PackageGraph::default();
    for export in &component.exports {
        // In it is a world or an interface; or all of them, as older tools encoded packages.
        let Some(outer) = outer_type(component, &export.name) else {
            continue;
        };
        let items = outer.imports.iter().chain(&outer.exports);
        let items = items.map(|(name, item)| (name.as_str(), item));
        let first = outer.exports.keys().next();
        let package = first.and_then(|name| package_of(name));
        graph.add_items(types, &package.unwrap_or_default(), items);
        for (name, item) in &outer.exports {
            if let ComponentEntityType::Component(world) = item.ty {
                graph.add_world(types, name, &types[world]);
            }
        }
    }
    graph.check()
}

/// The type of a component that is exported as such.
fn outer_type<'a>(component: &'a Valid<'_>, export: &str) -> Option<&'a ComponentType> {
    let types = component.types.as_ref();
    match types.component_item_for_export(export)?.ty {
        ComponentEntityType::Type {
            created: ComponentAnyTypeId::Component(id),
            ..
        } => Some(&component.types[id]),
        _ => None,
    }
}

impl PackageGraph {
    /// Adds a world that was encoded as a type.
    pub(crate) fn add_world(&mut self, types: &Types, name: &str, world: &ComponentType) {
        let items = world.imports.iter().chain(&world.exports);
        let items = items.map(|(name, item)| (name.as_str(), item));
        self.add_items(types, &package_of(name).unwrap_or_default(), items);
    }

    fn add_items<'a>(
        &mut self,
        types: &Types,
        world: &str,
        items: impl Iterator<Item = (&'a str, &'a ComponentItem)>,
    ) {
        let mut definitions: HashMap<ComponentAnyTypeId, Definition> = HashMap::new();
        let mut named = Vec::new();
        for (name, item) in items {
            let package = package_of(name).unwrap_or_else(|| world.to_owned());
            let in_world = !matches!(item.ty, ComponentEntityType::Instance(_));
            for (referenced, created) in type_names(types, item) {
                let definition = Definition {
                    package: package.clone(),
                    in_world,
                };
                definitions.insert(created, definition);
                named.push((name, package.clone(), in_world, referenced));
            }
            self.add_use(world.to_owned(), package);
        }
        for (name, package, in_world, referenced) in named {
            let mut next = Some(referenced);
            while let Some(id) = next {
                if let Some(used) = definitions.get(&id) {
                    self.add_use(package.clone(), used.package.clone());
                    if used.in_world && !in_world {
                        self.turned_inside_out
                            .get_or_insert_with(|| name.to_owned());
                    }
                }
                next = types.peel_alias(id);
            }
        }
    }

    fn add_use(&mut self, package: String, used: String) {
        if package != used {
            self.uses.entry(package).or_default().insert(used);
        }
    }

    /// Fails with the names of the packages in circles, and of those that need them, or with
    /// the interface that uses a type of the world.
    pub(crate) fn check(mut self) -> Result<()> {
        if let Some(interface) = self.turned_inside_out {
            return Err(BridgeError::unsupported(
                interface,
                "an interface that uses a type of the world around it is not supported",
            ));
        }
        // Take away what uses nothing that is left, until nothing changes.
        while !self.uses.is_empty() {
            let before = self.uses.len();
            let left: BTreeSet<String> = self.uses.keys().cloned().collect();
            self.uses.retain(|_, used| {
                used.retain(|package| left.contains(package));
                !used.is_empty()
            });
            if self.uses.len() == before {
                let mut packages: Vec<&str> = self.uses.keys().map(String::as_str).collect();
                packages.retain(|package| *package != ROOT);
                return Err(BridgeError::unsupported(
                    packages.join(", "),
                    "packages that use each other's types in a circle are not supported",
                ));
            }
        }
        Ok(())
    }
}

/// The types that an import or export gives names to: what is named, and the new identity.
fn type_names(
    types: &Types,
    item: &ComponentItem,
) -> Vec<(ComponentAnyTypeId, ComponentAnyTypeId)> {
    let of = |item: &ComponentItem| match item.ty {
        ComponentEntityType::Type {
            referenced,
            created,
        } => Some((referenced, created)),
        _ => None,
    };
    match item.ty {
        ComponentEntityType::Instance(id) => types[id].exports.values().filter_map(of).collect(),
        _ => of(item).into_iter().collect(),
    }
}

/// `a:b@1.0.0` of `a:b/c@1.0.0`; none for a plain name.
fn package_of(name: &str) -> Option<String> {
    let (package, rest) = name.split_once('/')?;
    Some(match rest.split_once('@') {
        Some((_, version)) => format!("{package}@{version}"),
        None => package.to_owned(),
    })
}
