//! The user's component together with where it came from.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use crate::error::Result;
use crate::input::{self, Input};
use crate::validation::Bodies;

/// A component, and what its world does not say about it.
pub(crate) struct Source<'a> {
    pub(crate) kind: SourceKind,
    pub(crate) component: Cow<'a, [u8]>,
    /// Whether the function bodies were validated on the way here.
    pub(crate) bodies: Bodies,
    pub(crate) skipped: Vec<Skipped>,
    /// Names in the core module by names of the world that was made up for it.
    pub(crate) core_names: CoreNames,
}

/// What the input was.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceKind {
    /// A component, or a core module that carries its world.
    Component,
    /// A core module for WASI preview 1 with an entry point.
    Command,
    /// A core module for WASI preview 1 without one.
    Reactor,
    /// Any other core module.
    Module,
}

/// An export that cannot be called.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Original names of interfaces and functions.
#[derive(Default)]
pub(crate) struct CoreNames {
    pub(crate) interfaces: HashMap<String, String>,
    /// By interface, none for world level, and function.
    pub(crate) functions: HashMap<(Option<String>, String), String>,
}

impl<'a> Source<'a> {
    /// Makes a component of any input.
    pub(crate) fn of(input: &'a [u8]) -> Result<Self> {
        match input::read(input)? {
            Input::Component(component) => Ok(Self {
                kind: SourceKind::Component,
                component,
                bodies: Bodies::Check,
                skipped: Vec::new(),
                core_names: CoreNames::default(),
            }),
            Input::Module(module) => crate::core_source::componentize(&module),
        }
    }

    /// No component at all, only the WIT of one.
    pub(crate) fn of_wit() -> Self {
        Self {
            kind: SourceKind::Component,
            component: Cow::Borrowed(&[]),
            bodies: Bodies::Trust,
            skipped: Vec::new(),
            core_names: CoreNames::default(),
        }
    }

    /// The import module behind an interface.
    pub(crate) fn core_interface(&self, name: &str) -> Option<&str> {
        self.core_names.interfaces.get(name).map(String::as_str)
    }

    /// The core function behind a function.
    pub(crate) fn core_function(&self, interface: Option<&str>, name: &str) -> Option<&str> {
        let key = (interface.map(str::to_owned), name.to_owned());
        self.core_names.functions.get(&key).map(String::as_str)
    }
}
