//! Text becomes a `Resolve` with a chosen world.

use wit_parser::{PackageId, Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

use super::{WitError, WitFile, WitSources, choose, limits, names};

/// Parses the sources and finds the world that is meant.
pub(super) fn read(sources: &WitSources) -> Result<(Resolve, WorldId), WitError> {
    let (resolve, package) = resolve(sources, None)?;
    if !resolve.packages[package].worlds.is_empty() || choose::names_a_package(sources) {
        let world = choose::world(sources, &resolve, package)?;
        return Ok((resolve, world));
    }
    let made_up = choose::made_up(&resolve, package)?;
    let (resolve, package) = self::resolve(sources, Some(&made_up))?;
    let world = choose::world(sources, &resolve, package)?;
    Ok((resolve, world))
}

fn resolve(
    sources: &WitSources,
    made_up: Option<&WitFile>,
) -> Result<(Resolve, PackageId), WitError> {
    let main = parse(sources, sources.main.files().iter().chain(made_up))?;
    let dependencies = sources.dependencies.iter();
    let dependencies: Vec<UnresolvedPackageGroup> = dependencies
        .map(|package| parse(sources, package.files().iter()))
        .collect::<Result<_, _>>()?;
    let groups = dependencies.iter().chain([&main]);
    limits::items(groups.flat_map(|group| group.nested.iter().chain([&group.main])))?;
    let mut resolve = Resolve::default();
    let package = resolve
        .push_groups(main, dependencies)
        .map_err(|error| WitError::resolving(sources, &resolve.source_map, &error))?;
    limits::depth(sources, &resolve)?;
    names::check(sources, &resolve)?;
    Ok((resolve, package))
}

/// Parses all files of a package.
pub(super) fn parse<'a>(
    sources: &WitSources,
    files: impl Iterator<Item = &'a WitFile>,
) -> Result<UnresolvedPackageGroup, WitError> {
    let mut map = SourceMap::new();
    for file in files {
        map.push_str(&file.path, file.text.as_str());
    }
    map.parse()
        .map_err(|(map, error)| WitError::parsing(sources, &map, &error))
}
