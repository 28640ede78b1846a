//! Core modules for WASI preview 1, through the adapters that go with wasmtime.
//!
//! The adapter translates preview 1 into WASI 0.2. One thing gets lost in it: `proc_exit(n)`
//! becomes `wasi:cli/exit.exit` with only "ok" or "error". The function `exit-with-code` of
//! the same interface takes the code and has the same core type, so the module's import of
//! `proc_exit` is renamed to that one. The code that arrives is the low eight bits, as a
//! process's.

use std::collections::HashMap;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::ValType;
use wasmparser::{Imports, Parser, Payload};

use super::rename::ImportName;
use super::surface::{Item, Surface};
use crate::error::{BridgeError, Result};
use crate::source::SourceKind;

/// The import module of WASI preview 1.
pub(super) const MODULE: &str = WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

const PROC_EXIT: &str = "proc_exit";
/// Start of the name of the interface that ends the program, before its version.
const EXIT_INTERFACE: &str = "wasi:cli/exit@";
const EXIT_WITH_CODE: &str = "exit-with-code";

/// Import modules of WASI's other forms that have been in use.
const OTHER_FLAVOURS: &[&str] = &["wasi_unstable", "wasi_snapshot_preview0", "wasi"];
/// Starts of further ones.
const OTHER_FLAVOUR_PREFIXES: &[&str] = &["wasi_ephemeral_", "wasix_"];

/// Which adapter a module needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Adapter {
    /// For a program: `wasi:cli/run` calls `_start`.
    Command,
    /// For a library.
    Reactor,
}

impl Adapter {
    /// None if the module does not import WASI preview 1.
    pub(super) fn for_module(surface: &Surface) -> Option<Self> {
        let mut imports = surface.imports.iter();
        if !imports.any(|import| import.module == MODULE) {
            None
        } else if surface.exports_entry("_start") {
            Some(Self::Command)
        } else {
            Some(Self::Reactor)
        }
    }

    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Command => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            Self::Reactor => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        }
    }

    pub(super) fn source_kind(self) -> SourceKind {
        match self {
            Self::Command => SourceKind::Command,
            Self::Reactor => SourceKind::Reactor,
        }
    }
}

/// Refuses modules for forms of WASI that there is no adapter for.
pub(super) fn refuse_other_flavours(surface: &Surface) -> Result<()> {
    for import in &surface.imports {
        let module = import.module.as_str();
        let is_other = OTHER_FLAVOURS.contains(&module)
            || OTHER_FLAVOUR_PREFIXES
                .iter()
                .any(|prefix| module.starts_with(prefix));
        if is_other {
            return Err(BridgeError::unsupported(
                format!("{module}.{}", import.name),
                format!(
                    "this form of WASI is not supported; build the module for {MODULE} \
                     (wasm32-wasip1) or as a component"
                ),
            ));
        }
    }
    Ok(())
}

/// Imports that must have another name so that the exit code comes through.
pub(super) fn renamed_imports(
    surface: &Surface,
    adapter: Option<Adapter>,
) -> HashMap<ImportName, ImportName> {
    let imports_exit = surface.imports.iter().any(|import| {
        let takes_code = match &import.item {
            Item::Function(signature) => {
                signature.parameters == [Some(ValType::I32)] && signature.results.is_empty()
            }
            Item::Other(_) => false,
        };
        import.module == MODULE && import.name == PROC_EXIT && takes_code
    });
    adapter
        .filter(|_| imports_exit)
        .and_then(|adapter| exit_interface(adapter.bytes()))
        .map(|interface| {
            let from = (MODULE.to_owned(), PROC_EXIT.to_owned());
            (from, (interface, EXIT_WITH_CODE.to_owned()))
        })
        .into_iter()
        .collect()
}

/// The interface by which an adapter ends the program; its version is the adapter's.
fn exit_interface(adapter: &[u8]) -> Option<String> {
    for payload in Parser::new(0).parse_all(adapter) {
        let Payload::ImportSection(section) = payload.ok()? else {
            continue;
        };
        let mut modules = section.into_iter().filter_map(|imports| match imports {
            Ok(Imports::Single(_, import)) => Some(import.module),
            _ => None,
        });
        return modules
            .find(|module| module.starts_with(EXIT_INTERFACE))
            .map(str::to_owned);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Adapter, exit_interface};

    #[test]
    fn adapters_say_how_they_exit() {
        for adapter in [Adapter::Command, Adapter::Reactor] {
            let interface = exit_interface(adapter.bytes());
            assert_eq!(interface.as_deref(), Some("wasi:cli/exit@0.2.12"));
        }
    }
}
