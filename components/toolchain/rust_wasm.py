"""Builds a Rust crate for wasm32: ``python toolchain/rust_wasm.py CRATE OUTPUT``.

With ``rustup target add wasm32-unknown-unknown`` this is plain ``cargo build``. Where
that target cannot be had, Debian's ``rust-web`` packages serve: a compiler and the
sources of its standard library, unpacked below ``components/build`` without installing
anything, from which cargo builds the library too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TARGET = "wasm32-unknown-unknown"
BUILD = Path(__file__).resolve().parent.parent / "build"
DEBIAN = BUILD / "rust-web"
# The compiler with its libraries, the standard library for build scripts, its sources.
PACKAGES = ("rustc-web", "libstd-rust-web-dev", "rust-web-src")
# What is needed of them; the sources alone unpack to 350 MB.
WANTED = ("./usr/bin/rustc", "./usr/lib/*", "./usr/src/*/library/*")


def has_target() -> bool:
    """Does the installed Rust have a standard library for wasm32?"""
    if shutil.which("rustc") is None:
        return False
    command = ["rustc", "--print", "target-libdir", "--target", TARGET]
    done = subprocess.run(command, cwd=BUILD.parent, capture_output=True, text=True)
    return done.returncode == 0 and Path(done.stdout.strip()).is_dir()


def fetch() -> None:
    """Downloads and unpacks Debian's packages, unless that is done.

    Raises:
        subprocess.CalledProcessError: apt does not have them.
    """
    done = DEBIAN / "done"
    if done.exists():
        return
    shutil.rmtree(DEBIAN, ignore_errors=True)
    (DEBIAN / "usr").mkdir(parents=True)
    try:
        packages = with_libraries()
    except subprocess.CalledProcessError:
        # A new machine has no package lists yet.
        apt("update")
        packages = with_libraries()
    apt("download", *packages)
    for package in DEBIAN.glob("*.deb"):
        unpack = f"dpkg-deb --fsys-tarfile {package.name} | tar -x --wildcards " + " ".join(
            f"'{pattern}'" for pattern in WANTED
        )
        # tar complains of patterns that a package does not have.
        subprocess.run(unpack, shell=True, cwd=DEBIAN, stderr=subprocess.DEVNULL)
        package.unlink()
    done.touch()


def with_libraries() -> list[str]:
    """The packages and the versions of the libraries that they depend on."""
    shown = apt("show", *PACKAGES, program="apt-cache", extra=("--no-all-versions",))
    wanted = list(PACKAGES)
    for line in shown.splitlines():
        if line.startswith(("Depends:", "Pre-Depends:")):
            wanted += [name for name in names_in(line) if name.startswith("libstd-rust-web-1")]
    libraries = apt("show", *wanted, program="apt-cache", extra=("--no-all-versions",))
    for line in libraries.splitlines():
        if line.startswith("Depends:"):
            wanted += [name for name in names_in(line) if name.startswith("libllvm")]
    return sorted(set(wanted))


def names_in(depends: str) -> list[str]:
    """Package names of a line such as ``Depends: a (>= 1), b``."""
    return [part.split()[0] for part in depends.partition(":")[2].split(",")]


def apt(*arguments: str, program: str = "apt-get", extra: tuple[str, ...] = ()) -> str:
    """Runs apt in the folder where downloads go."""
    command = [program, *extra, *arguments]
    done = subprocess.run(command, cwd=DEBIAN, capture_output=True, text=True, check=True)
    return done.stdout


def script(path: Path, body: str) -> Path:
    """Writes a shell script; rustc and cargo want single programs."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def main(crate: str, output: str) -> None:
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target", TARGET]
    target = BUILD / "cargo" / crate
    command += ["--manifest-path", f"{crate}/Cargo.toml", "--target-dir", str(target)]
    environment = dict(os.environ)
    if not has_target():
        fetch()
        # Without features: backtraces on wasm32 would be empty, and take as long to build.
        command += ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]
        compiler = script(
            DEBIAN / "rustc",
            f'export LD_LIBRARY_PATH="$(echo "{DEBIAN}"/usr/lib/*-linux-gnu)"\n'
            f'exec "{DEBIAN}/usr/bin/rustc" "$@"',
        )
        # The first two arguments say which linker is meant.
        linker = script(
            DEBIAN / "wasm-ld", f'shift 2\nexec "{sys.executable}" -m ziglang wasm-ld "$@"'
        )
        environment |= {
            "RUSTC": str(compiler),
            # The compiler is a stable one; only nightly ones build their library unasked.
            "RUSTC_BOOTSTRAP": "1",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(linker),
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS": "-Clinker-flavor=wasm-ld",
        }
    done = subprocess.run(command, env=environment)
    if done.returncode != 0:
        sys.exit(done.returncode)
    [module] = (target / TARGET / "release").glob("*.wasm")
    shutil.copyfile(module, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
