"""Generated packages: the golden one, its properties, and worlds made to break it."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hlwasm.bindgen.files import differences
from hlwasm.bindgen.package import MARK, generate
from hlwasm.errors import ArtifactError
from hlwasm.wit.model import Description
from hlwasm.wit.sources import parse_wit
from tests.unit.bindgen import golden
from tests.unit.bindgen.golden import drawing, shapes
from tests.unit.bindgen.regenerate import GOLDEN, generated

from .importing import import_package
from .worlds import BOTH_SIDES, KEYWORDS, OWN_NAMES, SEVERAL_OPS, WITH_WASI, WORLDS


def package_of(wit: str, name: str, folder: Path, **options: bool) -> ModuleType:
    """Generates a package for WIT text and imports it."""
    return import_package(generate(parse_wit(wit), **options), name, folder)


def test_the_golden_package_is_up_to_date() -> None:
    assert differences(generated(), GOLDEN) == [], "python -m tests.unit.bindgen.regenerate"


def test_output_is_the_same_each_time_and_knows_no_place_or_time() -> None:
    first, second = generated(), generated()
    assert first == second
    for name, text in first.items():
        assert text.startswith(MARK + "\n")
        assert text.endswith("\n")
        assert "\t" not in text
        assert str(Path.home()) not in text and str(GOLDEN.parent) not in text, name
        assert not any(line != line.rstrip() for line in text.split("\n"))


def test_formatters_would_leave_it_as_it_is(tmp_path: Path) -> None:
    files = generate(parse_wit((GOLDEN.parent / "plugin.wit").read_text()))
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("# fmt: off\n", ""))
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def test_generated_classes_are_what_hlwasm_would_make() -> None:
    """The same bases, fields, members and names of cases as those made at run time."""
    description = parse_wit((GOLDEN.parent / "plugin.wit").read_text())
    seen = 0
    for index in range(len(description.types)):
        if not description.has_python_type(index):
            continue
        seen += 1
        made = description.python_type(index)
        declared = getattr(shapes, made.__name__, None) or getattr(drawing, made.__name__)
        assert declared.__bases__ == made.__bases__
        assert declared.__wit_name__ == made.__wit_name__
        assert getattr(declared, "__match_args__", None) == getattr(made, "__match_args__", None)
        assert getattr(declared, "__slots__", None) == getattr(made, "__slots__", None)
        if hasattr(made, "__members__"):
            assert {k: v.value for k, v in made.__members__.items()} == {
                k: v.value for k, v in declared.__members__.items()
            }
        cases = {name for name, each in vars(made).items() if hasattr(each, "wit_case")}
        for name in cases:
            assert getattr(declared, name).wit_case == getattr(made, name).wit_case
            assert getattr(declared, name).__qualname__ == getattr(made, name).__qualname__
    assert seen == 5


SHAPES: list[shapes.Shape] = [
    shapes.Shape.Polygon([shapes.Point(1.0, 2.0)]),
    shapes.Shape.Circle(2.0),
    shapes.Shape.Dot(),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_plain_python_objects(shape: shapes.Shape) -> None:
    assert isinstance(shape, shapes.Shape)
    match shape:
        case shapes.Shape.Circle(radius):
            assert (shape, radius) == (SHAPES[1], 2.0)
        case shapes.Shape.Polygon([shapes.Point(x, y)]):
            assert (shape, x, y) == (SHAPES[0], 1.0, 2.0)
            assert repr(shape) == "Shape.Polygon(value=[Point(x=1.0, y=2.0)])"
        case _:
            assert shape == SHAPES[2]
    assert pickle.loads(pickle.dumps(shape)) == shape == copy.deepcopy(shape)
    assert not hasattr(shape, "__dict__")


def test_enums_flags_and_names_of_other_interfaces() -> None:
    for value in (shapes.Color.DARK_BLUE, shapes.Styles.BOLD):
        assert pickle.loads(pickle.dumps(value)) == value
    assert drawing.Paint is shapes.Color


def test_documentation_is_there_for_help() -> None:
    assert shapes.__doc__ is not None and "Shapes, and what can be wrong" in shapes.__doc__
    assert shapes.Point.__doc__ is not None
    assert shapes.Point.__doc__.startswith("A place on the page.")
    assert shapes.Shape.Circle.__doc__ == "Its radius."
    assert drawing.Exports.all.__doc__ is not None
    assert "Every canvas that there is." in drawing.Exports.all.__doc__
    assert golden.load.__doc__ is not None


# Names


@pytest.mark.parametrize("asynchronous", [False, True])
def test_keywords_and_builtins_as_names(tmp_path: Path, asynchronous: bool) -> None:
    package = package_of(KEYWORDS, "keywords", tmp_path, asynchronous=asynchronous)
    module = package.class_
    record = module.Import(1, True, b"", "", [1], True, (1, ""), 1.0, b"", None)
    assert (record.from_, record.class_, record.none) == (1, True, None)
    assert module.None_.True_(3).value == 3
    assert module.None_.WitCase.wit_case == "wit-case"
    assert [each.value for each in module.False_] == ["true", "name", "value"]
    assert module.Async.YIELD.value == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_names_that_the_package_wants_itself(tmp_path: Path, asynchronous: bool) -> None:
    package = package_of(OWN_NAMES, "own_names", tmp_path, asynchronous=asynchronous)
    assert callable(package.load) and callable(package.exports_of)
    assert package.load_.Exports.A.value == "a"
    assert package.load_.Exports_.f.__doc__
    assert package.Component.B.value == "b"
    assert package.Imports_.__doc__


def test_two_versions_and_two_packages_of_one_name(tmp_path: Path) -> None:
    files = generate(parse_wit(SEVERAL_OPS))
    assert set(files) == {
        "__init__.py", "_structure.py", "c_ops.py", "ops_1_0_0.py", "ops_2_0_0.py",
    }  # fmt: skip
    package = import_package(files, "several_ops", tmp_path)
    assert package.Exports.c_ops and package.Exports.ops_2_0_0


def test_a_resource_that_both_sides_implement(tmp_path: Path) -> None:
    text = generate(parse_wit(BOTH_SIDES))["things.py"]
    package = package_of(BOTH_SIDES, "both_sides", tmp_path)
    things = package.things
    assert things.HostThing is not things.Thing
    assert "def pair(self, left: _HostThing" not in text
    assert "def pair(self, left: HostThing, right: HostThing, /) -> HostThing:" in text
    assert "def pair(self, left: _Thing, right: _Thing) -> _Thing:" in text


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_packages_can_be_imported(name: str, asynchronous: bool, tmp_path: Path) -> None:
    package = package_of(WORLDS[name], name, tmp_path, asynchronous=asynchronous, wasi=True)
    assert package.load.__doc__
    assert hasattr(package, "async_exports_of") == asynchronous


# What hlwasm serves


def test_wasi_is_left_out_unless_it_is_asked_for_or_needed(tmp_path: Path) -> None:
    plain = generate(parse_wit(WITH_WASI))
    assert set(plain) == {"__init__.py", "_structure.py", "clock.py", "wasi_wall_clock.py"}
    assert "class Imports" not in plain["wasi_wall_clock.py"]
    assert "p: _typing.Any, /" in plain["clock.py"]
    asked = generate(parse_wit(WITH_WASI), wasi=True)
    assert set(asked) - set(plain) == {"wasi_poll.py"}
    assert "class Imports" in asked["wasi_wall_clock.py"]
    # They stay optional.
    assert "wasi_poll(self)" not in asked["__init__.py"]
    package = import_package(asked, "with_wasi", tmp_path)
    assert package.wasi_wall_clock.Datetime(3).seconds == 3


# Hostile worlds


def docs_everywhere(docs: str) -> Description:
    """A world whose documentation is ``docs`` at each place that has some."""
    import hlwasm.wit.model as model

    d = docs
    interface = "a:b/c@1.0.0"
    types: list[model.AnyType] = [
        model.Record(0, "r", interface, d, (model.Field("f", "u8", d),)),
        model.Variant(1, "v", interface, d, (model.Case("x", None, d), model.Case("y", 0, d))),
        model.Enum(2, "e", interface, d, (model.Label("m", d),)),
        model.Flags(3, "l", interface, d, (model.Label("n", d),)),
        model.Resource(4, "s", interface, d, "guest"),
        model.Own(5, None, None, None, 4),
        model.Resource(6, "h", interface, d, "host"),
    ]

    def function(index: int, name: str, kind: str, resource: int | None) -> model.Function:
        return model.Function(
            index, interface, name, kind, resource, None,  # type: ignore[arg-type]
            (), None, 0, 1, 0, 0, d,
        )  # fmt: skip

    names = {each.name: each.index for each in types if each.name}
    return Description(
        source_kind="component",
        wit="",
        world=d,
        import_pages=0,
        export_pages=0,
        memories=(),
        call_count=0,
        types=types,
        interfaces=(
            model.Interface(interface, "export", names, d),
            model.Interface(interface, "import", {}, d),
        ),
        world_types={},
        imports=(function(0, "f", "function", None), function(1, "[static]h.z", "static", 6)),
        exports=(
            function(0, "f", "function", None),
            function(1, "[static]s.x", "static", 4),
            function(2, "[constructor]s", "constructor", 4),
        ),
        resource_drops=(),
        resource_destructors=(),
        skipped=(),
    )


@pytest.mark.parametrize(
    "docs",
    [
        '"""\nimport os; os.abort()\n"""',
        "back\\slash at the end\\",
        'quote at the end"',
        '\\"""\n\\',
        "line\rone\x0ctwo\x85three\u2028four",
        "\u202e reversed \u2066",
        "\ud83d lone surrogate",
        "\x00nul",
        "'''",
        "{x!r} %s",
    ],
)
def test_documentation_stays_documentation(docs: str, tmp_path: Path) -> None:
    plain = generate(docs_everywhere("A sentence."), asynchronous=True)
    hostile = generate(docs_everywhere(docs), asynchronous=True)
    assert set(plain) == set(hostile)
    for name, text in hostile.items():
        assert all(c.isprintable() or c == "\n" for c in text)
        assert skeleton(text) == skeleton(plain[name])
    import_package(hostile, "hostile_docs", tmp_path)


