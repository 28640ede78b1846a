"""Components linked and called by other versions than they were built against."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink.catalogue import WORLD_FUNCTIONS
from tests.integration.conftest import Load, Start
from tests.integration.kitchen_sink_host import Host

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]

RECTANGLE = {"width": 2.0, "height": 3.0, "label": None}


def imports(*versions: str) -> dict[str, Any]:
    """All that the kitchen sink imports; of square feet, one more for each version."""
    host = Host()
    given = {
        f"demo:units/convert@{version}" if version else "demo:units/convert": {
            "square-feet": lambda square_metres, more=more: square_metres + more
        }
        for more, version in enumerate(versions)
    }
    return {
        "values": host.values,
        "things": host.things,
        "twice": host.twice,
        "note": host.note,
        **{name: host.answer(name) for name in WORLD_FUNCTIONS},
        **given,
    }


# The component imports demo:units/convert@1.2.3, and exports demo:shapes/areas in two versions.
@pytest.mark.parametrize(
    ("versions", "taken"),
    [
        (["1.2.3"], 0),
        (["1.0.0"], 0),
        (["2.0.0", "1.0.0"], 1),
        (["1.0.0", "1.9.0", "2.0.0"], 1),
        (["1.9.0", "1.2.3", "1.0.0"], 1),
        (["", "2.0.0"], 0),
        (["2.0.0", "1"], 1),
    ],
)
def test_an_import_is_served_by_the_right_version(
    start: Start, versions: list[str], taken: int
) -> None:
    exports = start("kitchen_sink", imports(*versions)).exports
    assert exports["demo:shapes/areas@0.2.0"].area(RECTANGLE) == 6.0 + taken


def test_exports_of_two_tracks_are_told_apart(start: Start) -> None:
    exports = start("kitchen_sink", imports("1.0.0")).exports
    old, new = exports["demo:shapes/areas@0.1.0"], exports["demo:shapes/areas@0.2.0"]
    assert exports["demo:shapes/areas@0.1.9"] is old
    assert exports["demo:shapes/areas@0.2.4"] is new
    assert old.area({"width": 3, "height": 4}) == 12
    with pytest.raises(KeyError, match=r"no version compatible with it"):
        exports["demo:shapes/areas@0.3.0"]
    with pytest.raises(KeyError, match=r"is ambiguous: demo:shapes/areas@0\.1\.0, demo:shapes"):
        exports["demo:shapes/areas"]


def test_types_are_found_by_compatible_versions(load: Load) -> None:
    types = load("kitchen_sink").types
    assert types["demo:shapes/areas@0.2.7"] is types["demo:shapes/areas@0.2.0"]
    with pytest.raises(KeyError, match="there are no types of"):
        types["demo:shapes/areas@0.3.0"]


def test_clones_and_asynchronous_sandboxes_link_alike(start: Start, load: Load) -> None:
    sandbox = start("kitchen_sink", imports("1.0.0"))
    with sandbox.snapshot().instantiate(imports("2.0.0", "1.9.0")) as clone:
        assert clone.exports["demo:shapes/areas@0.2.1"].area(RECTANGLE) == 7.0
    with pytest.raises(hlwasm.LinkError, match=r"given: @2\.0\.0; compatible: any @1\.x"):
        sandbox.fork(imports("2.0.0"))

    async def ask() -> float:
        given = imports("2.0.0", "1.9.0")
        async with load("kitchen_sink").instantiate_async(given) as other:
            area: float = await other.exports["demo:shapes/areas@0.2.1"].area(RECTANGLE)
            return area

    assert asyncio.run(ask()) == 7.0
