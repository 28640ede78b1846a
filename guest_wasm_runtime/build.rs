//! Links the guest by `image.ld`, and again when that changes.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=image.ld");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/image.ld");
    println!("cargo::rustc-link-arg-bins=-T{script}");
}
