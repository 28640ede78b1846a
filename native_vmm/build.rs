//! Builds the guest runtime and hands its ELF file to `src/embedded_guest.rs`.
//!
//! The guest needs compiler flags, a lock file and a patched dependency of its own, so it
//! is built by a cargo of its own, in whose environment nothing of this build is left.

use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PACKAGE: &str = "guest_wasm_runtime";

/// What goes into the guest, from the root of the workspace.
const SOURCES: [&str; 10] = [
    "guest_wasm_runtime/.cargo",
    "guest_wasm_runtime/Cargo.lock",
    "guest_wasm_runtime/Cargo.toml",
    "guest_wasm_runtime/build.rs",
    "guest_wasm_runtime/hot_functions.ld",
    "guest_wasm_runtime/image.ld",
    "guest_wasm_runtime/src",
    "guest_wasm_runtime/stubs",
    "host_guest_abi/Cargo.toml",
    "host_guest_abi/src",
];

/// Variables of cargo that say where things are, not how to build.
const KEPT: [&str; 5] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
];

/// Other variables that change what a compiler makes.
const REMOVED: [&str; 8] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "RUSTC_LINKER",
    "TARGET",
    "MAKEFLAGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest.parent().ok_or("the crate has no parent folder")?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let built = build(&root.join(PACKAGE))?;
    // A copy, so that nobody rebuilds the guest under a running compiler.
    let image = PathBuf::from(variable("OUT_DIR")?).join("guest_wasm_runtime.elf");
    fs::copy(&built, &image)?;
    println!("cargo::rustc-env=HLWASM_GUEST_IMAGE={}", image.display());
    Ok(())
}

/// Builds the guest in its folder and returns its ELF file.
fn build(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = folder.join("target");
    let mut command = Command::new(variable("CARGO")?);
    command.args([
        "build",
        "--release",
        "--locked",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    // The folder decides about the guest's own `.cargo/config.toml`.
    command.arg(&target).current_dir(folder);
    for (name, _) in env::vars_os().filter(|(name, _)| is_foreign(name)) {
        command.env_remove(name);
    }
    let output = command.output()?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the guest runtime does not build:\n{messages}").into());
    }
    Ok(target.join(TARGET).join("release").join(PACKAGE))
}

/// Whether a variable would carry settings of this build into that of the guest.
fn is_foreign(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let of_cargo = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    of_cargo || REMOVED.contains(&name)
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
