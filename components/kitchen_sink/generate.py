"""Writes the kitchen sink: ``python -m kitchen_sink.generate WIT_DIRECTORY [CORE_WASM]``.

The types are in ``catalogue.py``. The WIT is kept in the repository, for reading; the core
module is made when the component is built.
"""

from __future__ import annotations

import sys
from pathlib import Path

import wasmtime

from . import core_text, wit_text

HERE = Path(__file__).resolve().parent


def main(wit: str, core: str | None = None) -> None:
    for name, text in wit_text.files().items():
        path = Path(wit, name)
        # Left alone where it is right: the other build of the kitchen sink may be reading it.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if core is not None:
        fixed = (HERE / "fixed.wat").read_text(encoding="utf-8")
        Path(core).write_bytes(wasmtime.wat2wasm(core_text.module(fixed)))


if __name__ == "__main__":
    main(*sys.argv[1:])
