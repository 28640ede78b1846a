//! Packages in binary form become text, so that all else is done once for both forms.
//!
//! Such a file has one whole package, and of others the parts that it uses. Those are needed
//! only where nothing else among the sources has all of the package.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use wasmparser::WasmFeatures;
use wit_component::DecodedWasm;
use wit_parser::{PackageId, PackageName, Resolve};

use super::agreement::difference;
use super::limits::Room;
use super::{BinaryPackage, WitError, WitFile, WitPackage, WitSources, read};
use crate::error::{BridgeError, one_line};
use crate::input::{self, Input};
use crate::validation::{self, Bodies};
use crate::{guard, packages};

/// A package in binary form, decoded.
struct Decoded<'a> {
    path: &'a str,
    resolve: Resolve,
    id: PackageId,
}

/// The same sources, all of them as text.
pub(super) fn to_text(sources: &WitSources) -> Result<Cow<'_, WitSources>, WitError> {
    if sources.packages().all(|each| !each.is_binary()) {
        return Ok(Cow::Borrowed(sources));
    }
    let mut room = Room::beside(sources);
    let mut whole = BTreeSet::new();
    let mut decoded = Vec::new();
    let mut texts = Vec::new();
    for package in sources.packages() {
        match package {
            WitPackage::Text(_) | WitPackage::Printed { .. } => {
                let group = read::parse(sources, package.files().iter())?;
                let nested = group.nested.into_iter().map(|package| package.name);
                whole.extend(nested.chain([group.main.name]));
                texts.push(package.clone());
            }
            WitPackage::Binary(package) => {
                let package = decode(package)?;
                whole.insert(name_of(&package.resolve, package.id));
                let text = room.print(package.path, &package.resolve, package.id, &[])?;
                texts.push(printed(package.path, package.path.to_owned(), text));
                decoded.push(package);
            }
        }
    }
    let main = texts.remove(0);
    texts.extend(parts(decoded, &whole, &mut room)?);
    Ok(Cow::Owned(WitSources {
        main,
        dependencies: texts,
        world: sources.world.clone(),
    }))
}

/// A package in binary form as text, with the parts of others that it uses nested in it.
pub(super) fn print(package: &BinaryPackage) -> Result<String, WitError> {
    let Decoded { path, resolve, id } = decode(package)?;
    let packages = resolve.packages.iter().map(|(id, _)| id);
    let others: Vec<PackageId> = packages.filter(|other| *other != id).collect();
    Room::whole().print(path, &resolve, id, &others)
}

/// What the files bring of packages that are nowhere as a whole, put together.
fn parts(
    decoded: Vec<Decoded<'_>>,
    whole: &BTreeSet<PackageName>,
    room: &mut Room,
) -> Result<Vec<WitPackage>, WitError> {
    let mut origins: HashMap<PackageName, &str> = HashMap::new();
    let mut all = Resolve::default();
    for package in decoded {
        let path = package.path;
        let names = package.resolve.packages.iter();
        let names: Vec<PackageName> = names
            .map(|(_, package)| package.name.clone())
            .filter(|name| !whole.contains(name))
            .collect();
        if names.is_empty() {
            continue;
        }
        for name in names {
            let id = package.resolve.package_names[&name];
            let part = (&package.resolve, &package.resolve.packages[id]);
            let known = all.package_names.get(&name).map(|id| &all.packages[*id]);
            if let Some(item) = known.and_then(|known| difference(part, (&all, known))) {
                let first = origins.get(&name).copied().unwrap_or_default();
                let message = format!("{item} is not the same here as in {first}");
                return Err(WitError::in_file(path, message));
            }
            origins.entry(name).or_insert(path);
        }
        all.merge(package.resolve)
            .map_err(|error| WitError::in_file(path, one_line(format!("{error:#}"))))?;
    }
    let packages = all.packages.iter().filter_map(|(id, package)| {
        let path = origins.get(&package.name)?;
        let text = room.print(path, &all, id, &[]);
        let name = format!("{path} ({})", package.name);
        Some(text.map(|text| printed(path, name, text)))
    });
    packages.collect()
}

/// Decodes a package that was checked first: the decoder expects to be given good ones.
fn decode(package: &BinaryPackage) -> Result<Decoded<'_>, WitError> {
    let path = package.path.as_str();
    let refused = |message: String| WitError::in_file(path, message);
    let malformed = |error: BridgeError| refused(error.to_string());
    let bytes = match input::read(&package.wasm).map_err(malformed)? {
        Input::Component(bytes) => bytes,
        Input::Module(_) => {
            return Err(refused(
                "this is a core module, and not a WIT package".into(),
            ));
        }
    };
    let valid = validation::validate(&bytes, WasmFeatures::all(), Bodies::Trust)
        .map_err(|error| malformed(error.into()))?;
    if !packages::is_wit(&valid) {
        return Err(refused(
            "this is a component, and not a WIT package: `hlwasm inspect --wit` makes WIT of it"
                .into(),
        ));
    }
    packages::check_wit(&valid).map_err(malformed)?;
    let decoding = guard::third_party("the package", || {
        let decoded = wit_component::decode(&bytes);
        decoded.map_err(|error| BridgeError::Malformed(one_line(format!("{error:#}"))))
    });
    match decoding {
        Ok(DecodedWasm::WitPackage(resolve, id)) => Ok(Decoded { path, resolve, id }),
        Ok(DecodedWasm::Component(..)) => Err(refused("this is not a WIT package".into())),
        Err(BridgeError::Malformed(message) | BridgeError::Unsupported { message, .. }) => {
            Err(refused(format!("the WIT package is damaged: {message}")))
        }
    }
}

fn name_of(resolve: &Resolve, package: PackageId) -> PackageName {
    resolve.packages[package].name.clone()
}

fn printed(origin: &str, path: String, text: String) -> WitPackage {
    WitPackage::Printed {
        file: WitFile { path, text },
        origin: origin.to_owned(),
    }
}
