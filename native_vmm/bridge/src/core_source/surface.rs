//! What a core module imports and exports.

use wasm_encoder::ValType;
use wasmparser::types::Types;
use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Imports, Parser, Payload, TypeRef};

use super::carried_world;
use crate::error::{BridgeError, Result};

/// The outside of a valid core module.
pub(super) struct Surface {
    pub(super) imports: Vec<Import>,
    pub(super) exports: Vec<Export>,
    /// Whether a toolchain has put a description of its world into it.
    pub(super) has_world: bool,
}

pub(super) struct Import {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) item: Item,
}

pub(super) struct Export {
    pub(super) name: String,
    pub(super) kind: ExternalKind,
    pub(super) index: u32,
    pub(super) item: Item,
}

/// An imported or exported item.
pub(super) enum Item {
    Function(Signature),
    /// Anything else, by kind.
    Other(&'static str),
}

/// Parameters and results of a core function; none for those that are not numbers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) parameters: Vec<Option<ValType>>,
    pub(super) results: Vec<Option<ValType>>,
}

impl Surface {
    pub(super) fn of(module: &[u8], types: &Types) -> Result<Self> {
        let mut surface = Self {
            imports: Vec::new(),
            exports: Vec::new(),
            has_world: false,
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for imports in section {
                        surface.add_imports(imports?, types)?;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        surface.exports.push(Export {
                            name: export.name.to_owned(),
                            kind: export.kind,
                            index: export.index,
                            item: match export.kind {
                                ExternalKind::Func | ExternalKind::FuncExact => Item::Function(
                                    signature(types, types.as_ref().core_function_at(export.index)),
                                ),
                                ExternalKind::Table => Item::Other("table"),
                                ExternalKind::Memory => Item::Other("memory"),
                                ExternalKind::Global => Item::Other("global"),
                                ExternalKind::Tag => Item::Other("tag"),
                            },
                        });
                    }
                }
                Payload::CustomSection(section) => {
                    surface.has_world |= section.name().starts_with(carried_world::SECTION);
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    fn add_imports(&mut self, imports: Imports<'_>, types: &Types) -> Result<()> {
        // Compact groups are a proposal that is not enabled.
        let Imports::Single(_, import) = imports else {
            return Err(BridgeError::unsupported(
                "the module",
                "its import section uses a proposed encoding",
            ));
        };
        self.imports.push(Import {
            module: import.module.to_owned(),
            name: import.name.to_owned(),
            item: match import.ty {
                TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                    let id = types.as_ref().core_type_at_in_module(index);
                    Item::Function(signature(types, id))
                }
                TypeRef::Table(_) => Item::Other("table"),
                TypeRef::Memory(_) => Item::Other("memory"),
                TypeRef::Global(_) => Item::Other("global"),
                TypeRef::Tag(_) => Item::Other("tag"),
            },
        });
        Ok(())
    }

    /// Whether a function without parameters and results has this export name.
    pub(super) fn exports_entry(&self, name: &str) -> bool {
        self.exports.iter().any(|export| {
            let is_plain = match &export.item {
                Item::Function(signature) => {
                    signature.parameters.is_empty() && signature.results.is_empty()
                }
                Item::Other(_) => false,
            };
            is_plain && export.name == name
        })
    }
}

fn signature(types: &Types, id: wasmparser::types::CoreTypeId) -> Signature {
    let function = match &types[id].composite_type.inner {
        CompositeInnerType::Func(function) => function,
        // A valid module has functions of function types only.
        _ => &FuncType::new([], []),
    };
    let numbers = |types: &[wasmparser::ValType]| types.iter().map(number).collect();
    Signature {
        parameters: numbers(function.params()),
        results: numbers(function.results()),
    }
}

fn number(value_type: &wasmparser::ValType) -> Option<ValType> {
    match value_type {
        wasmparser::ValType::I32 => Some(ValType::I32),
        wasmparser::ValType::I64 => Some(ValType::I64),
        wasmparser::ValType::F32 => Some(ValType::F32),
        wasmparser::ValType::F64 => Some(ValType::F64),
        wasmparser::ValType::V128 | wasmparser::ValType::Ref(_) => None,
    }
}
