//! New items for a wit-parser `Resolve`, which has no constructors of its own.

use wit_parser::{
    Function, FunctionKind, Interface, InterfaceId, Package, PackageId, PackageName, Param,
    Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, World, WorldId, WorldItem,
};

/// A freestanding function.
pub(crate) fn function(name: &str, params: &[(&str, Type)], result: Option<Type>) -> Function {
    Function {
        name: name.into(),
        kind: FunctionKind::Freestanding,
        params: params
            .iter()
            .map(|(name, value_type)| Param {
                name: (*name).into(),
                ty: *value_type,
                span: Default::default(),
            })
            .collect(),
        result,
        docs: Default::default(),
        stability: Default::default(),
        span: Default::default(),
        external_id: None,
    }
}

/// Adds a package, or finds it.
pub(crate) fn add_package(resolve: &mut Resolve, name: PackageName) -> PackageId {
    if let Some(id) = resolve.package_names.get(&name) {
        return *id;
    }
    let id = resolve.packages.alloc(Package {
        name: name.clone(),
        docs: Default::default(),
        interfaces: Default::default(),
        worlds: Default::default(),
    });
    resolve.package_names.insert(name, id);
    id
}

/// Adds an empty interface; one without a name belongs to no package.
pub(crate) fn add_interface(
    resolve: &mut Resolve,
    package: PackageId,
    name: Option<&str>,
) -> InterfaceId {
    let id = resolve.interfaces.alloc(Interface {
        name: name.map(str::to_owned),
        types: Default::default(),
        functions: Default::default(),
        docs: Default::default(),
        stability: Default::default(),
        package: Some(package),
        span: Default::default(),
        clone_of: None,
    });
    if let Some(name) = name {
        resolve.packages[package].interfaces.insert(name.into(), id);
    }
    id
}

/// Adds an empty world.
pub(crate) fn add_world(resolve: &mut Resolve, package: PackageId, name: &str) -> WorldId {
    let id = resolve.worlds.alloc(World {
        name: name.into(),
        imports: Default::default(),
        exports: Default::default(),
        package: Some(package),
        docs: Default::default(),
        stability: Default::default(),
        includes: Vec::new(),
        span: Default::default(),
    });
    resolve.packages[package].worlds.insert(name.into(), id);
    id
}

/// Adds a type.
pub(crate) fn add_type(
    resolve: &mut Resolve,
    name: Option<&str>,
    kind: TypeDefKind,
    owner: TypeOwner,
) -> TypeId {
    resolve.types.alloc(TypeDef {
        name: name.map(str::to_owned),
        kind,
        owner,
        docs: Default::default(),
        stability: Default::default(),
        span: Default::default(),
        external_id: None,
    })
}

/// An interface as an import or export of a world.
pub(crate) fn interface_item(id: InterfaceId) -> WorldItem {
    WorldItem::Interface {
        id,
        stability: Default::default(),
        external_id: None,
        docs: Default::default(),
        span: Default::default(),
    }
}
