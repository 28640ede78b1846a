"""Builds the native half and puts it into the package.

Three files appear in ``hlwasm/native``: the shared library, the cffi bindings made
from the C header, and the constants shared with the guest. Run by the wheel build
(``build_hook.py``) and by the Makefile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hlwasm" / "native"
LIBRARY = PACKAGE / "libnative_vmm.so"
BINDINGS = PACKAGE / "_bindings.py"
CONSTANTS = PACKAGE / "_abi.py"
OUTPUTS = (LIBRARY, BINDINGS, CONSTANTS)


def build_library(target: Path) -> Path:
    """Runs cargo and returns the shared library that it made."""
    command = ["cargo", "build", "--release", "--locked", "-p", "native_vmm"]
    command += ["--manifest-path", str(ROOT / "Cargo.toml"), "--target-dir", str(target)]
    try:
        subprocess.run(command, cwd=ROOT, check=True)
    except FileNotFoundError:
        sys.exit("cargo is missing: install Rust 1.95 or later (rustup, or your distribution)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"cargo failed with exit code {error.returncode}; its messages are above")
    return target / "release" / "libnative_vmm.so"


def write_if_changed(path: Path, text: str) -> None:
    """Leaves the file alone where nothing changed, so that time stamps mean something."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(target: Path = ROOT / "target") -> None:
    """Builds everything."""
    built = build_library(target)
    # A new file, not a rewrite: a process that has the old library mapped keeps it.
    staged = LIBRARY.with_suffix(".new")
    shutil.copy2(built, staged)
    staged.replace(LIBRARY)

    ffi = cffi.FFI()
    ffi.set_source("hlwasm.native._bindings", None)
    ffi.cdef((ROOT / "native_vmm" / "hlwasm.h").read_text())
    ffi.emit_python_code(str(BINDINGS))

    library = ffi.dlopen(str(LIBRARY))
    write_if_changed(CONSTANTS, ffi.string(library.hlw_abi_constants()).decode())


if __name__ == "__main__":
    main()
