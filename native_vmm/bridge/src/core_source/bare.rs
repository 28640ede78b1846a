//! Makes up a world for a core module that has none.
//!
//! Exported functions of numbers become functions of the world, import modules become
//! interfaces: `i32` is `s32`, `i64` is `s64`. Names become kebab-case; the description
//! has the original ones.

use std::collections::HashMap;

use wasm_encoder::ValType;
use wasmparser::ExternalKind;
use wit_parser::{Function, PackageId, Resolve, Type, WorldId, WorldItem, WorldKey};

use super::names::Names;
use super::preview1::{self, Adapter};
use super::rename::ImportName;
use super::surface::{Export, Import, Item, Signature, Surface};
use crate::error::{BridgeError, Result};
use crate::resolve_items::{add_interface, add_package, add_world, function, interface_item};
use crate::source::{CoreNames, Skipped};

/// Called by the adapters and by wit-component under these very names.
const START: &str = "_start";
const INITIALIZE: &str = "_initialize";
const MEMORY: &str = "memory";

/// The world, and how the module must be renamed to fit it.
pub(super) struct BareWorld {
    pub(super) resolve: Resolve,
    pub(super) id: WorldId,
    pub(super) renamed_imports: HashMap<ImportName, ImportName>,
    pub(super) exports: Vec<(String, ExternalKind, u32)>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) core_names: CoreNames,
}

impl BareWorld {
    /// Makes up the world; WASI is left to the adapter if there is one.
    ///
    /// # Errors
    /// `Unsupported` for an import that is not a function of numbers.
    pub(super) fn make_up(surface: &Surface, adapter: Option<Adapter>) -> Result<Self> {
        let mut resolve = Resolve::default();
        let package = add_package(
            &mut resolve,
            wit_parser::PackageName {
                namespace: "root".into(),
                name: "module".into(),
                version: None,
            },
        );
        let id = add_world(&mut resolve, package, "root");
        let mut world = Self {
            resolve,
            id,
            renamed_imports: HashMap::new(),
            exports: Vec::new(),
            skipped: Vec::new(),
            core_names: CoreNames::default(),
        };
        world.add_imports(package, surface)?;
        let mut names = Names::without(&[MEMORY]);
        for export in &surface.exports {
            world.add_export(&mut names, export, adapter);
        }
        Ok(world)
    }

    fn add_imports(&mut self, package: PackageId, surface: &Surface) -> Result<()> {
        let mut interface_names = Names::default();
        let mut function_names: HashMap<&str, Names> = HashMap::new();
        let mut interfaces = HashMap::new();
        let mut seen: HashMap<(&str, &str), &Signature> = HashMap::new();
        for import in &surface.imports {
            if import.module == preview1::MODULE {
                continue;
            }
            let (signature, function_type) = importable(import)?;
            let module = import.module.as_str();
            match seen.insert((module, &import.name), signature) {
                None => {}
                Some(other) if other == signature => continue,
                Some(_) => {
                    return Err(refuse(import, "it is imported twice with different types"));
                }
            }
            let (id, key) = interfaces.entry(module).or_insert_with(|| {
                let key = interface_names.add(module);
                let id = add_interface(&mut self.resolve, package, None);
                (id, key)
            });
            let name = function_names.entry(module).or_default().add(&import.name);
            let function = Function {
                name: name.clone(),
                ..function_type
            };
            self.resolve.interfaces[*id]
                .functions
                .insert(name.clone(), function);
            self.resolve.worlds[self.id]
                .imports
                .entry(WorldKey::Name(key.clone()))
                .or_insert_with(|| interface_item(*id));
            let core_names = &mut self.core_names;
            core_names.interfaces.insert(key.clone(), module.to_owned());
            core_names
                .functions
                .insert((Some(key.clone()), name.clone()), import.name.clone());
            self.renamed_imports.insert(
                (import.module.clone(), import.name.clone()),
                (key.clone(), name),
            );
        }
        Ok(())
    }

    fn add_export(&mut self, names: &mut Names, export: &Export, adapter: Option<Adapter>) {
        let mut keep = |name: &str| {
            self.exports
                .push((name.to_owned(), export.kind, export.index));
        };
        let name = export.name.as_str();
        match (&export.item, adapter) {
            (Item::Function(_), _) if name == INITIALIZE => keep(INITIALIZE),
            (Item::Function(_), Some(Adapter::Command)) if name == START => keep(START),
            (Item::Function(_), Some(Adapter::Command)) => {
                self.skip(name, "of a program only the entry point is called");
            }
            (Item::Function(signature), _) => match function_of(signature) {
                Ok(function_type) => {
                    let name = names.add(name);
                    keep(&name);
                    let function = Function {
                        name: name.clone(),
                        ..function_type
                    };
                    self.resolve.worlds[self.id]
                        .exports
                        .insert(WorldKey::Name(name.clone()), WorldItem::Function(function));
                    self.core_names
                        .functions
                        .insert((None, name), export.name.clone());
                }
                Err(reason) => self.skip(name, reason),
            },
            (Item::Other(_), Some(_)) if name == MEMORY => keep(MEMORY),
            (Item::Other(kind), _) => self.skip(name, &format!("it is a {kind}")),
        }
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(Skipped {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

fn importable(import: &Import) -> Result<(&Signature, Function)> {
    match &import.item {
        Item::Other(kind) => Err(refuse(
            import,
            &format!("import of a {kind} is not supported"),
        )),
        Item::Function(signature) => match function_of(signature) {
            Ok(function) => Ok((signature, function)),
            Err(reason) => Err(refuse(import, reason)),
        },
    }
}

fn refuse(import: &Import, message: &str) -> BridgeError {
    BridgeError::unsupported(format!("{}.{}", import.module, import.name), message)
}

/// The WIT function, yet without a name, that is lowered to a core function, or why there is none.
fn function_of(signature: &Signature) -> std::result::Result<Function, &'static str> {
    if signature.parameters.len() > Resolve::MAX_FLAT_PARAMS {
        return Err("it has more than 16 parameters");
    }
    let parameters: Option<Vec<Type>> = signature.parameters.iter().map(number).collect();
    let parameters = parameters.ok_or("it has a parameter that is not a number")?;
    let result = match signature.results.as_slice() {
        [] => None,
        [result] => Some(number(result).ok_or("its result is not a number")?),
        _ => return Err("it has more than one result"),
    };
    let names: Vec<String> = (0..parameters.len())
        .map(|index| format!("p{index}"))
        .collect();
    let params: Vec<(&str, Type)> = names.iter().map(String::as_str).zip(parameters).collect();
    Ok(function("", &params, result))
}

fn number(value_type: &Option<ValType>) -> Option<Type> {
    match value_type {
        Some(ValType::I32) => Some(Type::S32),
        Some(ValType::I64) => Some(Type::S64),
        Some(ValType::F32) => Some(Type::F32),
        Some(ValType::F64) => Some(Type::F64),
        _ => None,
    }
}
