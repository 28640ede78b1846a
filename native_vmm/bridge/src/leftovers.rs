//! Exports that a toolchain needed while it built the component and left in it.
//!
//! Some toolchains run their interpreter once at build time and keep its memory. The
//! function that they called for it stays an export, though it must not be called again.
//! It is recognised by its whole shape, not by its name alone.

use crate::source::Skipped;
use wit_parser::{Function, Resolve, WorldId, WorldItem, WorldKey};

/// A function that initialises an interpreter at build time.
struct Initialiser {
    /// Name of the exported interface whose only function it is; none for world level.
    interface: Option<&'static str>,
    function: &'static str,
    parameters: &'static [&'static str],
    reason: &'static str,
}

const INITIALISERS: &[Initialiser] = &[
    Initialiser {
        interface: Some("exports"),
        function: "init",
        parameters: &["app-name", "symbols", "stub-wasi"],
        reason: "componentize-py ran it when it built the component",
    },
    Initialiser {
        interface: None,
        function: "init",
        parameters: &["shim", "script", "entry-path", "disable-gc"],
        reason: "componentize-qjs ran it when it built the component",
    },
];

/// Takes such exports out of a world.
pub(crate) fn remove(resolve: &mut Resolve, world: WorldId) -> Vec<Skipped> {
    let mut removed = Vec::new();
    for initialiser in INITIALISERS {
        let name = initialiser.interface.unwrap_or(initialiser.function);
        let key = WorldKey::Name(name.into());
        let exports = &resolve.worlds[world].exports;
        if !exports
            .get(&key)
            .is_some_and(|item| initialiser.matches(resolve, item))
        {
            continue;
        }
        resolve.worlds[world].exports.shift_remove(&key);
        removed.push(Skipped {
            name: name.into(),
            reason: initialiser.reason.into(),
        });
    }
    removed
}

impl Initialiser {
    fn matches(&self, resolve: &Resolve, item: &WorldItem) -> bool {
        match item {
            WorldItem::Function(function) => {
                self.interface.is_none() && self.matches_function(function)
            }
            WorldItem::Interface { id, .. } => {
                let functions = &resolve.interfaces[*id].functions;
                self.interface.is_some()
                    && functions.len() == 1
                    && functions
                        .values()
                        .all(|function| self.matches_function(function))
            }
            WorldItem::Type { .. } => false,
        }
    }

    fn matches_function(&self, function: &Function) -> bool {
        let names = function.params.iter().map(|param| param.name.as_str());
        function.name == self.function && names.eq(self.parameters.iter().copied())
    }
}
