//! Copies a core module with other names for its imports and exports.

use std::borrow::Cow;
use std::collections::HashMap;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportSection, ImportSection, Module, RawSection};
use wasmparser::{ExternalKind, ImportSectionReader, Imports, Parser, Payload};

use crate::error::{BridgeError, Result};

/// Module and name of an import.
pub(super) type ImportName = (String, String);

/// The names to change.
pub(super) struct Renames {
    pub(super) imports: HashMap<ImportName, ImportName>,
    /// All exports that the copy has; none to keep those of the module.
    pub(super) exports: Option<Vec<(String, ExternalKind, u32)>>,
}

impl Renames {
    /// The module under the new names; not copied if there are none.
    pub(super) fn apply<'a>(&self, module: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if self.imports.is_empty() && self.exports.is_none() {
            return Ok(Cow::Borrowed(module));
        }
        let mut copy = Module::new();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            match (&payload, &self.exports) {
                (Payload::ImportSection(section), _) => {
                    copy.section(&self.imports(section.clone())?);
                }
                (Payload::ExportSection(_), Some(exports)) => {
                    copy.section(&export_section(exports)?);
                }
                _ => {
                    if let Some((id, range)) = payload.as_section() {
                        let data = module.get(range).unwrap_or_default();
                        copy.section(&RawSection { id, data });
                    }
                }
            }
        }
        Ok(Cow::Owned(copy.finish()))
    }

    fn imports(&self, section: ImportSectionReader<'_>) -> Result<ImportSection> {
        let mut copy = ImportSection::new();
        for imports in section {
            let Imports::Single(_, import) = imports? else {
                return Err(failed("a compact import"));
            };
            let name = (import.module.to_owned(), import.name.to_owned());
            let (module, name) = self.imports.get(&name).unwrap_or(&name);
            let item = RoundtripReencoder.entity_type(import.ty).map_err(failed)?;
            copy.import(module, name, item);
        }
        Ok(copy)
    }
}

fn export_section(exports: &[(String, ExternalKind, u32)]) -> Result<ExportSection> {
    let mut section = ExportSection::new();
    for (name, kind, index) in exports {
        let kind = RoundtripReencoder.export_kind(*kind).map_err(failed)?;
        section.export(name, kind, *index);
    }
    Ok(section)
}

fn failed(error: impl std::fmt::Display) -> BridgeError {
    BridgeError::internal("the module", error)
}
