"""Bindings of the samples, generated and imported anew for each run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.build import BUILD
from hlwasm.artifact import Cache, describe
from hlwasm.bindgen.package import generate
from hlwasm.wit.model import Description
from tests.unit.bindgen.importing import import_package

Bindings = Callable[[str], Any]


@pytest.fixture(scope="session")
def bindings(
    component_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Bindings:
    """The package of a sample, made from its component."""
    folder = tmp_path_factory.mktemp("bindings")
    made: dict[str, Any] = {}

    def bindings(sample: str) -> Any:
        if sample not in made:
            outline = describe(component_path(sample), cache=Cache(BUILD / "artifacts"))
            files = generate(Description.from_json(outline.description), asynchronous=True)
            made[sample] = import_package(files, f"bound_{sample}", folder)
        return made[sample]

    return bindings
