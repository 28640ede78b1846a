"""WIT text as an input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hlwasm.errors import InvalidWit, LoadError, UnsupportedItem
from hlwasm.wit.excerpt import excerpt
from hlwasm.wit.model import Record
from hlwasm.wit.sources import package_text, parse_wit, read_wit
from tests.wit_packages import TEXT, package


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def refusal(path: Path | str, world: str | None = None) -> InvalidWit:
    with pytest.raises(InvalidWit) as caught:
        read_wit(path, world)
    return caught.value


def test_a_file_is_a_package(tmp_path: Path) -> None:
    text = "package demo:a;\n\nworld w {\n  /// Adds.\n  export add: func(a: s32) -> s32;\n}\n"
    write(tmp_path, {"a.wit": text, "other.wit": "not looked at"})
    for path in (tmp_path / "a.wit", str(tmp_path / "a.wit")):
        description = read_wit(path)
        assert description.world == "demo:a/w"
        assert description.exports[0].docs == "Adds."
        assert "export add: func(a: s32) -> s32;" in description.wit


def test_a_folder_is_a_package_with_dependencies(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "world.wit": "package demo:a; world w { export ops; }",
            "ops.wit": "interface ops { use x:one/i.{t}; use x:two/i.{u}; f: func(t: t) -> u; }",
            "deps/one.wit": "package x:one; interface i { record t { x: u8 } }",
            "deps/two/package.wit": "package x:two;",
            "deps/two/i.wit": "interface i { type u = string; }",
            "deps/.git/HEAD": "no WIT",
            "README.md": "no WIT",
        },
    )
    description = read_wit(tmp_path)
    function = description.exports[0]
    assert (function.interface, function.result) == ("demo:a/ops", "string")
    assert [type(each) for each in description.types] == [Record]


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.wit").write_bytes(b"\xef\xbb\xbfpackage a:b;\r\nworld w {}\r\n")
    assert read_wit(tmp_path / "a.wit").world == "a:b/w"


def test_an_error_shows_file_line_and_place(tmp_path: Path) -> None:
    write(tmp_path, {"a.wit": "package a:b;\nworld w {\n\texport f: func(x: foo);\n}\n"})
    error = refusal(tmp_path)
    path = str(tmp_path / "a.wit")
    assert (error.path, error.line, error.column) == (path, 3, 20)
    assert error.problem == "name `foo` does not exist"
    assert str(error).splitlines() == [
        f"{path}:3:20: {error.problem}",
        "   export f: func(x: foo);",
        "                     ^^^",
    ]
    assert isinstance(error, LoadError)


def test_an_error_in_a_dependency_names_its_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.wit": "package a:b; world w { import c:d/e; }",
            "deps/c.wit": "package c:d;\ninterface e { f: fun; }",
        },
    )
    error = refusal(tmp_path)
    assert (error.path, error.line) == (str(tmp_path / "deps" / "c.wit"), 2)


def test_a_missing_package_is_named_with_what_to_do() -> None:
    with pytest.raises(InvalidWit, match=r"<text>:1:32: package `c:d` is not among.*`deps`"):
        parse_wit("package a:b;  world w { import c:d/e; }")


def test_worlds_are_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"a.wit": "package a:b; world one {} world two {}"})
    error = refusal(tmp_path)
    assert str(error) == f"{tmp_path}: package `a:b` has several worlds, choose one: `one`, `two`"
    assert error.line is None
    assert read_wit(tmp_path, "two").world == read_wit(tmp_path, world="a:b/two").world == "a:b/two"
    assert "has no world `three`" in refusal(tmp_path, "three").problem
    assert "world" in refusal(tmp_path, "!").problem


def test_interfaces_alone_are_exported_by_a_world_that_is_made_up() -> None:
    description = parse_wit("package a:b; interface one { f: func(); } interface two {}")
    assert description.world == "a:b/interfaces"
    assert [each.name for each in description.interfaces] == ["a:b/one", "a:b/two"]


def test_items_that_are_not_run_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedItem, match=r"<text>: a:b/i\.f: .*stream") as caught:
        parse_wit("package a:b; interface i { f: func() -> stream<u8>; } world w { export i; }")
    assert caught.value.item == "a:b/i.f"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no `package`|package"),
        (b"package a:b;\n\xff", "line 2 is not UTF-8"),
        (b"\0asm\r\0\1\0", "this is a component, and not a WIT package"),
        (b"\0asm\1\0\0\0", "this is a core module, and not a WIT package"),
        (b"\0asm\r\0\1\0\x07\xff", "at offset 0x"),
        (b"package a:b;\nworld w { \0 }", "Control"),
        (b"package a:b; // " + b"x" * (5 << 20), "more than"),
        (b"package a:b; interface i { type t = " + b"list<" * 10000, "nest"),
    ],
)
def test_what_is_no_wit_is_refused_in_one_line(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "a.wit"
    path.write_bytes(data)
    error = refusal(path)
    assert error.path == str(path)
    with pytest.raises(InvalidWit, match=problem):
        raise error
    assert str(error).splitlines()[0].isprintable()


def test_folders_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path).problem == "there is no .wit file in this folder"
    with pytest.raises(FileNotFoundError):
        read_wit(tmp_path / "none.wit")
    os.mkfifo(tmp_path / "pipe.wit")
    with pytest.raises(OSError, match="not a regular file"):
        read_wit(tmp_path / "pipe.wit")


def test_a_package_in_binary_form_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "tools.wasm"
    path.write_bytes(package())
    expected = parse_wit(TEXT, "tool")
    for description in (read_wit(path, "tool"), parse_wit(package(), "tool")):
        assert description.wit == expected.wit
        assert description.exports == expected.exports
        assert list(description.types) == list(expected.types)
        assert description.exports[0].docs == "Adds both."
        assert description.types[0].docs == "A pair."
        assert description.interfaces[0].docs == "Works on numbers."
    # The name does not matter where the contents speak.
    assert read_wit(path.rename(tmp_path / "tools.wit"), "tool").world == "demo:tools/tool@1.0.0"
    assert "choose one: `tool`, `empty`" in refusal(tmp_path / "tools.wit").problem


def test_dependencies_may_be_in_binary_form(tmp_path: Path) -> None:
    world = "package a:b; world w { import demo:tools/ops@1.0.0; export f: func(); }"
    write(tmp_path, {"a.wit": world, "deps/other.wit": "package x:y; interface i {}"})
    (tmp_path / "deps" / "tools.wasm").write_bytes(package())
    description = read_wit(tmp_path)
    assert description.imports[0].docs == "Adds both."
    assert description.world == "a:b/w"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0asm", "at offset 0x4"),
        (b"\0asm\1\0\0\0", "this is a core module, and not a WIT package"),
        (b"garbage", "neither|expected"),
        (package()[:190], "at offset 0x"),
        (package()[:-1], "at offset 0x"),
        (package() + package()[8:], "at offset 0x|damaged"),
    ],
)
def test_a_bad_dependency_is_named(tmp_path: Path, data: bytes, problem: str) -> None:
    write(tmp_path, {"a.wit": "package a:b; world w {}", "deps/none.txt": ""})
    path = tmp_path / "deps" / "c.wasm"
    path.write_bytes(data)
    error = refusal(tmp_path)
    assert error.path == str(path)
    assert str(error).startswith(f"{path}: ")
    assert len(str(error).splitlines()) == 1
    with pytest.raises(InvalidWit, match=problem):
        raise error


def test_binary_form_among_files_of_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"a.wit": "package a:b; world w {}"})
    (tmp_path / "b.wit").write_bytes(package())
    assert "a package in binary form is one file" in refusal(tmp_path).problem


def test_a_folder_of_packages_in_binary_form_says_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "x.wasm").write_bytes(package())
    said = "there is no .wit file in this folder: a package in binary form is one file, so give "
    assert refusal(tmp_path).problem == said + "x.wasm itself"
    (tmp_path / "a.wat").write_text("(component)")
    assert refusal(tmp_path).problem == said + "one of a.wat, x.wasm itself"


def test_an_error_in_a_package_in_binary_form_shows_no_place(tmp_path: Path) -> None:
    # All of `demo:tools` but what the world uses of it.
    write(
        tmp_path,
        {
            "w.wit": "package a:b; world w { import demo:one/ops; }",
            "deps/tools.wit": "package demo:tools@1.0.0; interface ops { type other = u8; }",
        },
    )
    path = tmp_path / "deps" / "one.wat"
    path.write_text("""(component (type (component
      (type (instance (type (record (field "left" s32))) (export "pair" (type (eq 0)))))
      (import "demo:tools/ops@1.0.0" (instance (type 0)))
      (alias export 0 "pair" (type))
      (type (instance
        (alias outer 1 1 (type)) (export "pair" (type (eq 0)))
        (type (func (param "of" 1))) (export "add" (func (type 2)))))
      (export "demo:one/ops" (instance (type 2)))))
    (export "ops" (type 0)))""")
    error = refusal(tmp_path)
    assert (error.path, error.line, error.column) == (str(path), None, None)
    assert str(error).splitlines() == [f"{path}: {error.problem}"]
    assert "`pair`" in error.problem


def test_the_text_of_a_package_in_binary_form(tmp_path: Path) -> None:
    path = tmp_path / "tools.wasm"
    path.write_bytes(package())
    text = package_text(path)
    assert text == package_text(package())
    assert text.startswith("package demo:tools@1.0.0;\n\n/// Works on numbers.\ninterface ops {\n")
    assert parse_wit(text, "tool").wit == parse_wit(TEXT, "tool").wit
    with pytest.raises(InvalidWit, match="neither a WebAssembly binary"):
        package_text(b"\xff")
    path.write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(InvalidWit, match="this is a core module") as caught:
        package_text(path)
    assert caught.value.path == str(path)


def test_a_package_that_has_no_text_is_refused() -> None:
    assert "@unstable(feature = a)" in package_text(package({"unstable": {"feature": "a"}}))
    damaged = package({"unstable": {"feature": "a\nb"}})
    for read in (package_text, parse_wit):
        with pytest.raises(UnsupportedItem, match=r"<bytes>: the package: .*cannot make sense"):
            read(damaged)


def test_an_excerpt_shows_part_of_a_long_line_and_nothing_that_acts_on_a_terminal() -> None:
    shown, carets = excerpt("x" * 1000 + "\x1b[1m" + "y" * 1000, 1001, 4).splitlines()
    assert len(shown) == 78
    assert shown[carets.index("^") :].startswith("\ufffd[1my")
    assert carets.strip() == "^^^^"
    assert excerpt("", 1).splitlines() == ["  ", "  ^"]
    assert excerpt("ab", 3, 7).splitlines() == ["  ab", "    ^"]
