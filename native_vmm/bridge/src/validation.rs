//! Validation: nothing is looked into before it has passed.

use std::fmt;

use wasmparser::types::Types;
use wasmparser::{
    BinaryReader, ComponentExternalKind, FuncValidatorAllocations, Parser, Payload, ValidPayload,
    Validator, WasmFeatures,
};

use crate::error::{BridgeError, Result};
use crate::{packages, unsupported, world};

/// Depth to which components may be nested; the validator's time is quadratic in it.
const DEPTH_MAX: usize = 100;

/// A component or module that has passed validation, with what a component imports and exports.
pub(crate) struct Valid<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) types: Types,
    pub(crate) imports: Vec<Extern>,
    pub(crate) exports: Vec<Extern>,
}

/// A top-level import or export of a component.
pub(crate) struct Extern {
    pub(crate) name: String,
    pub(crate) kind: ComponentExternalKind,
}

/// Whether function bodies are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Check,
    /// They were checked before, or are our own.
    Trust,
}

/// Why validation failed.
pub(crate) enum Invalid {
    WebAssembly(wasmparser::Error),
    TooDeep,
}

/// The WebAssembly features that the compiler is configured for: all that are finished,
/// except shared memories, and of the component model what the bridges can carry. `engine.py`
/// and the guest's `engine.rs` say the same to wasmtime.
pub(crate) fn supported_features() -> WasmFeatures {
    let mut features = WasmFeatures::default();
    features.remove(WasmFeatures::THREADS);
    features.remove(WasmFeatures::CM_ASYNC);
    features | WasmFeatures::CM_MAP
}

/// Validates a component for the features that we support.
///
/// # Errors
/// `Malformed` if no set of features would make it valid, and `Unsupported`, with the item
/// that needs more where that is in its world, if another would.
pub(crate) fn component(bytes: &[u8], bodies: Bodies) -> Result<Valid<'_>> {
    validate(bytes, supported_features(), bodies).or_else(|lacking| {
        let Ok(valid) = validate(bytes, WasmFeatures::all(), Bodies::Check) else {
            return Err(lacking.into());
        };
        unsupported::refuse_package(&valid)?;
        unsupported::refuse_externs(&valid.imports, &valid.exports)?;
        packages::check(&valid)?;
        let decoded = world::decode(bytes)?;
        unsupported::refuse_types(&decoded.resolve, decoded.world)?;
        Err(BridgeError::unsupported("the component", lacking))
    })
}

/// Validates a core module for the features that we support; errors as in [`component`].
pub(crate) fn module(bytes: &[u8]) -> Result<Types> {
    let valid = validate(bytes, supported_features(), Bodies::Check);
    valid.map(|module| module.types).map_err(|lacking| {
        if validate(bytes, WasmFeatures::all(), Bodies::Check).is_ok() {
            BridgeError::unsupported("the module", lacking)
        } else {
            lacking.into()
        }
    })
}

/// Validates a component or module for a set of features.
pub(crate) fn validate(
    bytes: &[u8],
    features: WasmFeatures,
    bodies: Bodies,
) -> std::result::Result<Valid<'_>, Invalid> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::End(_) if depth == 0 => break,
            // The parser takes the end of the input for the end of what is nested in it.
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } if unchecked_range.end > bytes.len() => {
                BinaryReader::new(&[], bytes.len()).read_u8()?;
            }
            _ => {}
        }
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) if bodies == Bodies::Check => {
                let mut function = function.into_validator(allocations);
                function.validate(&body)?;
                allocations = function.into_allocations();
            }
            ValidPayload::Ok | ValidPayload::Func(..) => {}
            ValidPayload::End(_) => depth -= 1,
            ValidPayload::Parser(_) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Invalid::TooDeep);
                }
            }
        }
        match payload {
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    imports.push(Extern {
                        name: import.name.name.to_owned(),
                        kind: import.ty.kind(),
                    });
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export?;
                    exports.push(Extern {
                        name: export.name.name.to_owned(),
                        kind: export.kind,
                    });
                }
            }
            _ => {}
        }
    }
    Ok(Valid {
        bytes,
        types: validator.end(bytes.len())?,
        imports,
        exports,
    })
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebAssembly(error) => error.fmt(formatter),
            Self::TooDeep => formatter.write_str("components are nested too deeply"),
        }
    }
}

impl From<wasmparser::Error> for Invalid {
    fn from(error: wasmparser::Error) -> Self {
        Self::WebAssembly(error)
    }
}

impl From<Invalid> for BridgeError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::WebAssembly(error) => error.into(),
            Invalid::TooDeep => Self::unsupported("the component", invalid),
        }
    }
}
