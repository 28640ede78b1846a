"""The toolchains that the samples need: are they here, which version, how to install them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
from pathlib import Path

from . import rust_wasm

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE / "node_modules"
NODE_PROGRAMS = NODE_MODULES / ".bin"

# Those that come with `pip install --group components` (wasmtime: with hlwasm itself).
PYTHON_PACKAGES = ("wasmtime", "componentize-py", "ziglang")
#: npm packages of package.json, cargo for this machine, cargo for wasm32.
OTHERS = ("node", "cargo", "rust-wasm")
ALL = (*PYTHON_PACKAGES, *OTHERS)


class ToolMissing(Exception):
    """This machine lacks a toolchain; the message says which and how to get it."""


def version(tool: str) -> str:
    """What would be used.

    Raises:
        ToolMissing: it is not there, and :func:`install` could not put it there.
        KeyError: there is no tool of this name.
    """
    if tool in PYTHON_PACKAGES:
        try:
            return importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            raise ToolMissing(
                f"{tool} is not installed (python -m pip install --group components)"
            ) from None
    if tool == "node":
        if shutil.which("npm") is None:
            raise ToolMissing("npm is missing (install Node.js 18 or later)")
        return locked_node_packages()
    if tool == "cargo":
        return output_of("cargo", "--version")
    if tool == "rust-wasm":
        output_of("cargo", "--version")
        if rust_wasm.has_target():
            return output_of("rustc", "--version")
        if shutil.which("apt-get") is None:
            raise ToolMissing(
                "Rust has no target wasm32-unknown-unknown"
                " (rustup target add wasm32-unknown-unknown)"
            )
        return "Debian's rust-web packages"
    raise KeyError(tool)


def install(tool: str) -> None:
    """Puts a tool there that :func:`version` promised, unless it is there.

    Raises:
        ToolMissing: its packages cannot be had.
    """
    if tool == "node":
        stamp = NODE_MODULES / ".lock-hash"
        if stamp.exists() and stamp.read_text() == locked_node_packages():
            return
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        if done.returncode != 0:
            raise ToolMissing(f"npm ci failed:\n{done.stderr}")
        stamp.write_text(locked_node_packages())
    elif tool == "rust-wasm" and not rust_wasm.has_target():
        try:
            rust_wasm.fetch()
        except subprocess.CalledProcessError as error:
            raise ToolMissing(f"Debian's rust-web packages: {error}\n{error.stderr}") from error


def locked_node_packages() -> str:
    """Stands for the versions of all npm packages."""
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()


def output_of(*command: str) -> str:
    """What a program prints about itself."""
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolMissing(f"{command[0]} does not work: {error}") from error
    return done.stdout.strip()


def summary() -> str:
    """The versions of all tools in one line, for reports."""
    found = []
    for tool in ALL:
        try:
            text = version(tool)
        except ToolMissing:
            text = "missing"
        if tool == "node" and text != "missing":
            text = output_of("node", "--version")
        found.append(f"{tool} {text.removeprefix(tool).strip()}")
    return ", ".join(found)
