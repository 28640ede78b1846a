//! Recognises the input and turns text into binary.

use std::borrow::Cow;

use wasmparser::Parser;

use crate::error::{BridgeError, Result, one_line};

/// What an input is.
pub(crate) enum Input<'a> {
    /// A component in binary form.
    Component(Cow<'a, [u8]>),
    /// A core module in binary form.
    Module(Cow<'a, [u8]>),
}

/// Recognises the input and turns text into binary.
pub(crate) fn read(input: &[u8]) -> Result<Input<'_>> {
    let binary = if input.starts_with(b"\0asm") {
        Cow::Borrowed(input)
    } else {
        Cow::Owned(parse_text(input)?)
    };
    if Parser::is_component(&binary) {
        Ok(Input::Component(binary))
    } else if Parser::is_core_wasm(&binary) {
        Ok(Input::Module(binary))
    } else {
        Err(BridgeError::Malformed(
            "unknown version in the header of the WebAssembly binary (at offset 0x4)".into(),
        ))
    }
}

fn parse_text(input: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(input)
        .ok()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| {
            BridgeError::Malformed("neither a WebAssembly binary nor WebAssembly text".into())
        })?;
    wat::parse_str(text).map_err(|error| {
        let report = error.to_string();
        let mut lines = report.lines().map(str::trim);
        let message = lines.next().unwrap_or_default();
        let place = lines.find_map(|line| line.strip_prefix("--> <anon>:"));
        BridgeError::Malformed(match place.and_then(|place| place.split_once(':')) {
            Some((line, column)) => format!("{message} (at line {line}, column {column})"),
            None => one_line(report),
        })
    })
}
