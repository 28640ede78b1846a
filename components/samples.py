"""The table of samples: how each one is built, and with what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        line: shell line, run in ``components/``; it writes ``build/<name>.wasm``.
        sources: folders and files below ``components/`` that the result depends on.
        tools: names known to ``toolchain/tools.py``.
    """

    line: str
    sources: tuple[str, ...]
    tools: tuple[str, ...]


def wat(name: str) -> Sample:
    """A component written as WebAssembly text."""
    return Sample(
        line=f"python toolchain/wat.py {name}/{name}.wat build/{name}.wasm",
        sources=(name, "toolchain/wat.py"),
        tools=("wasmtime",),
    )


def componentize_py(name: str, world: str) -> Sample:
    """A Python program, packed together with CPython."""
    return Sample(
        line=(
            f"componentize-py -d {name}/wit -w {world} componentize -p {name} app"
            f" -o build/{name}.wasm"
        ),
        sources=(name,),
        tools=("componentize-py",),
    )


SAMPLES = {
    "calculator": wat("calculator"),
    "traps": wat("traps"),
    "inventory_py": componentize_py("inventory_py", "inventory"),
}
