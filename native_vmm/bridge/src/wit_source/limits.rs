//! What is refused because it would take too much of the host.
//!
//! The parser bounds how deep one type is written, but not how long a chain of names can
//! be, and walks such chains by calling itself.

use std::collections::HashMap;

use wit_parser::{Handle, PackageId, Resolve, Type, TypeDefKind, TypeId, UnresolvedPackage};

use super::{WitError, WitPackage, WitSources};
use crate::error::one_line;
use crate::wit_text::{self, NoText};

/// All sources together. Those of WASI are half a megabyte.
const BYTES_MAX: usize = 4 << 20;
/// Interfaces, worlds and types together.
const ITEMS_MAX: usize = 20_000;
/// As wasmparser allows for binary components.
const TYPE_DEPTH_MAX: usize = 100;
/// For the parser's thread, whose calls of itself are bounded by `ITEMS_MAX`. Only what is
/// touched takes memory.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// Refuses sources that are too long.
pub(super) fn bytes(sources: &WitSources) -> Result<(), WitError> {
    length(sources.packages().map(WitPackage::bytes).sum())
}

/// Refuses so many bytes, if they are too many.
pub(super) fn length(bytes: usize) -> Result<(), WitError> {
    if bytes > BYTES_MAX {
        return Err(WitError::anywhere(format!(
            "the sources have {bytes} bytes, more than {BYTES_MAX}"
        )));
    }
    Ok(())
}

/// How much of the text that is made of packages in binary form there may be yet.
pub(super) struct Room(usize);

impl Room {
    /// Where nothing else is given.
    pub(super) fn whole() -> Self {
        Self(BYTES_MAX)
    }

    /// With the texts that are given.
    pub(super) fn beside(sources: &WitSources) -> Self {
        let texts = sources.packages().filter(|each| !each.is_binary());
        let bytes: usize = texts.map(WitPackage::bytes).sum();
        Self(BYTES_MAX.saturating_sub(bytes))
    }

    /// Prints a package of the file, and others nested in it.
    pub(super) fn print(
        &mut self,
        path: &str,
        resolve: &Resolve,
        package: PackageId,
        nested: &[PackageId],
    ) -> Result<String, WitError> {
        let text = wit_text::print(resolve, package, nested, &mut self.0);
        text.map_err(|why| match why {
            NoText::TooLong => {
                let message = format!("the sources have more than {BYTES_MAX} bytes as text");
                WitError::in_file(path, message)
            }
            NoText::Failed(message) => WitError::in_file(path, one_line(message)),
        })
    }
}

/// Refuses packages that define too much.
pub(super) fn items<'a>(
    packages: impl Iterator<Item = &'a UnresolvedPackage>,
) -> Result<(), WitError> {
    let items: usize = packages
        .map(|package| package.interfaces.len() + package.worlds.len() + package.types.len())
        .sum();
    if items > ITEMS_MAX {
        return Err(WitError::anywhere(format!(
            "the sources define {items} interfaces, worlds and types, more than {ITEMS_MAX}"
        )));
    }
    Ok(())
}

/// Refuses types that are nested too deeply, by way of their names too.
pub(super) fn depth(sources: &WitSources, resolve: &Resolve) -> Result<(), WitError> {
    let mut depths: HashMap<TypeId, usize> = HashMap::new();
    // Each refers to earlier ones only.
    for (id, definition) in resolve.types.iter() {
        let inner = parts(&definition.kind);
        let deepest = inner.iter().filter_map(|part| depths.get(part)).max();
        let depth = deepest.map_or(1, |depth| depth + 1);
        if depth > TYPE_DEPTH_MAX {
            let name = definition.name.as_deref().unwrap_or("a type");
            let message = format!("{name} is nested more than {TYPE_DEPTH_MAX} types deep");
            return Err(WitError::at(
                sources,
                &resolve.source_map,
                definition.span,
                message,
            ));
        }
        depths.insert(id, depth);
    }
    Ok(())
}

fn parts(kind: &TypeDefKind) -> Vec<TypeId> {
    let parts: Vec<Type> = match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Map(key, value) => vec![*key, *value],
        TypeDefKind::Future(inner) | TypeDefKind::Stream(inner) => inner.iter().copied().collect(),
        TypeDefKind::Type(inner)
        | TypeDefKind::List(inner)
        | TypeDefKind::Option(inner)
        | TypeDefKind::FixedLengthList(inner, _) => vec![*inner],
        TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
            vec![Type::Id(*resource)]
        }
        TypeDefKind::Resource
        | TypeDefKind::Flags(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Unknown => Vec::new(),
    };
    let ids = parts.into_iter().filter_map(|part| match part {
        Type::Id(id) => Some(id),
        _ => None,
    });
    ids.collect()
}
