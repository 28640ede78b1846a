//! Links the guest by `image.ld`, and again when that changes.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=image.ld");
    println!("cargo::rerun-if-changed=hot_functions.ld");
    let folder = env!("CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-arg-bins=-T{folder}/image.ld");
    // Where the script finds what it includes.
    println!("cargo::rustc-link-arg-bins=-L{folder}");
}
