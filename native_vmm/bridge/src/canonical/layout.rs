//! Sizes, alignments and offsets, and the few shapes that all WIT types come down to.

use std::cell::RefCell;
use std::collections::HashMap;

use wasm_encoder::{MemArg, ValType};
use wit_parser::abi::{FlatTypes, WasmType};
use wit_parser::{FlagsRepr, Handle, Int, Resolve, Type, TypeDefKind, TypeId};

use super::Place;
use crate::core_module::{Body, Local};
use crate::error::{BridgeError, Result};

/// Knows the layout of the types of one `Resolve`.
pub(crate) struct Layout<'a> {
    pub(crate) resolve: &'a Resolve,
    known: RefCell<HashMap<TypeId, Extent>>,
}

/// Size and alignment in bytes.
#[derive(Clone, Copy)]
struct Extent {
    size: u32,
    align: u32,
}

/// Layout of consecutive fields.
pub(crate) struct Record {
    pub(crate) size: u32,
    pub(crate) align: u32,
    pub(crate) offsets: Vec<u32>,
}

/// What a type is to the canonical ABI.
pub(super) enum Shape {
    Scalar(Scalar),
    /// Pointer and length of records with these fields: of one for a list, of key and value
    /// for a map, of none for a string.
    Pair(Vec<Type>),
    Record(Vec<Type>),
    Variant(Variant),
    Handle(Handle),
}

/// A value that is one load or store.
#[derive(Clone, Copy)]
pub(super) struct Scalar {
    pub(super) flat: ValType,
    bytes: u32,
    signed: bool,
}

pub(super) struct Variant {
    pub(super) tag: Scalar,
    pub(super) cases: Vec<Option<Type>>,
}

/// The core types of a signature that wit-parser computed.
pub(crate) fn core_types(types: &[WasmType]) -> Vec<ValType> {
    types
        .iter()
        .map(|flat| match flat {
            WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
            WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
            WasmType::F32 => ValType::F32,
            WasmType::F64 => ValType::F64,
        })
        .collect()
}

impl<'a> Layout<'a> {
    pub(crate) fn new(resolve: &'a Resolve) -> Self {
        Self {
            resolve,
            known: RefCell::default(),
        }
    }

    /// Layout of `types` as fields of a record.
    pub(crate) fn record(&self, types: &[Type]) -> Result<Record> {
        let mut record = Record {
            size: 0,
            align: 1,
            offsets: Vec::with_capacity(types.len()),
        };
        for value_type in types {
            let field = self.extent(value_type)?;
            let offset = align_up(record.size, field.align)?;
            record.offsets.push(offset);
            record.size = add(offset, field.size)?;
            record.align = record.align.max(field.align);
        }
        record.size = align_up(record.size, record.align)?;
        Ok(record)
    }

    /// Offset of the payload of a variant.
    pub(super) fn payload_offset(&self, variant: &Variant) -> Result<u32> {
        let mut align = 1;
        for case in variant.cases.iter().flatten() {
            align = self.extent(case)?.align.max(align);
        }
        align_up(variant.tag.bytes, align)
    }

    /// Core types that a value of at most 16 flat values becomes.
    pub(super) fn flat(&self, value_type: &Type) -> Result<Vec<ValType>> {
        let mut storage = [WasmType::I32; Resolve::MAX_FLAT_PARAMS];
        let mut flat = FlatTypes::new(&mut storage);
        if !self.resolve.push_flat(value_type, &mut flat) {
            return Err(impossible("a type with too many flat values"));
        }
        Ok(core_types(&flat.to_vec()))
    }

    pub(super) fn shape(&self, value_type: &Type) -> Result<Shape> {
        let scalar = |flat, bytes, signed| {
            Ok(Shape::Scalar(Scalar {
                flat,
                bytes,
                signed,
            }))
        };
        let id = match value_type {
            Type::Bool | Type::U8 => return scalar(ValType::I32, 1, false),
            Type::S8 => return scalar(ValType::I32, 1, true),
            Type::U16 => return scalar(ValType::I32, 2, false),
            Type::S16 => return scalar(ValType::I32, 2, true),
            Type::U32 | Type::S32 | Type::Char => return scalar(ValType::I32, 4, false),
            Type::U64 | Type::S64 => return scalar(ValType::I64, 8, false),
            Type::F32 => return scalar(ValType::F32, 4, false),
            Type::F64 => return scalar(ValType::F64, 8, false),
            Type::String => return Ok(Shape::Pair(Vec::new())),
            Type::ErrorContext => return Err(impossible("error-context")),
            Type::Id(id) => *id,
        };
        let cases = |tag: Int, cases| {
            Ok(Shape::Variant(Variant {
                tag: tag_scalar(tag)?,
                cases,
            }))
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(aliased) => self.shape(aliased),
            TypeDefKind::Record(record) => Ok(Shape::Record(
                record.fields.iter().map(|field| field.ty).collect(),
            )),
            TypeDefKind::Tuple(tuple) => Ok(Shape::Record(tuple.types.clone())),
            TypeDefKind::List(element) => Ok(Shape::Pair(vec![*element])),
            TypeDefKind::Map(key, value) => Ok(Shape::Pair(vec![*key, *value])),
            TypeDefKind::Handle(handle) => Ok(Shape::Handle(*handle)),
            TypeDefKind::Variant(variant) => cases(
                variant.tag(),
                variant.cases.iter().map(|case| case.ty).collect(),
            ),
            TypeDefKind::Enum(cases_of) => cases(cases_of.tag(), vec![None; cases_of.cases.len()]),
            TypeDefKind::Option(payload) => cases(Int::U8, vec![None, Some(*payload)]),
            TypeDefKind::Result(result) => cases(Int::U8, vec![result.ok, result.err]),
            TypeDefKind::Flags(flags) => match flags.repr() {
                FlagsRepr::U8 => scalar(ValType::I32, 1, false),
                FlagsRepr::U16 => scalar(ValType::I32, 2, false),
                FlagsRepr::U32(words) => Ok(Shape::Record(vec![Type::U32; words])),
            },
            kind @ (TypeDefKind::Resource
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown) => Err(impossible(kind.as_str())),
        }
    }

