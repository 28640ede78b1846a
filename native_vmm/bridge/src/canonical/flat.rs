//! Moves values between memory and locals that hold their flat form.

use wasm_encoder::{BlockType, ValType};
use wit_parser::Type;

use super::layout::{Layout, Scalar, Shape, Variant};
use super::{Place, Record};
use crate::core_module::{Body, Local};
use crate::error::{BridgeError, Result};

impl Layout<'_> {
    /// Stores values of `types`, given flat in `locals`, as a record at `place`.
    pub(crate) fn store_record(
        &self,
        body: &mut Body,
        types: &[Type],
        locals: &[Local],
        place: Place,
    ) -> Result<()> {
        let Record { offsets, .. } = self.record(types)?;
        let mut rest = locals;
        for (field, offset) in types.iter().zip(offsets) {
            let (own, others) = rest
                .split_at_checked(self.flat(field)?.len())
                .ok_or_else(mismatch)?;
            self.store(body, field, own, place.plus(offset))?;
            rest = others;
        }
        Ok(())
    }

    /// Loads a record of `types` at `place` into new locals, in flat form.
    pub(crate) fn load_record(
        &self,
        body: &mut Body,
        types: &[Type],
        place: Place,
    ) -> Result<Vec<Local>> {
        let Record { offsets, .. } = self.record(types)?;
        let mut locals = Vec::new();
        for (field, offset) in types.iter().zip(offsets) {
            locals.extend(self.load(body, field, place.plus(offset))?);
        }
        Ok(locals)
    }

    /// Stores the value that `locals` hold in flat form.
    pub(crate) fn store(
        &self,
        body: &mut Body,
        value_type: &Type,
        locals: &[Local],
        place: Place,
    ) -> Result<()> {
        match (self.shape(value_type)?, locals) {
            (Shape::Scalar(scalar), &[value]) => scalar.store(body, value, place),
            (Shape::Handle(_), &[value]) => Scalar::POINTER.store(body, value, place),
            (Shape::Pair(_), &[pointer, length]) => {
                Scalar::POINTER.store(body, pointer, place);
                Scalar::POINTER.store(body, length, place.plus(4));
            }
            (Shape::Record(fields), _) => self.store_record(body, &fields, locals, place)?,
            (Shape::Variant(variant), &[tag, ref payload @ ..]) => {
                variant.tag.store(body, tag, place);
                self.store_payload(body, &variant, tag, payload, place)?;
            }
            _ => return Err(mismatch()),
        }
        Ok(())
    }

    /// Loads a value into new locals, in flat form.
    pub(crate) fn load(
        &self,
        body: &mut Body,
        value_type: &Type,
        place: Place,
    ) -> Result<Vec<Local>> {
        Ok(match self.shape(value_type)? {
            Shape::Scalar(scalar) => vec![load_scalar(body, scalar, place)],
            Shape::Handle(_) => vec![load_scalar(body, Scalar::POINTER, place)],
            Shape::Pair(_) => vec![
                load_scalar(body, Scalar::POINTER, place),
                load_scalar(body, Scalar::POINTER, place.plus(4)),
            ],
            Shape::Record(fields) => self.load_record(body, &fields, place)?,
            Shape::Variant(variant) => {
                let tag = load_scalar(body, variant.tag, place);
                let mut locals = vec![tag];
                for joined in self.flat(value_type)?.into_iter().skip(1) {
                    locals.push(body.local(joined));
                }
                self.load_payload(body, &variant, tag, &locals[1..], place)?;
                locals
            }
        })
    }

    fn store_payload(
        &self,
        body: &mut Body,
        variant: &Variant,
        tag: Local,
        joined: &[Local],
        place: Place,
    ) -> Result<()> {
        let place = place.plus(self.payload_offset(variant)?);
        let joined_types = self.joined(variant)?;
        for_the_case(body, variant, tag, |body, payload| {
            let mut locals = Vec::new();
            for (index, flat) in self.flat(payload)?.into_iter().enumerate() {
                let (Some(&from), Some(&joined_type)) =
                    (joined.get(index), joined_types.get(index))
                else {
                    return Err(mismatch());
                };
                let local = body.local(flat);
                body.emit().local_get(from);
                narrow(body, joined_type, flat)?;
                body.emit().local_set(local);
                locals.push(local);
            }
            self.store(body, payload, &locals, place)
        })
    }

    fn load_payload(
        &self,
        body: &mut Body,
        variant: &Variant,
        tag: Local,
        joined: &[Local],
        place: Place,
    ) -> Result<()> {
        let place = place.plus(self.payload_offset(variant)?);
        let joined_types = self.joined(variant)?;
        for_the_case(body, variant, tag, |body, payload| {
            let locals = self.load(body, payload, place)?;
            for (index, flat) in self.flat(payload)?.into_iter().enumerate() {
                let (Some(&from), Some(&to), Some(&joined_type)) = (
                    locals.get(index),
                    joined.get(index),
                    joined_types.get(index),
                ) else {
                    return Err(mismatch());
                };
                body.emit().local_get(from);
                widen(body, flat, joined_type)?;
                body.emit().local_set(to);
            }
            Ok(())
        })
    }

    /// Types of the locals that carry the payloads of all cases.
    fn joined(&self, variant: &Variant) -> Result<Vec<ValType>> {
        let mut joined: Vec<ValType> = Vec::new();
        for case in variant.cases.iter().flatten() {
            for (index, flat) in self.flat(case)?.into_iter().enumerate() {
                match joined.get_mut(index) {
                    Some(present) => *present = join(*present, flat),
                    None => joined.push(flat),
                }
            }
        }
        Ok(joined)
    }
}

