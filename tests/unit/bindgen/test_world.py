"""Components compared with bindings, and bound to them: descriptions only, nothing runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hlwasm.bindgen.package import generate
from hlwasm.bindgen.structure import Structure, compatible_name
from hlwasm.errors import WorldMismatch
from hlwasm.wit.model import Description
from hlwasm.wit.sources import parse_wit

from .golden import drawing, shapes
from .golden._structure import WORLD
from .importing import import_package
from .worlds import SEVERAL_OPS, WITH_WASI

PLUGIN = (Path(__file__).parent / "plugin.wit").read_text()


def problems(wit: str) -> tuple[str, ...]:
    with pytest.raises(WorldMismatch) as caught:
        WORLD.bind(parse_wit(wit), "plugin.wasm")
    assert str(caught.value).startswith("plugin.wasm does not fit the bindings of demo:plugin/")
    return caught.value.problems


def changed(*replacements: tuple[str, str]) -> str:
    text = PLUGIN
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_component_of_the_world_gets_the_classes() -> None:
    description = parse_wit(PLUGIN)
    WORLD.bind(description, "plugin.wasm")
    by_name = {each.name: each.index for each in description.types if each.name}
    assert description.python_type(by_name["point"]) is shapes.Point
    assert description.python_type(by_name["shape"]) is shapes.Shape
    assert description.resource_bases == {by_name["canvas"]: drawing.Canvas}


def test_other_worlds_of_the_same_classes() -> None:
    """Less imported, more exported, another compatible version, other order."""
    WORLD.bind(parse_wit(changed(("    import log: func(message: string);\n", ""))), "x")
    WORLD.bind(
        parse_wit(changed(("    export drawing;", "    export drawing; export store;"))), "x"
    )
    WORLD.bind(parse_wit(changed(("@1.2.0", "@1.9.3"))), "x")
    more = changed(("flags styles { bold, underlined }", ""))
    WORLD.bind(parse_wit(more), "x")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "y: f64", "y: f32",
            "demo:plugin/shapes@1#point: it is record { x: f64, y: f32 }, "
            "expected record { x: f64, y: f64 }",
        ),
        (
            "red, dark-blue", "dark-blue, red",
            "demo:plugin/shapes@1#color: it is enum { dark-blue, red }, "
            "expected enum { red, dark-blue }",
        ),
        (
            "all: func() -> list<borrowed>;", "",
            "demo:plugin/drawing@1#all: the component does not export it",
        ),
        (
            "run: func()", "run: func(page: u8)",
            "run: it is func(page: u8) -> result<_, string>, expected func() -> result<_, string>",
        ),
        (
            "import log: func", "import tell: func",
            "tell: the component imports it, which the bindings do not know",
        ),
        (
            "import log: func(message: string)", "import log: func(message: char)",
            "log: it is func(message: char), expected func(message: string)",
        ),
        (
            "constructor(width: u32, height: u32);", "",
            "demo:plugin/drawing@1#[constructor]canvas: the component does not export it",
        ),
    ],
)  # fmt: skip
def test_a_difference_is_named(old: str, new: str, expected: str) -> None:
    assert problems(changed((old, new))) == (expected,)


def test_all_differences_are_told_but_not_without_end() -> None:
    with pytest.raises(WorldMismatch) as caught:
        WORLD.bind(parse_wit("package a:b; world w { import a: func(); }"), "x.wasm")
    assert len(caught.value.problems) == 7
    many = " ".join(f"import g{i}: func();" for i in range(100))
    with pytest.raises(WorldMismatch, match="… and 86 more"):
        WORLD.bind(parse_wit(f"package a:b; world w {{ {many} }}"), "x.wasm")


def test_another_major_version_is_another_interface() -> None:
    assert "demo:plugin/drawing@1#all: the component does not export it" in problems(
        changed(("@1.2.0", "@2.0.0"))
    )


def test_wasi_is_not_compared(tmp_path: Path) -> None:
    package = import_package(generate(parse_wit(WITH_WASI)), "wasi_world", tmp_path)
    newer = parse_wit(WITH_WASI.replace("0.2.6", "0.2.9"))
    structure: Any = package._structure
    structure.WORLD.bind(newer, "x")
    types = {each.name: each.index for each in newer.types if each.name}
    assert newer.python_type(types["datetime"]) is package.wasi_wall_clock.Datetime


def test_a_description_in_use_cannot_be_bound() -> None:
    description = parse_wit(PLUGIN)
    index = next(each.index for each in description.types if each.name == "point")
    description.python_type(index)
    with pytest.raises(ValueError, match="has a class already"):
        WORLD.bind(description, "x")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demo:calc/ops@1.4.2", "demo:calc/ops@1"),
        ("wasi:io/poll@0.2.9", "wasi:io/poll@0.2"),
        ("a:b/c@0.0.3", "a:b/c@0.0.3"),
        ("a:b/c@2.0.0-rc.1", "a:b/c@2.0.0-rc.1"),
        ("a:b/c", "a:b/c"),
        ("plain", "plain"),
    ],
)
def test_compatible_names(name: str, expected: str) -> None:
    assert compatible_name(name) == expected


def test_compatible_versions_side_by_side_keep_theirs() -> None:
    wit = SEVERAL_OPS.replace("a:b@2.0.0", "a:b@1.1.0").replace("ops@2.0.0", "ops@1.1.0")
    structure = Structure(parse_wit(wit))
    assert structure.interface("a:b/ops@1.1.0") == "a:b/ops@1.1.0"
    assert structure.interface("a:c/ops@1.0.0") == "a:c/ops@1"


# Imports whose short names stand for several interfaces


@pytest.fixture
def several(tmp_path: Path) -> tuple[Any, Description]:
    package = import_package(generate(parse_wit(SEVERAL_OPS)), "several_ops_world", tmp_path)
    structure: Any = package._structure
    return structure.WORLD, parse_wit(SEVERAL_OPS)


def test_interfaces_with_longer_names_are_found(several: tuple[Any, Description]) -> None:
    world, description = several
    host = SimpleNamespace(c_ops=1, ops_1_0_0=2, ops_2_0_0=3)
    assert world.imports_of(description, host) == {
        "a:c/ops@1.0.0": 1, "a:b/ops@1.0.0": 2, "a:b/ops@2.0.0": 3,
    }  # fmt: skip


def test_what_an_object_does_not_have_is_left_for_the_linker(
    several: tuple[Any, Description],
) -> None:
    world, description = several
    assert world.imports_of(description, SimpleNamespace(c_ops=1)) == {"a:c/ops@1.0.0": 1}
    given = {"a:c/ops": object()}
    assert world.imports_of(description, given) is given
    assert world.imports_of(description, None) is None


def test_usual_imports_are_passed_on_as_they_are() -> None:
    host = SimpleNamespace(store=1, log=2)
    assert WORLD.imports_of(parse_wit(PLUGIN), host) is host


def test_an_interface_of_the_users_is_not_taken_for_one_of_wasi(tmp_path: Path) -> None:
    """Both are called `types`: the user's object must not serve WASI's."""
    wit = """package a:b;
    interface types { f: func(); }
    world w { import types; import wasi:filesystem/types@0.2.6; import wasi:io/poll@0.2.6; }
    package wasi:filesystem@0.2.6 { interface types { g: func(); } }
    package wasi:io@0.2.6 { interface poll { g: func(); } }
    """
    package = import_package(generate(parse_wit(wit)), "types_world", tmp_path)
    structure: Any = package._structure
    host = SimpleNamespace(types=1)
    assert structure.WORLD.imports_of(parse_wit(wit), host) == {"a:b/types": 1}
    host.poll = 2
    assert structure.WORLD.imports_of(parse_wit(wit), host) == {
        "a:b/types": 1, "wasi:io/poll@0.2.6": 2,
    }  # fmt: skip
