//! Rewrites the resource handles inside values that lie in memory.
//!
//! Each type that contains such handles gets one core function `(address)` that rewrites
//! them in place, so the code grows with the number of types and not with their nesting.

use std::collections::HashMap;

use wasm_encoder::{BlockType, ValType};
use wit_parser::{Handle, Resolve, Type, TypeDefKind, TypeId};

use super::layout::{Layout, Scalar, Shape, Variant};
use super::{Place, Record};
use crate::core_module::{Body, CoreModule, FunctionIndex, FunctionMap};
use crate::error::Result;

/// Core functions `(i32) -> i32` by the resource whose handles they convert.
#[derive(Default)]
pub(crate) struct HandleConversion {
    pub(crate) own: FunctionMap<TypeId>,
    pub(crate) borrow: FunctionMap<TypeId>,
}

/// Makes and remembers the rewriting functions of one conversion.
pub(crate) struct HandleRewriter<'a> {
    layout: &'a Layout<'a>,
    name: &'static str,
    conversion: HandleConversion,
    made: HashMap<TypeId, Option<FunctionIndex>>,
}

impl<'a> HandleRewriter<'a> {
    /// `name` is a prefix for the names of the functions.
    pub(crate) fn new(
        layout: &'a Layout<'a>,
        name: &'static str,
        conversion: HandleConversion,
    ) -> Self {
        Self {
            layout,
            name,
            conversion,
            made: HashMap::new(),
        }
    }

    /// Rewrites the handles in a record of `types` at `place`.
    pub(crate) fn rewrite_record(
        &mut self,
        module: &mut CoreModule,
        body: &mut Body,
        types: &[Type],
        place: Place,
    ) -> Result<()> {
        let Record { offsets, .. } = self.layout.record(types)?;
        for (field, offset) in types.iter().zip(offsets) {
            self.rewrite(module, body, field, place.plus(offset))?;
        }
        Ok(())
    }

    /// Rewrites the handles in a value at `place`.
    pub(crate) fn rewrite(
        &mut self,
        module: &mut CoreModule,
        body: &mut Body,
        value_type: &Type,
        place: Place,
    ) -> Result<()> {
        if let Some(function) = self.function(module, value_type)? {
            place.push(body);
            body.emit().call(function);
        }
        Ok(())
    }

    /// The function that rewrites values of a type; none if there is nothing to rewrite.
    fn function(
        &mut self,
        module: &mut CoreModule,
        value_type: &Type,
    ) -> Result<Option<FunctionIndex>> {
        let Type::Id(id) = *value_type else {
            return Ok(None);
        };
        if let Some(made) = self.made.get(&id) {
            return Ok(*made);
        }
        let function = match &self.layout.resolve.types[id].kind {
            TypeDefKind::Type(aliased) => self.function(module, aliased)?,
            _ => self.make(module, id)?,
        };
        self.made.insert(id, function);
        Ok(function)
    }

    fn make(&mut self, module: &mut CoreModule, id: TypeId) -> Result<Option<FunctionIndex>> {
        let mut body = Body::new(1);
        let value = Place::in_local(0);
        let found = match self.layout.shape(&Type::Id(id))? {
            Shape::Scalar(_) => false,
            Shape::Handle(handle) => self.convert(&mut body, handle, value),
            Shape::Record(fields) => {
                let calls = self.fields(module, &fields)?;
                call_each(&mut body, &calls, value);
                !calls.is_empty()
            }
            Shape::Variant(variant) => self.rewrite_payload(module, &mut body, &variant, value)?,
            Shape::Pair(fields) => {
                let calls = self.fields(module, &fields)?;
                if !calls.is_empty() {
                    let size = self.layout.record(&fields)?.size;
                    rewrite_elements(&mut body, size, &calls, value);
                }
                !calls.is_empty()
            }
        };
        if !found {
            return Ok(None);
        }
        let kind = &self.layout.resolve.types[id];
        let name = kind.name.as_deref().unwrap_or(kind.kind.as_str());
        let name = format!("{} {name}", self.name);
        Ok(Some(module.function(name, &[ValType::I32], &[], body)))
    }

    /// The fields of a record that have something to rewrite: offsets and functions.
    fn fields(
        &mut self,
        module: &mut CoreModule,
        fields: &[Type],
    ) -> Result<Vec<(u32, FunctionIndex)>> {
        let Record { offsets, .. } = self.layout.record(fields)?;
        let mut calls = Vec::new();
        for (field, offset) in fields.iter().zip(offsets) {
            if let Some(function) = self.function(module, field)? {
                calls.push((offset, function));
            }
        }
        Ok(calls)
    }

    fn convert(&self, body: &mut Body, handle: Handle, place: Place) -> bool {
        let (functions, resource) = match handle {
            Handle::Own(resource) => (&self.conversion.own, resource),
            Handle::Borrow(resource) => (&self.conversion.borrow, resource),
        };
        let resource = definition(self.layout.resolve, resource);
        let Some(function) = functions.get(&resource) else {
            return false;
        };
        let converted = body.local(ValType::I32);
        Scalar::POINTER.load(body, place);
        body.emit().call(*function).local_set(converted);
        Scalar::POINTER.store(body, converted, place);
        true
    }

    fn rewrite_payload(
        &mut self,
        module: &mut CoreModule,
        body: &mut Body,
        variant: &Variant,
        place: Place,
    ) -> Result<bool> {
        let payload_place = place.plus(self.layout.payload_offset(variant)?);
        let mut found = false;
        for (number, case) in (0..).zip(&variant.cases) {
            let Some(payload) = case else { continue };
            let Some(function) = self.function(module, payload)? else {
                continue;
            };
            variant.tag.load(body, place);
            body.emit().i32_const(number).i32_eq().if_(BlockType::Empty);
            payload_place.push(body);
            body.emit().call(function).end();
            found = true;
        }
        Ok(found)
    }
}

/// Calls what rewrites the fields of a record at `place`.
fn call_each(body: &mut Body, calls: &[(u32, FunctionIndex)], place: Place) {
    for (offset, function) in calls {
        place.plus(*offset).push(body);
        body.emit().call(*function);
    }
}

/// Calls it for each element of `size` bytes of the list or map at `place`.
fn rewrite_elements(body: &mut Body, size: u32, calls: &[(u32, FunctionIndex)], place: Place) {
    let address = body.local(ValType::I32);
    let left = body.local(ValType::I32);
    Scalar::POINTER.load(body, place);
    body.emit().local_set(address);
    Scalar::POINTER.load(body, place.plus(4));
    body.emit().local_set(left);
    body.emit()
        .block(BlockType::Empty)
        .loop_(BlockType::Empty)
        .local_get(left)
        .i32_eqz()
        .br_if(1);
    call_each(body, calls, Place::in_local(address));
    body.emit()
        .local_get(address)
        .i32_const(size.cast_signed())
        .i32_add()
        .local_set(address)
        .local_get(left)
        .i32_const(1)
        .i32_sub()
        .local_set(left)
        .br(0)
        .end()
        .end();
}

/// The type at the end of a chain of aliases.
pub(crate) fn definition(resolve: &Resolve, mut id: TypeId) -> TypeId {
    while let TypeDefKind::Type(Type::Id(aliased)) = resolve.types[id].kind {
        id = aliased;
    }
    id
}