fn load_scalar(body: &mut Body, scalar: Scalar, place: Place) -> Local {
    let local = body.local(scalar.flat);
    scalar.load(body, place);
    body.emit().local_set(local);
    local
}

/// Code for each case that carries something, which runs if the tag says so.
fn for_the_case(
    body: &mut Body,
    variant: &Variant,
    tag: Local,
    mut emit: impl FnMut(&mut Body, &Type) -> Result<()>,
) -> Result<()> {
    for (number, case) in (0..).zip(&variant.cases) {
        let Some(payload) = case else { continue };
        body.emit().local_get(tag).i32_const(number).i32_eq();
        body.emit().if_(BlockType::Empty);
        emit(body, payload)?;
        body.emit().end();
    }
    Ok(())
}

fn join(left: ValType, right: ValType) -> ValType {
    match (left, right) {
        _ if left == right => left,
        (ValType::I32, ValType::F32) | (ValType::F32, ValType::I32) => ValType::I32,
        _ => ValType::I64,
    }
}

/// Turns a joined value on the stack into what the case carries.
fn narrow(body: &mut Body, from: ValType, to: ValType) -> Result<()> {
    let mut emit = body.emit();
    match (from, to) {
        _ if from == to => {}
        (ValType::I32, ValType::F32) => _ = emit.f32_reinterpret_i32(),
        (ValType::I64, ValType::I32) => _ = emit.i32_wrap_i64(),
        (ValType::I64, ValType::F32) => _ = emit.i32_wrap_i64().f32_reinterpret_i32(),
        (ValType::I64, ValType::F64) => _ = emit.f64_reinterpret_i64(),
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// Turns what a case carries, on the stack, into a joined value.
fn widen(body: &mut Body, from: ValType, to: ValType) -> Result<()> {
    let mut emit = body.emit();
    match (from, to) {
        _ if from == to => {}
        (ValType::F32, ValType::I32) => _ = emit.i32_reinterpret_f32(),
        (ValType::I32, ValType::I64) => _ = emit.i64_extend_i32_u(),
        (ValType::F32, ValType::I64) => _ = emit.i32_reinterpret_f32().i64_extend_i32_u(),
        (ValType::F64, ValType::I64) => _ = emit.i64_reinterpret_f64(),
        _ => return Err(mismatch()),
    }
    Ok(())
}

fn mismatch() -> BridgeError {
    BridgeError::internal(
        "canonical ABI",
        "flat values do not match their type".to_string(),
    )
}
