//! Names that belong to the bridges, and the refusal of components that use them.
//!
//! Everything by which the bridges are linked lies in one package, so it cannot meet a
//! name of the user's component, whatever that imports or exports.

use wit_parser::{PackageName, Resolve};

use crate::error::{BridgeError, Result};

/// Interface that the composed component imports.
pub(crate) const HOST: &str = "host";
/// Its only function.
pub(crate) const HOST_CALL: &str = "host-call";
/// Interface that the composed component exports, with `call0`, `call1`, ….
pub(crate) const GUEST: &str = "guest";
/// Interface of the import bridge for items that the world imports outside any interface.
pub(crate) const ROOT: &str = "root";
/// Interface of the import bridge that turns numbers into host resource handles and back.
pub(crate) const HANDLES: &str = "handles";

/// The reserved package.
pub(crate) fn package_name() -> PackageName {
    PackageName {
        namespace: "hlwasm".into(),
        name: "bridge".into(),
        version: None,
    }
}

/// Full name of an interface of the reserved package.
pub(crate) fn interface_name(interface: &str) -> String {
    package_name().interface_id(interface)
}

/// Name of the function of [`GUEST`] that runs guest call `index`.
pub(crate) fn call_name(index: usize) -> String {
    format!("call{index}")
}

/// Refuses a component whose own interface mentions the reserved package.
pub(crate) fn refuse(resolve: &Resolve) -> Result<()> {
    let reserved = package_name();
    for name in resolve.package_names.keys() {
        if name.namespace == reserved.namespace && name.name == reserved.name {
            return Err(BridgeError::unsupported(
                name.to_string(),
                "this package is reserved for the bridges",
            ));
        }
    }
    Ok(())
}
