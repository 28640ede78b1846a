"""Coverage is counted exactly."""

from __future__ import annotations

from hlwasm.testing.fuzzing.coverage import Coverage, FunctionCoverage
from hlwasm.testing.scripts.data import Case
from hlwasm.wit.model import Description
from tests.unit.codec.worlds import World


def world() -> Description:
    world = World()
    color = world.enum("color", "red", "green")
    shape = world.variant("shape", {"dot": None, "disc": color})
    item = world.record("item", shape=shape, ready="bool")
    error = world.flags("problem", "late", "lost")
    world.function(
        "draw", {"items": world.list(item), "size": world.option("u32")}, world.result(color, error)
    )
    world.function("plain", {"text": "string", "bytes": world.list("u8")}, "f64")
    return world.description()


POINTS = [
    "items[].shape: dot",
    "items[].shape: disc",
    "items[].shape: disc(red)",
    "items[].shape: disc(green)",
    "items[].ready: false",
    "items[].ready: true",
    "size: none",
    "size: some",
    "result: ok",
    "result: ok(red)",
    "result: ok(green)",
    "result: err",
    "result: err({late})",
    "result: err({lost})",
]


def of(coverage: Coverage, name: str) -> FunctionCoverage:
    return next(each for each in coverage.functions if each.name == name)


def test_all_that_can_be_reached_is_known_from_the_start() -> None:
    coverage = Coverage(world().exports)
    assert [each.name for each in coverage.functions] == ["ops.draw", "ops.plain"]
    draw = of(coverage, "ops.draw")
    assert list(draw.points) == POINTS
    assert (draw.calls, draw.reached) == (0, 0)
    assert draw.missed == POINTS
    assert of(coverage, "ops.plain").points == {}


def test_what_is_seen_is_marked_and_nothing_else() -> None:
    description = world()
    coverage = Coverage(description.exports)
    draw, plain = description.exports
    items = [
        {"shape": Case("dot"), "ready": True},
        {"shape": Case("disc", Case("green")), "ready": True},
    ]
    coverage.called(draw, "export", (items, Case("none")), Case("err", frozenset(["lost"])))
    coverage.called(plain, "export", ("x", b"12"), 1.0)
    found = of(coverage, "ops.draw")
    seen = [point for point, is_seen in found.points.items() if is_seen]
    assert seen == [
        "items[].shape: dot",
        "items[].shape: disc",
        "items[].shape: disc(green)",
        "items[].ready: true",
        "size: none",
        "result: err",
        "result: err({lost})",
    ]
    assert (found.calls, found.reached, len(found.missed)) == (1, 7, 7)
    assert of(coverage, "ops.plain").calls == 1


def test_imports_are_counted_when_they_are_called() -> None:
    description = world()
    coverage = Coverage(description.exports)
    draw = description.imports[0]
    coverage.called(draw, "import", ([], Case("some", 1)), Case("ok", Case("red")))
    found = [each for each in coverage.functions if each.side == "import"]
    assert [(each.name, each.calls, each.reached) for each in found] == [("ops.draw", 1, 3)]


def test_functions_that_nobody_asked_for_are_not_counted() -> None:
    description = world()
    draw, plain = description.exports
    coverage = Coverage([plain])
    coverage.called(draw, "export", ([], Case("none")), Case("ok", Case("red")))
    assert [each.name for each in coverage.functions] == ["ops.plain"]


def test_a_type_that_stands_for_thousands_of_points_is_cut() -> None:
    hostile = World()
    type_: int | str = "bool"
    for _ in range(12):
        type_ = hostile.tuple(type_, type_)
    hostile.function("huge", {"it": type_})
    (found,) = Coverage(hostile.description().exports).functions
    assert found.cut
    assert len(found.points) == 2000
