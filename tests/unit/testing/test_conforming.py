"""Conformance: components are stood for by the worlds that they would be compiled from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlwasm.testing.conforming import conformance
from hlwasm.wit.model import Description
from hlwasm.wit.sources import parse_wit, read_wit
from tests.wit_packages import TEXT, package

TYPES = """
  enum level { low, high }
  record item { id: u32, tags: list<string>, level: level }
  variant shape { dot, disc(f32), named(item) }
"""


def world(tmp_path: Path, body: str, version: str = "1.2.0") -> Description:
    """World ``w`` of a package ``a:b``, of these interfaces and items."""
    file = tmp_path / f"{len(list(tmp_path.iterdir()))}.wit"
    file.write_text(f"package a:b@{version};\n{body}")
    return read_wit(file)


def plain(functions: str) -> str:
    return f"interface i {{ {TYPES} {functions} }} world w {{ export i; }}"


GOOD = "f: func(a: item) -> result<shape, level>; g: func();"


def test_a_component_conforms_to_its_own_world(tmp_path: Path) -> None:
    description = world(tmp_path, plain(GOOD))
    report = conformance(description, description)
    assert report.conforms
    assert str(report) == "conforms to a:b/w@1.2.0"


def test_the_world_may_be_in_binary_form(tmp_path: Path) -> None:
    file = tmp_path / "tools.wasm"
    file.write_bytes(package())
    found = parse_wit(TEXT, "tool")
    assert conformance(found, file, "tool").conforms
    other = parse_wit(TEXT.replace("add: func(of: pair)", "add: func(of: s32)"), "tool")
    (finding,) = conformance(other, file, "tool").problems
    assert finding.name == "demo:tools/ops@1.0.0#add"


@pytest.mark.parametrize(
    ("found", "finding"),
    [
        (
            "f: func(a: item) -> result<shape, level>;",
            "missing export a:b/i@1.2.0#g: the world exports g: func()",
        ),
        (
            "f: func(b: item) -> result<shape, level>; g: func();",
            "different export a:b/i@1.2.0#f: parameters: (b) instead of (a)",
        ),
        (
            "f: func(a: item, b: u8) -> result<shape, level>; g: func();",
            "different export a:b/i@1.2.0#f: parameters: (a, b) instead of (a)",
        ),
        (
            "f: func(a: item) -> result<item, level>; g: func();",
            "different export a:b/i@1.2.0#f: result.ok: item instead of shape",
        ),
        (
            "f: func(a: item) -> result<shape>; g: func();",
            "different export a:b/i@1.2.0#f: result.err: no type instead of level",
        ),
        (
            "f: func(a: item) -> result<shape, level>; g: func() -> u8;",
            "different export a:b/i@1.2.0#g: result: u8 instead of no type",
        ),
    ],
)
def test_functions_that_differ(tmp_path: Path, found: str, finding: str) -> None:
    wanted = world(tmp_path, plain(GOOD))
    report = conformance(world(tmp_path, plain(found)), wanted)
    assert not report.conforms
    assert [str(each) for each in report.findings] == [finding]


@pytest.mark.parametrize(
    ("here", "there", "path"),
    [
        ("id: u32", "id: u64", "parameter a.id: u64 instead of u32"),
        ("tags: list<string>", "tags: list<char>", "parameter a.tags[]: char instead of string"),
        (
            "enum level { low, high }",
            "enum level { high, low }",
            "parameter a.level: enum { high, low } instead of enum { low, high }",
        ),
        (
            "record item { id: u32,",
            "record item { name: string, id: u32,",
            "parameter a: record { name, id, tags, level } instead of record { id, tags, level }",
        ),
        ("disc(f32)", "disc(f64)", "result.ok.disc: f64 instead of f32"),
        ("disc(f32)", "disc", "result.ok.disc: no type instead of f32"),
    ],
)
def test_types_are_compared_to_their_ground(
    tmp_path: Path, here: str, there: str, path: str
) -> None:
    wanted = world(tmp_path, plain(GOOD))
    other = plain(GOOD).replace(here, there)
    assert other != plain(GOOD)
    (finding,) = conformance(world(tmp_path, other), wanted).findings
    assert finding.breaks
    assert finding.message == path


def test_names_of_types_do_not_matter(tmp_path: Path) -> None:
    wanted = world(tmp_path, plain(GOOD))
    other = plain(GOOD).replace("item", "thing").replace("level", "grade")
    # But those of fields.
    other = other.replace("grade: grade", "level: grade")
    assert conformance(world(tmp_path, other), wanted).findings == ()


@pytest.mark.parametrize(
    ("component", "wanted", "conforms"),
    [
        ("1.2.0", "1.0.0", True),
        ("1.0.0", "1.2.0", True),
        ("0.2.3", "0.2.0", True),
        ("0.2.0", "0.3.0", False),
        ("2.0.0", "1.0.0", False),
        ("0.0.1", "0.0.2", False),
    ],
)
def test_versions_on_one_track_stand_for_each_other(
    tmp_path: Path, component: str, wanted: str, conforms: bool
) -> None:
    report = conformance(
        world(tmp_path, plain(GOOD), component), world(tmp_path, plain(GOOD), wanted)
    )
    assert report.conforms is conforms
    if not conforms:
        missing = report.problems[0]
        assert missing.name == f"a:b/i@{wanted}"
        assert f"there is {component}, which cannot stand for it" in missing.message


def test_an_older_version_must_have_what_is_wanted(tmp_path: Path) -> None:
    wanted = world(tmp_path, plain(GOOD), "1.3.0")
    report = conformance(world(tmp_path, plain(GOOD.replace("g: func();", "")), "1.2.0"), wanted)
    assert [str(each) for each in report.findings] == [
        "missing export a:b/i@1.3.0#g: the world exports g: func() (in version 1.2.0)"
    ]


def test_what_is_exported_besides_does_no_harm(tmp_path: Path) -> None:
    wanted = world(tmp_path, plain(GOOD))
    more = plain(GOOD + " h: func(a: u8);").replace("export i;", "export i; export top: func();")
    report = conformance(world(tmp_path, more), wanted)
    assert report.conforms
    assert [str(each) for each in report.findings] == [
        "extra export a:b/i@1.2.0#h: the world does not export h: func(a: u8)",
        "extra export top: the world does not export top: func()",
    ]


INTERFACES = "interface i { f: func(a: u8) -> u8; g: func(); } interface j { k: func(); }"
IMPORTS = f"{INTERFACES} world w {{ import i; import tell: func(); }}"


def test_a_component_need_not_import_what_the_world_offers(tmp_path: Path) -> None:
    found = world(tmp_path, IMPORTS.replace("g: func();", "").replace("import tell: func();", ""))
    assert conformance(found, world(tmp_path, IMPORTS)).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("g: func();", "h: func();", "extra import a:b/i@1.2.0#h: the world has no h: func()"),
        (
            "f: func(a: u8) -> u8",
            "f: func(a: u8) -> u16",
            "different import a:b/i@1.2.0#f: result: u16 instead of u8",
        ),
        ("tell", "say", "extra import say: the world has no say: func()"),
        (
            "import i;",
            "import i; import j;",
            "extra import a:b/j@1.2.0: the world does not import this interface",
        ),
    ],
)
def test_imports_that_the_world_does_not_have(
    tmp_path: Path, old: str, new: str, finding: str
) -> None:
    report = conformance(world(tmp_path, IMPORTS.replace(old, new)), world(tmp_path, IMPORTS))
    assert [str(each) for each in report.problems] == [finding]


def test_resources_are_the_same_by_name(tmp_path: Path) -> None:
    body = "resource r { constructor(a: u8); m: func(b: borrow<r>) -> list<r>; } resource s;"
    wanted = world(tmp_path, f"interface i {{ {body} }} world w {{ export i; }}")
    assert conformance(wanted, wanted).conforms
    other = body.replace("borrow<r>", "borrow<s>")
    found = world(tmp_path, f"interface i {{ {other} }} world w {{ export i; }}")
    (finding,) = conformance(found, wanted).findings
    assert finding.name == "a:b/i@1.2.0#[method]r.m"
    assert finding.message == "parameter b: s instead of r"
