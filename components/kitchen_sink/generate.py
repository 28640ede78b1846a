"""Writes the kitchen sink: ``python -m kitchen_sink.generate WIT_DIRECTORY [PROGRAM]``.

The types are in ``catalogue.py``. The WIT is kept in the repository, for reading; the
program, a core module (``.wasm``) or C (``.c``), is made when the component is built.
"""

from __future__ import annotations

import sys
from pathlib import Path

import wasmtime

from . import c_text, core_text, wit_text

HERE = Path(__file__).resolve().parent


def main(wit: str, program: str | None = None) -> None:
    for name, text in wit_text.files().items():
        path = Path(wit, name)
        # Left alone where it is right: another build of the kitchen sink may be reading it.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if program is not None and program.endswith(".c"):
        Path(program).write_text(c_text.program(), encoding="utf-8")
    elif program is not None:
        fixed = (HERE / "fixed.wat").read_text(encoding="utf-8")
        Path(program).write_bytes(wasmtime.wat2wasm(core_text.module(fixed)))


if __name__ == "__main__":
    main(*sys.argv[1:])
