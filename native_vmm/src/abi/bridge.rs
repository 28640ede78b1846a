//! Entries about bridge generation, WIT and constants, and the buffers that they return.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::slice;

use component_bridge::{
    BinaryPackage, BridgeError, Options, WIT_PACKAGE, WitError, WitSources, bridge, constants,
    describe_wit, print_wit,
};
use serde_json::json;

use super::{AbiError, entry, quiet};

/// `hlw_buffer`: bytes that belong to the caller until it frees them.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs, reason = "documented in hlwasm.h")]
pub struct HlwBuffer {
    pub data: *mut u8,
    pub length: usize,
}

impl HlwBuffer {
    const EMPTY: Self = Self {
        data: ptr::null_mut(),
        length: 0,
    };

    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let bytes = Box::leak(bytes.into_boxed_slice());
        Self {
            data: bytes.as_mut_ptr(),
            length: bytes.len(),
        }
    }
}

/// Turns a component, a core module or WAT text into a composed component and its
/// description in JSON.
///
/// # Safety
/// `length` bytes of `input` are readable, `options` is a string, the buffers are
/// writable; any of them may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_bridge(
    input: *const u8,
    length: usize,
    options: *const c_char,
    component: *mut HlwBuffer,
    description: *mut HlwBuffer,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let (component, description) = unsafe { (component.as_mut(), description.as_mut()) };
        let component = component.ok_or(AbiError::Null("component"))?;
        let description = description.ok_or(AbiError::Null("description"))?;
        (*component, *description) = (HlwBuffer::EMPTY, HlwBuffer::EMPTY);
        if input.is_null() {
            return Err(AbiError::Null("input"));
        }
        // SAFETY: as the caller promised.
        let (input, options) = unsafe {
            let options = (!options.is_null()).then(|| CStr::from_ptr(options));
            (slice::from_raw_parts(input, length), options)
        };
        let bridged = bridge(input, &read_options(options)?)?;
        *component = HlwBuffer::new(bridged.component);
        *description = HlwBuffer::new(bridged.description.into_bytes());
        Ok(0)
    })
}

/// Describes a component of a world that is given as WIT. `sources` is JSON, see
/// `component_bridge::WitSources`.
///
/// # Safety
/// `length` bytes of `sources` are readable, the buffer is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_describe_wit(
    sources: *const u8,
    length: usize,
    description: *mut HlwBuffer,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let description = unsafe { description.as_mut() };
        let description = description.ok_or(AbiError::Null("description"))?;
        *description = HlwBuffer::EMPTY;
        if sources.is_null() {
            return Err(AbiError::Null("sources"));
        }
        // SAFETY: as the caller promised.
        let sources = unsafe { slice::from_raw_parts(sources, length) };
        let sources: WitSources = serde_json::from_slice(sources)
            .map_err(|error| AbiError::Argument(format!("sources: {error}")))?;
        *description = HlwBuffer::new(describe_wit(&sources)?.into_bytes());
        Ok(0)
    })
}

/// Turns a WIT package in binary form into text.
///
/// # Safety
/// `length` bytes of `input` are readable, the buffer is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_print_wit(
    input: *const u8,
    length: usize,
    text: *mut HlwBuffer,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let text = unsafe { text.as_mut() }.ok_or(AbiError::Null("text"))?;
        *text = HlwBuffer::EMPTY;
        if input.is_null() {
            return Err(AbiError::Null("input"));
        }
        // SAFETY: as the caller promised.
        let wasm = unsafe { slice::from_raw_parts(input, length) }.to_vec();
        // The caller knows where it is from.
        let path = String::new();
        let printed = print_wit(&BinaryPackage { path, wasm })?;
        *text = HlwBuffer::new(printed.into_bytes());
        Ok(0)
    })
}

/// The item that `hlw_bridge` refuses where it is given a WIT package.
#[unsafe(no_mangle)]
pub extern "C" fn hlw_wit_package_item() -> *const c_char {
    WIT_PACKAGE.as_ptr()
}

/// Finds what a component's code may compare its arguments with, as JSON; see
/// `component_bridge::Constants`.
///
/// # Safety
/// `length` bytes of `input` are readable, the buffer is writable; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_constants(
    input: *const u8,
    length: usize,
    found: *mut HlwBuffer,
) -> i32 {
    entry(|| {
        // SAFETY: valid or null, as the caller promised.
        let found = unsafe { found.as_mut() }.ok_or(AbiError::Null("found"))?;
        *found = HlwBuffer::EMPTY;
        if input.is_null() {
            return Err(AbiError::Null("input"));
        }
        // SAFETY: as the caller promised.
        let input = unsafe { slice::from_raw_parts(input, length) };
        let json = serde_json::to_vec(&constants(input)?)
            .map_err(|error| AbiError::Argument(format!("constants: {error}")))?;
        *found = HlwBuffer::new(json);
        Ok(0)
    })
}

/// Frees what a buffer holds; nothing if it is empty.
///
/// # Safety
/// The buffer came from this library and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hlw_buffer_free(buffer: HlwBuffer) {
    quiet((), || {
        if !buffer.data.is_null() {
            let bytes = ptr::slice_from_raw_parts_mut(buffer.data, buffer.length);
            // SAFETY: made by `HlwBuffer::new` from such a box.
            drop(unsafe { Box::from_raw(bytes) });
        }
        Some(())
    });
}

fn read_options(json: Option<&CStr>) -> Result<Options, AbiError> {
    let json = json.unwrap_or_default().to_string_lossy();
    Options::from_json(&json).map_err(|error| AbiError::Argument(error.to_string()))
}

impl From<BridgeError> for AbiError {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Malformed(message) => Self::Input(message),
            BridgeError::Unsupported { item, message } => Self::Unsupported { item, message },
        }
    }
}

impl From<WitError> for AbiError {
    fn from(error: WitError) -> Self {
        match error {
            WitError::World(error) => error.into(),
            WitError::File { message, path } => {
                let mut report = json!({ "message": message });
                if !path.is_empty() {
                    report["path"] = path.into();
                }
                Self::Input(report.to_string())
            }
            WitError::Source { message, place } => {
                let mut report = json!({ "message": message });
                if let Some(place) = place {
                    report["path"] = place.path.into();
                    report["line"] = place.line.into();
                    report["column"] = place.column.into();
                    report["width"] = place.width.into();
                    report["source"] = place.source.into();
                }
                Self::Input(report.to_string())
            }
        }
    }
}