    fn extent(&self, value_type: &Type) -> Result<Extent> {
        let Type::Id(id) = value_type else {
            return self.compute_extent(value_type);
        };
        if let Some(known) = self.known.borrow().get(id) {
            return Ok(*known);
        }
        let extent = self.compute_extent(value_type)?;
        self.known.borrow_mut().insert(*id, extent);
        Ok(extent)
    }

    fn compute_extent(&self, value_type: &Type) -> Result<Extent> {
        match self.shape(value_type)? {
            Shape::Scalar(scalar) => Ok(Extent {
                size: scalar.bytes,
                align: scalar.bytes,
            }),
            Shape::Pair(_) => Ok(Extent { size: 8, align: 4 }),
            Shape::Handle(_) => Ok(Extent { size: 4, align: 4 }),
            Shape::Record(fields) => {
                let Record { size, align, .. } = self.record(&fields)?;
                Ok(Extent { size, align })
            }
            Shape::Variant(variant) => {
                let mut payload = Extent { size: 0, align: 1 };
                for case in variant.cases.iter().flatten() {
                    let case = self.extent(case)?;
                    payload.size = payload.size.max(case.size);
                    payload.align = payload.align.max(case.align);
                }
                let align = payload.align.max(variant.tag.bytes);
                let end = add(self.payload_offset(&variant)?, payload.size)?;
                Ok(Extent {
                    size: align_up(end, align)?,
                    align,
                })
            }
        }
    }
}

impl Scalar {
    pub(super) const POINTER: Scalar = Scalar {
        flat: ValType::I32,
        bytes: 4,
        signed: false,
    };

    /// Stores `value` at `place`.
    pub(super) fn store(self, body: &mut Body, value: Local, place: Place) {
        place.push_base(body);
        let memory = self.memory(place);
        let mut emit = body.emit();
        emit.local_get(value);
        match (self.flat, self.bytes) {
            (ValType::I64, _) => emit.i64_store(memory),
            (ValType::F32, _) => emit.f32_store(memory),
            (ValType::F64, _) => emit.f64_store(memory),
            (_, 1) => emit.i32_store8(memory),
            (_, 2) => emit.i32_store16(memory),
            _ => emit.i32_store(memory),
        };
    }

    /// Pushes the value at `place`.
    pub(super) fn load(self, body: &mut Body, place: Place) {
        place.push_base(body);
        let memory = self.memory(place);
        let mut emit = body.emit();
        match (self.flat, self.bytes, self.signed) {
            (ValType::I64, ..) => emit.i64_load(memory),
            (ValType::F32, ..) => emit.f32_load(memory),
            (ValType::F64, ..) => emit.f64_load(memory),
            (_, 1, false) => emit.i32_load8_u(memory),
            (_, 1, true) => emit.i32_load8_s(memory),
            (_, 2, false) => emit.i32_load16_u(memory),
            (_, 2, true) => emit.i32_load16_s(memory),
            _ => emit.i32_load(memory),
        };
    }

    fn memory(self, place: Place) -> MemArg {
        MemArg {
            offset: u64::from(place.offset),
            align: self.bytes.trailing_zeros(),
            memory_index: 0,
        }
    }
}

fn tag_scalar(tag: Int) -> Result<Scalar> {
    let bytes = match tag {
        Int::U8 => 1,
        Int::U16 => 2,
        Int::U32 => 4,
        Int::U64 => return Err(impossible("a discriminant of 64 bits")),
    };
    Ok(Scalar {
        bytes,
        ..Scalar::POINTER
    })
}

/// `offset` rounded up to a multiple of `align`, a power of two.
pub(crate) fn align_up(offset: u32, align: u32) -> Result<u32> {
    offset.checked_next_multiple_of(align).ok_or_else(too_large)
}

fn add(left: u32, right: u32) -> Result<u32> {
    left.checked_add(right).ok_or_else(too_large)
}

fn too_large() -> BridgeError {
    BridgeError::unsupported("a type", "its values exceed 4 GiB")
}

/// Types that were refused before any layout was asked for.
fn impossible(what: &str) -> BridgeError {
    BridgeError::internal("canonical ABI", format!("unexpected {what}"))
}
