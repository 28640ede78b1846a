"""The WIT files of the samples describe the components that were built of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.build import HERE
from hlwasm.artifact import describe
from hlwasm.wit.model import Description, Function
from hlwasm.wit.sources import read_wit
from hlwasm.wit.type_text import function_text

# Sample, folder, world.
SAMPLES = [
    ("calculator", "calculator", None),
    ("image_filter_rs", "image_filter_rs", None),
    ("inventory_py", "inventory_py", None),
    ("kitchen_sink", "kitchen_sink", "kitchen-sink"),
    ("kitchen_sink_js", "kitchen_sink", "kitchen-sink-interfaces"),
    ("kitchen_sink_py", "kitchen_sink", "kitchen-sink-functions"),
    ("template_js", "template_js", None),
    ("text_stats_c", "text_stats_c", None),
    ("traps", "traps", None),
]


def signatures(functions: tuple[Function, ...]) -> dict[tuple[str | None, str], tuple[object, ...]]:
    return {
        (each.interface, each.name): (
            function_text(each.description, each),
            each.kind,
            each.params_size,
            each.params_align,
            each.result_offset,
            each.end_offset,
        )
        for each in functions
    }


@pytest.mark.parametrize(("sample", "folder", "world"), SAMPLES)
def test_a_sample_has_what_its_wit_says(
    sample: str, folder: str, world: str | None, component_path: Callable[[str], Path]
) -> None:
    text = read_wit(HERE / folder / "wit", world)
    built = Description.from_json(describe(component_path(sample)).description)
    assert signatures(text.exports) == signatures(built.exports)
    assert text.exports
    # A toolchain leaves out imports that its program does not use, and adds WASI's.
    from_text, from_component = signatures(text.imports), signatures(built.imports)
    common = from_text.keys() & from_component.keys()
    assert {key: from_text[key] for key in common} == {key: from_component[key] for key in common}
