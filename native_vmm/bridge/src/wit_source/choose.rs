//! Which world is meant.

use std::fmt::Write;

use wit_parser::{PackageId, Resolve, WorldId};

use super::{WitError, WitFile, WitSources};
use crate::error::one_line;

/// Name of the world that is made up, unless the package has such an interface.
const MADE_UP: &str = "interfaces";

/// Whether the world is asked for together with its package, so that it may be any one's.
pub(super) fn names_a_package(sources: &WitSources) -> bool {
    sources
        .world
        .as_deref()
        .is_some_and(|name| name.contains(':'))
}

/// The world that is asked for, or the only one.
pub(super) fn world(
    sources: &WitSources,
    resolve: &Resolve,
    package: PackageId,
) -> Result<WorldId, WitError> {
    let worlds = &resolve.packages[package].worlds;
    let name = &resolve.packages[package].name;
    let known: Vec<String> = worlds.keys().map(|world| format!("`{world}`")).collect();
    let known = known.join(", ");
    match &sources.world {
        None if worlds.len() != 1 => Err(WitError::anywhere(format!(
            "package `{name}` has several worlds, choose one: {known}"
        ))),
        None => Ok(worlds[0]),
        Some(world) => resolve
            .select_world(&[package], Some(world))
            .map_err(|error| {
                WitError::anywhere(if names_a_package(sources) {
                    one_line(format!("{error:#}"))
                } else {
                    format!("package `{name}` has no world `{world}`, it has {known}")
                })
            }),
    }
}

/// A file with a world that exports each interface of a package.
pub(super) fn made_up(resolve: &Resolve, package: PackageId) -> Result<WitFile, WitError> {
    let package = &resolve.packages[package];
    if package.interfaces.is_empty() {
        return Err(WitError::anywhere(format!(
            "package `{}` has neither a world nor an interface",
            package.name
        )));
    }
    let mut name = MADE_UP.to_owned();
    while package.interfaces.contains_key(&name) {
        name.push_str("-all");
    }
    let mut text = format!("world {name} {{\n");
    for interface in package.interfaces.keys() {
        // The sign says that a keyword is a name.
        let _ = writeln!(text, "  export %{interface};");
    }
    text.push_str("}\n");
    Ok(WitFile {
        path: format!("<world {name}>"),
        text,
    })
}
