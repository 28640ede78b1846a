//! From bytes to a valid component: recognising, WAT, validation.

use std::borrow::Cow;

use wasmparser::types::Types;
use wasmparser::{
    ComponentExternalKind, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator,
    WasmFeatures,
};

use crate::error::{BridgeError, Result, one_line};

/// What an input is.
pub(crate) enum Input<'a> {
    /// A component in binary form.
    Component(Cow<'a, [u8]>),
    /// A core module in binary form.
    Module(Cow<'a, [u8]>),
}

/// A component that has passed validation, with what it imports and exports.
pub(crate) struct ValidComponent<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) types: Types,
    pub(crate) imports: Vec<Extern>,
    pub(crate) exports: Vec<Extern>,
}

/// A top-level import or export.
pub(crate) struct Extern {
    pub(crate) name: String,
    pub(crate) kind: ComponentExternalKind,
}

/// The WebAssembly features that the compiler is configured for: all that are finished,
/// except shared memories, and of the component model what the bridges can carry.
pub(crate) fn supported_features() -> WasmFeatures {
    let mut features = WasmFeatures::default();
    features.remove(WasmFeatures::THREADS);
    features.remove(WasmFeatures::CM_ASYNC);
    features
}

/// Recognises the input and turns text into binary.
pub(crate) fn read(input: &[u8]) -> Result<Input<'_>> {
    let binary = if input.starts_with(b"\0asm") {
        Cow::Borrowed(input)
    } else {
        Cow::Owned(parse_text(input)?)
    };
    if Parser::is_component(&binary) {
        Ok(Input::Component(binary))
    } else if Parser::is_core_wasm(&binary) {
        Ok(Input::Module(binary))
    } else {
        Err(BridgeError::Malformed(
            "unknown version in the header of the WebAssembly binary (at offset 0x4)".into(),
        ))
    }
}

fn parse_text(input: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(input)
        .ok()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| {
            BridgeError::Malformed("neither a WebAssembly binary nor WebAssembly text".into())
        })?;
    wat::parse_str(text).map_err(|error| {
        let report = error.to_string();
        let mut lines = report.lines().map(str::trim);
        let message = lines.next().unwrap_or_default();
        let place = lines.find_map(|line| line.strip_prefix("--> <anon>:"));
        BridgeError::Malformed(match place.and_then(|place| place.split_once(':')) {
            Some((line, column)) => format!("{message} (at line {line}, column {column})"),
            None => one_line(report),
        })
    })
}

/// Validates a component for the features that we support.
///
/// # Errors
/// `Malformed` if no set of features would make it valid, and `Unsupported` if another would.
pub(crate) fn validate(bytes: &[u8]) -> Result<ValidComponent<'_>> {
    let lacking = match run_validator(bytes, supported_features()) {
        Ok((types, imports, exports)) => {
            return Ok(ValidComponent {
                bytes,
                types,
                imports,
                exports,
            });
        }
        Err(error) => error,
    };
    refuse_unsupported(bytes, &lacking)?;
    Err(lacking.into())
}

/// Validates a core module for the features that we support; errors as in [`validate`].
pub(crate) fn validate_module(bytes: &[u8]) -> Result<Types> {
    let lacking = match run_validator(bytes, supported_features()) {
        Ok((types, ..)) => return Ok(types),
        Err(error) => error,
    };
    if run_validator(bytes, WasmFeatures::all()).is_ok() {
        return Err(BridgeError::unsupported("the module", lacking));
    }
    Err(lacking.into())
}

/// Names the item of an otherwise valid component that needs more than we support.
fn refuse_unsupported(bytes: &[u8], lacking: &wasmparser::Error) -> Result<()> {
    if run_validator(bytes, WasmFeatures::all()).is_err() {
        return Ok(());
    }
    if let Ok(decoded) = crate::world::decode(bytes) {
        crate::unsupported::refuse_types(&decoded.resolve, decoded.world)?;
    }
    Err(BridgeError::unsupported("the component", lacking))
}

type Validated = (Types, Vec<Extern>, Vec<Extern>);

fn run_validator(bytes: &[u8], features: WasmFeatures) -> wasmparser::Result<Validated> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        if depth == 0 && matches!(payload, Payload::End(_)) {
            break;
        }
        match validator.payload(&payload)? {
            ValidPayload::Ok => {}
            ValidPayload::Parser(_) => depth += 1,
            ValidPayload::End(_) => depth -= 1,
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(allocations);
                function.validate(&body)?;
                allocations = function.into_allocations();
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
    Ok((validator.end(bytes.len())?, imports, exports))
}
