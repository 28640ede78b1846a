//! The functions of a description.

use serde::Serialize;
use wit_parser::{FunctionKind, Type};

use super::types::{TypeReference, TypeTable};
use crate::canonical::Layout;
use crate::error::Result;
use crate::export_bridge::CallLayout;
use crate::plan::{Call, Plan};
use crate::source::Source;

#[derive(Serialize)]
pub(super) struct FunctionEntry {
    /// `f` of `host-call`, or `k` of `call-k`.
    index: usize,
    /// None at world level.
    interface: Option<String>,
    name: String,
    kind: Kind,
    resource: Option<usize>,
    /// The name in the core module for which the world was made up.
    core_name: Option<String>,
    params: Vec<Param>,
    result: Option<TypeReference>,
    params_size: u32,
    params_align: u32,
    #[serde(flatten)]
    place: Option<ResultPlace>,
    docs: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Function,
    Method,
    Static,
    Constructor,
}

#[derive(Serialize)]
struct Param {
    name: String,
    #[serde(rename = "type")]
    value_type: TypeReference,
}

/// Where an export's result lies in the transfer memory.
#[derive(Serialize)]
struct ResultPlace {
    result_offset: u32,
    /// First byte after parameters and result.
    end_offset: u32,
}

pub(super) fn imports(
    layout: &Layout<'_>,
    plan: &Plan,
    source: &Source<'_>,
    types: &mut TypeTable<'_>,
) -> Result<Vec<FunctionEntry>> {
    let calls = plan.imports.iter().enumerate();
    calls
        .map(|(index, call)| entry(layout, source, types, index, call))
        .collect()
}

pub(super) fn exports(
    layout: &Layout<'_>,
    plan: &Plan,
    source: &Source<'_>,
    types: &mut TypeTable<'_>,
) -> Result<Vec<FunctionEntry>> {
    let calls = plan.exports.iter().enumerate();
    calls
        .map(|(index, call)| {
            let place = CallLayout::of(layout, call)?;
            Ok(FunctionEntry {
                place: Some(ResultPlace {
                    result_offset: place.result_offset,
                    end_offset: place.end_offset,
                }),
                ..entry(layout, source, types, index, call)?
            })
        })
        .collect()
}

fn entry(
    layout: &Layout<'_>,
    source: &Source<'_>,
    types: &mut TypeTable<'_>,
    index: usize,
    call: &Call,
) -> Result<FunctionEntry> {
    let function = &call.function;
    let interface = call.interface.as_ref();
    let interface = interface.and_then(|interface| interface.name.clone());
    let parameters: Vec<Type> = function.params.iter().map(|param| param.ty).collect();
    let record = layout.record(&parameters)?;
    let params = function.params.iter().map(|param| {
        Ok(Param {
            name: param.name.clone(),
            value_type: types.reference(&param.ty)?,
        })
    });
    let params = params.collect::<Result<_>>()?;
    let result = function.result.as_ref();
    let result = result.map(|result| types.reference(result)).transpose()?;
    let resource = function.kind.resource();
    let resource = resource.map(|resource| types.index(resource)).transpose()?;
    let core_name = source.core_function(interface.as_deref(), &function.name);
    Ok(FunctionEntry {
        index,
        name: function.name.clone(),
        kind: Kind::of(&function.kind),
        resource,
        core_name: core_name.map(str::to_owned),
        params,
        result,
        params_size: record.size,
        params_align: record.align,
        place: None,
        docs: function.docs.contents.clone(),
        interface,
    })
}

impl Kind {
    fn of(kind: &FunctionKind) -> Self {
        match kind {
            FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => Self::Function,
            FunctionKind::Method(_) | FunctionKind::AsyncMethod(_) => Self::Method,
            FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => Self::Static,
            FunctionKind::Constructor(_) => Self::Constructor,
        }
    }
}
