"""The toolchains that the samples need: are they here, which version, how to install them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE_PROGRAMS = HERE / "node_modules" / ".bin"

# Those that come with `pip install --group components` (wasmtime: with hlwasm itself).
PYTHON_PACKAGES = frozenset({"wasmtime", "componentize-py", "ziglang"})


class ToolMissing(Exception):
    """This machine lacks a toolchain; the message says which and how to get it."""


def version(tool: str) -> str:
    """The version that would be used.

    Raises:
        ToolMissing: it is not installed and cannot be.
    """
    if tool in PYTHON_PACKAGES:
        try:
            return importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            raise ToolMissing(
                f"{tool} is not installed (python -m pip install --group components)"
            ) from None
    raise KeyError(tool)


def install(tool: str) -> None:
    """Installs what :func:`version` found missing but installable; others need nothing."""
