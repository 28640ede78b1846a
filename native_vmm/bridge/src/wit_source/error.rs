//! Why WIT sources cannot be described, and where.

use wit_parser::{ParseError, ParseErrorKind, ResolveError, ResolveErrorKind, SourceMap, Span};

use super::{WitPackage, WitSources};
use crate::error::{BridgeError, one_line};

/// Why it cannot be done. Each message is one line, for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitError {
    /// The text is not WIT, or its names do not resolve.
    #[error("{message}")]
    Source {
        /// What is wrong.
        message: String,
        /// Where, as far as it is in one place.
        place: Option<Place>,
    },
    /// A file as a whole is not what it has to be.
    #[error("{message}")]
    File {
        /// What is wrong.
        message: String,
        /// Of the file, as it was given.
        path: String,
    },
    /// It is WIT, but its world has an item that cannot be bridged.
    #[error(transparent)]
    World(#[from] BridgeError),
}

/// A part of one line of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of the file, as it was given.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Characters in this line that are meant, at least 1.
    pub width: usize,
    /// The whole line.
    pub source: String,
}

impl WitError {
    pub(super) fn anywhere(message: impl Into<String>) -> Self {
        Self::Source {
            message: message.into(),
            place: None,
        }
    }

    pub(super) fn in_file(path: &str, message: impl Into<String>) -> Self {
        Self::File {
            message: message.into(),
            path: path.to_owned(),
        }
    }

    pub(super) fn at(
        sources: &WitSources,
        map: &SourceMap,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        match place(sources, map, span) {
            Some((package, place)) => match package.origin() {
                // Nobody has the line of a text that was made here.
                Some(path) => Self::in_file(path, message),
                None => Self::Source {
                    message: message.into(),
                    place: Some(place),
                },
            },
            None => Self::anywhere(message),
        }
    }

    pub(super) fn parsing(sources: &WitSources, map: &SourceMap, error: &ParseError) -> Self {
        let message = match error.kind() {
            ParseErrorKind::ItemNotFound {
                kind, name, hint, ..
            } => {
                let hint = hint.as_ref().map(|hint| format!(" ({})", one_line(hint)));
                format!("{kind} `{name}` does not exist{}", hint.unwrap_or_default())
            }
            kind => with_hint(one_line(kind)),
        };
        Self::at(sources, map, error.kind().span(), message)
    }

    pub(super) fn resolving(sources: &WitSources, map: &SourceMap, error: &ResolveError) -> Self {
        let message = match error.kind() {
            ResolveErrorKind::PackageNotFound {
                requested, known, ..
            } => {
                let mut known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                known.sort();
                let known = known.join(", ");
                format!(
                    "package `{requested}` is not among the sources (there is {known}): \
                     its WIT belongs into the folder `deps` of the package"
                )
            }
            kind => one_line(kind),
        };
        Self::at(sources, map, error.kind().span(), message)
    }
}

/// Says how a keyword is used as a name, where one was found in the place of a name.
fn with_hint(message: String) -> String {
    let found = message.split_once("expected an identifier");
    match found.and_then(|(_, rest)| rest.split_once("found keyword `")) {
        Some((_, keyword)) => {
            let name = keyword.trim_end_matches('`');
            format!("{message}; as a name it is written `%{name}`")
        }
        None => message,
    }
}

fn place<'a>(
    sources: &'a WitSources,
    map: &SourceMap,
    span: Span,
) -> Option<(&'a WitPackage, Place)> {
    let found = map.resolve_span(span)?;
    let mut files = sources
        .packages()
        .flat_map(|package| package.files().iter().map(move |file| (package, file)));
    let (package, file) = files.find(|(_, file)| file.path == found.path)?;
    let text = &file.text;
    let before = text.get(..found.range.start)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[found.range.start..].find('\n');
    let end = end.map_or(text.len(), |newline| found.range.start + newline);
    let meant = text.get(found.range.start..found.range.end.clamp(found.range.start, end));
    let place = Place {
        path: found.path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: text[start..found.range.start].chars().count() + 1,
        width: meant.map_or(1, |meant| meant.trim_end().chars().count().max(1)),
        source: text[start..end].trim_end().to_owned(),
    };
    Some((package, place))
}