def skeleton(source: str) -> str:
    """The program without its strings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def renamed(old: str, new: str) -> Description:
    """The world of the golden package with one name replaced, as a forged artifact may have."""
    import json

    from hlwasm.native.library import describe_wit

    text = describe_wit("x", [("x", (GOLDEN.parent / "plugin.wit").read_text())], [], None)
    raw = json.dumps(json.loads(text))
    assert json.dumps(old) in raw
    return Description.from_json(raw.replace(json.dumps(old), json.dumps(new)))


@pytest.mark.parametrize(
    "old",
    ["point", "x", "dark-blue", "bold", "circle", "canvas", "[method]canvas.draw", "width",
     "demo:plugin/shapes@1.2.0", "all"],
)  # fmt: skip
@pytest.mark.parametrize("new", ["a\nimport os", "x = 1; zzz", "(", "__init__", "", "é", "a.b"])
def test_names_that_are_none_make_no_code(old: str, new: str, tmp_path: Path) -> None:
    """Either they are refused, or what comes out has nothing of theirs in it but literals."""
    try:
        files = generate(renamed(old, new))
    except ArtifactError:
        return
    for text in files.values():
        names = {
            getattr(node, "name", None) or getattr(node, "id", None) or getattr(node, "arg", None)
            for node in ast.walk(ast.parse(text))
        }
        assert not names & {"os", "zzz", "import os"}
        imported = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import)]
        assert {a.name for n in imported for a in n.names} <= {
            "abc", "builtins", "dataclasses", "typing", "hlwasm",
        }  # fmt: skip


def test_types_that_nest_deeper_than_python_can_write() -> None:
    import hlwasm.wit.model as model

    lists: list[model.AnyType] = [model.List(0, None, None, None, "string")]
    lists += [model.List(i, None, None, None, i - 1) for i in range(1, 300)]
    function = model.Function(
        0, None, "f", "function", None, None,
        (model.Param("p", 299),), 299, 0, 1, 0, 0, None,
    )  # fmt: skip
    changes = {"types": lists, "imports": (), "exports": (function,), "interfaces": ()}
    text = generate(Description(**{**docs_everywhere("").as_dict(), **changes}))["__init__.py"]
    assert "_typing.Any" in text


def test_types_that_nest_without_end_are_refused() -> None:
    import hlwasm.wit.model as model

    pairs: list[model.AnyType] = [model.Tuple(0, None, None, None, ("u8", "u8"))]
    pairs += [model.Tuple(i, None, None, None, (i - 1, i - 1)) for i in range(1, 100)]
    description = docs_everywhere("")
    function = model.Function(
        9, None, "f", "function", None, None,
        (model.Param("p", 99),), None, 0, 1, 0, 0, None,
    )  # fmt: skip
    changes = {"types": pairs, "imports": (), "exports": (function,), "interfaces": ()}
    bomb = Description(**{**description.as_dict(), **changes})
    with pytest.raises(ArtifactError, match="too deeply"):
        generate(bomb)
