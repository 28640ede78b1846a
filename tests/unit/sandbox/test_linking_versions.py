"""Imports and exports of other versions: which one is taken, and what is said where none fits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hlwasm.errors import LinkError
from hlwasm.sandbox.exports import Exports, ResourceClasses
from hlwasm.sandbox.imports import Linker
from hlwasm.wit.model import Description
from tests.unit.sandbox.worlds import description, function, interface


def host(version: str) -> str:
    return f"demo:calc/host@{version}" if version else "demo:calc/host"


def importing(*versions: str) -> Description:
    names = [host(version) for version in versions]
    return description(
        interfaces=[interface(name) for name in names],
        imports=[function(index, "get-it", name) for index, name in enumerate(names)],
    )


def served(wanted: tuple[str, ...], *keys: str) -> list[Any]:
    """The keys that serve the imports of these versions."""
    world = importing(*wanted)
    imports = {key: {"get-it": lambda key=key: key} for key in keys}
    linked = Linker(world, imports).link()
    return [linked[index]()() for index in range(len(wanted))]


@pytest.mark.parametrize(
    ("wanted", "given", "taken"),
    [
        # The exact one.
        ("1.0.0", ["1.0.0", "1.2.0"], "1.0.0"),
        # The highest on the track, which may be lower than what is wanted.
        ("1.1.0", ["1.2.0", "1.0.0", "2.0.0"], "1.2.0"),
        ("1.9.0", ["1.0.0", "1.2.0"], "1.2.0"),
        ("0.2.3", ["0.2.0"], "0.2.0"),
        ("0.2.3", ["0.2", "0.3.0"], "0.2"),
        ("0.2", ["0.2.1"], "0.2.1"),
        ("1.4.0", ["1"], "1"),
        ("0.0.4", ["0.0.3", "0.0.4+x"], "0.0.4+x"),
        ("2.0.0-rc.1", ["2.0.0-rc.1", "2.0.0"], "2.0.0-rc.1"),
        # Without a version: all versions, after those that fit.
        ("1.0.0", ["", "2.0.0"], ""),
        ("1.0.0", ["", "1.5.0"], "1.5.0"),
        ("", [""], ""),
    ],
)
def test_which_version_serves_an_import(wanted: str, given: list[str], taken: str) -> None:
    assert served((wanted,), *map(host, given)) == [host(taken)]


def test_versions_side_by_side_serve_the_imports_of_their_tracks() -> None:
    keys = [host("1.0.0"), host("2.0.0"), "host"]
    assert served(("2.1.0", "1.3.0", "3.0.0"), *keys) == [host("2.0.0"), host("1.0.0"), "host"]
    # One that nobody needs is no mistake.
    assert served(("1.3.0",), *keys) == [host("1.0.0")]


@pytest.mark.parametrize(
    ("wanted", "given", "problem"),
    [
        (
            "1.2.0",
            ["2.0.0", "0.9.0"],
            "demo:calc/host@1.2.0: missing, with get-it (given: @2.0.0 and @0.9.0; "
            'compatible: any @1.x; write "demo:calc/host@1.2.0", or "demo:calc/host" for all '
            "versions)",
        ),
        ("0.2.1", ["0.3.0"], "compatible: any @0.2.x"),
        ("0.0.7", ["0.0.8"], "compatible: @0.0.7 alone"),
        ("1.0.0-rc.1", ["1.0.0"], "compatible: @1.0.0-rc.1 alone"),
        ("nightly", ["1.0.0"], "compatible: @nightly alone"),
        ("", ["1.0.0"], 'it is imported without version: write "demo:calc/host"'),
    ],
)
def test_what_is_said_where_no_version_fits(wanted: str, given: list[str], problem: str) -> None:
    with pytest.raises(LinkError) as caught:
        served((wanted,), *map(host, given))
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_what_is_said_of_another_wasi() -> None:
    name = "wasi:cli/environment@0.3.0"
    world = description(interfaces=[interface(name)], imports=[function(0, "get-arguments", name)])
    with pytest.raises(
        LinkError, match=r"get-arguments \(hlwasm itself provides WASI 0\.2, of any"
    ):
        Linker(world, None).link()


def test_a_function_that_an_older_version_lacks_is_named_with_it() -> None:
    with pytest.raises(LinkError) as caught:
        Linker(importing("1.2.0"), {host("1.0.0"): {"other": print}}).link()
    assert caught.value.problems == (
        "demo:calc/host@1.2.0#get-it: missing in demo:calc/host@1.0.0",
    )


@pytest.mark.parametrize("key", ["demo:calc/hots@1.0.0", "host@1.0.0", "demo:other/host@1.0.0"])
def test_versions_of_what_is_not_imported_are_mistakes(key: str) -> None:
    with pytest.raises(LinkError, match=f"{key}: not an import"):
        served(("1.0.0",), host("1.0.0"), key)


def test_attributes_have_no_versions() -> None:
    imports = SimpleNamespace(host={"get-it": lambda: 7})
    assert Linker(importing("1.0.0"), imports).link()[0]()() == 7


class TestExports:
    @staticmethod
    def exports(*versions: str) -> Exports:
        names = [f"demo:calc/ops@{version}" for version in versions]
        world = description(
            interfaces=[interface(name, "export") for name in names],
            exports=[function(index, "add", name) for index, name in enumerate(names)],
        )
        return Exports(world, ResourceClasses(world), lambda each: lambda: each.interface)

    def test_a_compatible_version_is_found(self) -> None:
        exports = self.exports("1.0.3", "2.0.0", "2.4.0")
        for wanted, found in [
            ("1.0.3", "1.0.3"),
            ("1.0.0", "1.0.3"),
            ("1.7.0", "1.0.3"),
            ("2.0.0", "2.0.0"),
            ("2.1.0", "2.4.0"),
            ("2", "2.4.0"),
        ]:
            assert f"demo:calc/ops@{wanted}" in exports
            assert exports[f"demo:calc/ops@{wanted}"].add() == f"demo:calc/ops@{found}"

    def test_another_track_is_not(self) -> None:
        exports = self.exports("1.0.3")
        assert "demo:calc/ops@2.0.0" not in exports
        assert 3 not in exports
        with pytest.raises(KeyError, match=r"no version compatible with it; it exports .*@1\.0\.3"):
            exports["demo:calc/ops@2.0.0"]
