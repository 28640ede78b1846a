//! Refuses worlds with items that the bridges cannot carry, by their WIT names.

use std::collections::HashSet;
use std::ffi::CStr;

use wasmparser::ComponentExternalKind;
use wit_parser::{Function, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem, WorldKey};

use crate::error::{BridgeError, Result};
use crate::packages;
use crate::validation::{Extern, Valid};

/// The component model's limit; WIT itself has none.
const FLAGS_MAX: usize = 32;

/// The item that is refused where a WIT package is given for a component.
pub const WIT_PACKAGE: &CStr = c"a WIT package";

/// Refuses what has no code in it.
pub(crate) fn refuse_package(component: &Valid<'_>) -> Result<()> {
    if packages::is_wit(component) {
        return Err(BridgeError::unsupported(
            WIT_PACKAGE.to_string_lossy(),
            "this is a WIT package, which has no code in it: give the component that was made \
             for it; `hlwasm bindgen` makes bindings from it, `hlwasm inspect --wit` shows it",
        ));
    }
    Ok(())
}

/// Refuses top-level items that are not part of a world: modules, components, values, types.
pub(crate) fn refuse_externs(imports: &[Extern], exports: &[Extern]) -> Result<()> {
    let refuse = |item: &Extern, what: &str, direction: &str| {
        Err(BridgeError::unsupported(
            &item.name,
            format!("{direction} of a {what} is not supported"),
        ))
    };
    for import in imports {
        match import.kind {
            ComponentExternalKind::Module => return refuse(import, "core module", "import"),
            ComponentExternalKind::Component => return refuse(import, "component", "import"),
            ComponentExternalKind::Value => return refuse(import, "value", "import"),
            ComponentExternalKind::Func => refuse_interface_name(import)?,
            ComponentExternalKind::Type | ComponentExternalKind::Instance => {}
        }
    }
    for export in exports {
        match export.kind {
            ComponentExternalKind::Module => return refuse(export, "core module", "export"),
            ComponentExternalKind::Component => return refuse(export, "component", "export"),
            ComponentExternalKind::Value => return refuse(export, "value", "export"),
            ComponentExternalKind::Type => return refuse(export, "type at world level", "export"),
            ComponentExternalKind::Func => refuse_interface_name(export)?,
            ComponentExternalKind::Instance => {}
        }
    }
    Ok(())
}

/// Refuses a function with the name of an interface, which WIT cannot express.
fn refuse_interface_name(function: &Extern) -> Result<()> {
    if function.name.contains(':') {
        return Err(BridgeError::unsupported(
            &function.name,
            "a function with the name of an interface is not supported",
        ));
    }
    Ok(())
}

/// Refuses async functions and types that have no place in the description.
pub(crate) fn refuse_types(resolve: &Resolve, world: WorldId) -> Result<()> {
    let mut scan = Scan {
        resolve,
        seen: HashSet::new(),
    };
    let world = &resolve.worlds[world];
    for (key, item) in world.imports.iter().chain(&world.exports) {
        refuse_other_name(resolve, key, item)?;
        match item {
            WorldItem::Function(function) => scan.function(&function.name, function)?,
            WorldItem::Type { id, .. } => scan.type_id(&resolve.name_world_key(key), *id)?,
            WorldItem::Interface {
                id, external_id, ..
            } => {
                let interface = resolve.name_world_key(key);
                refuse_external_id(&interface, external_id.as_ref())?;
                for (name, id) in &resolve.interfaces[*id].types {
                    scan.type_id(&format!("{interface}.{name}"), *id)?;
                }
                for (name, function) in &resolve.interfaces[*id].functions {
                    scan.function(&format!("{interface}.{name}"), function)?;
                }
            }
        }
    }
    Ok(())
}

/// Refuses interfaces under another name. Those that are written in the world have no name of
/// their own.
fn refuse_other_name(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> Result<()> {
    if resolve.implements_value(key, item).is_none() {
        return Ok(());
    }
    Err(BridgeError::unsupported(
        resolve.name_world_key(key),
        "an interface under another name is not supported",
    ))
}

fn refuse_external_id(item: &str, external_id: Option<&String>) -> Result<()> {
    if external_id.is_none() {
        return Ok(());
    }
    Err(BridgeError::unsupported(
        item,
        "an external id is not supported",
    ))
}

struct Scan<'a> {
    resolve: &'a Resolve,
    seen: HashSet<TypeId>,
}

impl Scan<'_> {
    fn function(&mut self, item: &str, function: &Function) -> Result<()> {
        refuse_external_id(item, function.external_id.as_ref())?;
        if function.kind.is_async() {
            return Err(BridgeError::unsupported(
                item,
                "async functions are not supported",
            ));
        }
        for value_type in function.parameter_and_result_types() {
            self.value_type(item, value_type)?;
        }
        Ok(())
    }

    fn value_type(&mut self, item: &str, value_type: Type) -> Result<()> {
        match value_type {
            Type::ErrorContext => Err(refusal(item, "error-context")),
            Type::Id(id) => self.type_id(item, id),
            _ => Ok(()),
        }
    }

    fn type_id(&mut self, item: &str, id: TypeId) -> Result<()> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        refuse_external_id(item, self.resolve.types[id].external_id.as_ref())?;
        match &self.resolve.types[id].kind {
            kind @ (TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown) => return Err(refusal(item, kind.as_str())),
            TypeDefKind::Type(value_type)
            | TypeDefKind::List(value_type)
            | TypeDefKind::Option(value_type) => self.value_type(item, *value_type)?,
            TypeDefKind::Record(record) if record.fields.is_empty() => {
                return Err(refusal(item, "record without fields"));
            }
            TypeDefKind::Tuple(tuple) if tuple.types.is_empty() => {
                return Err(refusal(item, "tuple without members"));
            }
            TypeDefKind::Flags(flags) if flags.flags.len() > FLAGS_MAX => {
                return Err(refusal(item, "flags with more than 32 members"));
            }
            TypeDefKind::Record(record) => {
                for field in &record.fields {
                    self.value_type(item, field.ty)?;
                }
            }
            TypeDefKind::Map(key, value) => {
                self.value_type(item, *key)?;
                self.value_type(item, *value)?;
            }
            TypeDefKind::Tuple(tuple) => {
                for value_type in &tuple.types {
                    self.value_type(item, *value_type)?;
                }
            }
            TypeDefKind::Variant(variant) => {
                for value_type in variant.cases.iter().filter_map(|case| case.ty) {
                    self.value_type(item, value_type)?;
                }
            }
            TypeDefKind::Result(result) => {
                for value_type in result.ok.into_iter().chain(result.err) {
                    self.value_type(item, value_type)?;
                }
            }
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Enum(_) => {}
        }
        Ok(())
    }
}

fn refusal(item: &str, what: &str) -> BridgeError {
    BridgeError::unsupported(item, format!("values of type {what} are not supported"))
}
