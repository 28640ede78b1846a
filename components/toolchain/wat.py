"""Turns WebAssembly text into binary: ``python toolchain/wat.py input.wat output.wasm``."""

from __future__ import annotations

import sys
from pathlib import Path

import wasmtime


def main(source: str, output: str) -> None:
    Path(output).write_bytes(wasmtime.wat2wasm(Path(source).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(*sys.argv[1:])
