//! Refuses names that differ in case only: the component model takes them for one name, so
//! no component has such a world. The parser lets them pass.

use std::collections::HashMap;

use wit_parser::{Function, Resolve, Span, TypeDefKind};

use super::{WitError, WitSources};

/// Looks at all names that the sources define.
pub(super) fn check(sources: &WitSources, resolve: &Resolve) -> Result<(), WitError> {
    let check = |names: Vec<(&str, Span)>| distinct(sources, resolve, names);
    for (_, interface) in resolve.interfaces.iter() {
        let types = interface.types.iter();
        check(
            types
                .map(|(name, id)| (name.as_str(), resolve.types[*id].span))
                .collect(),
        )?;
        check(interface.functions.values().map(named).collect())?;
        for function in interface.functions.values() {
            let params = function.params.iter();
            check(
                params
                    .map(|param| (param.name.as_str(), param.span))
                    .collect(),
            )?;
        }
    }
    for (_, definition) in resolve.types.iter() {
        check(match &definition.kind {
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .map(|field| (field.name.as_str(), field.span))
                .collect(),
            TypeDefKind::Variant(variant) => variant
                .cases
                .iter()
                .map(|case| (case.name.as_str(), case.span))
                .collect(),
            TypeDefKind::Enum(cases) => cases
                .cases
                .iter()
                .map(|case| (case.name.as_str(), case.span))
                .collect(),
            TypeDefKind::Flags(flags) => flags
                .flags
                .iter()
                .map(|flag| (flag.name.as_str(), flag.span))
                .collect(),
            _ => Vec::new(),
        })?;
    }
    Ok(())
}

/// A method and a static function of one resource may not share a name either.
fn named(function: &Function) -> (&str, Span) {
    let name = function.name.as_str();
    let member = name
        .strip_prefix("[method]")
        .or(name.strip_prefix("[static]"));
    (member.unwrap_or(name), function.span)
}

fn distinct(
    sources: &WitSources,
    resolve: &Resolve,
    names: Vec<(&str, Span)>,
) -> Result<(), WitError> {
    let mut seen = HashMap::new();
    for (name, span) in names {
        if let Some(other) = seen.insert(name.to_ascii_lowercase(), name) {
            let message = format!("`{name}` is one name with `{other}`: case makes no difference");
            return Err(WitError::at(sources, &resolve.source_map, span, message));
        }
    }
    Ok(())
}
