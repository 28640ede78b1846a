//! What is given: packages as text or in binary form.

use std::slice;

use serde::{Deserialize, Deserializer, de};

/// One package, with the packages that it may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitSources {
    /// The package itself.
    pub main: WitPackage,
    /// Other packages.
    #[serde(default)]
    pub dependencies: Vec<WitPackage>,
    /// Name of the world, with or without its package; none where there is only one.
    #[serde(default)]
    pub world: Option<String>,
}

/// One package, in either form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum WitPackage {
    /// All files of its text.
    Text(Vec<WitFile>),
    /// WebAssembly, which may bring parts of the packages that it uses.
    Binary(BinaryPackage),
    /// One file of text that was made of a package in binary form.
    #[serde(skip)]
    Printed {
        /// The text, which nobody has.
        file: WitFile,
        /// Path of the file in binary form, for messages.
        origin: String,
    },
}

/// One file of text. It is not read: `path` is for messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitFile {
    /// Unlike that of any other file.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// One file of a package in binary form, or in the text form of that.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryPackage {
    /// For messages.
    pub path: String,
    /// What is in it; as JSON, in hexadecimal digits.
    #[serde(deserialize_with = "bytes")]
    pub wasm: Vec<u8>,
}

impl Default for WitPackage {
    fn default() -> Self {
        Self::Text(Vec::new())
    }
}

impl WitPackage {
    /// Its files, if it is text.
    pub(super) fn files(&self) -> &[WitFile] {
        match self {
            Self::Text(files) => files,
            Self::Printed { file, .. } => slice::from_ref(file),
            Self::Binary(_) => &[],
        }
    }

    /// Whether it is in binary form.
    pub(super) fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// The file in binary form that it was made of.
    pub(super) fn origin(&self) -> Option<&str> {
        match self {
            Self::Printed { origin, .. } => Some(origin),
            Self::Text(_) | Self::Binary(_) => None,
        }
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Binary(package) => package.wasm.len(),
            Self::Text(_) | Self::Printed { .. } => {
                self.files().iter().map(|file| file.text.len()).sum()
            }
        }
    }
}

impl WitSources {
    /// All packages, the main one first.
    pub(super) fn packages(&self) -> impl Iterator<Item = &WitPackage> {
        [&self.main].into_iter().chain(&self.dependencies)
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let digits: Option<Vec<u8>> = digits.chars().map(nibble).collect();
    digits
        .filter(|digits| digits.len() % 2 == 0)
        .map(|digits| {
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect()
        })
        .ok_or_else(|| de::Error::custom("pairs of hexadecimal digits are expected"))
}

fn nibble(digit: char) -> Option<u8> {
    digit
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
