"""Versions, their tracks and their order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlwasm.wit.semver import (
    NotAVersion,
    Version,
    best,
    best_name,
    compatible,
    parse_version,
    track,
)

NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 3)
WORDS = st.from_regex(r"(?a:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)", fullmatch=True)
VERSIONS = st.builds(
    Version,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.lists(WORDS, max_size=3).map(tuple),
    st.lists(WORDS | st.just("007"), max_size=3).map(tuple),
)


@given(VERSIONS)
def test_versions_are_read_as_they_are_written(version: Version) -> None:
    assert parse_version(str(version)) == version


@given(st.text(alphabet="0123.-+a ²٣\n", max_size=12) | st.text())
def test_any_text_is_a_version_or_refused(text: str) -> None:
    try:
        version = parse_version(text)
    except NotAVersion:
        assert track(text) == text
    else:
        assert text in (str(version), version.track)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "0", "0.0", "1.2", "01", "01.0.0", "1.0.0.0", "1.0", "1.0.0-", "1.0.0+", "1-rc",
        "0.02", "1.0.0-a..b", "1.0.0-01", "1.0.0-é", "1.0.0+a_b", " 1.0.0", "1.0.0\n",
        "٣.0.0", "²", "-1.0.0", f"{2**64}.0.0", "9" * 5000 + ".0.0",
    ],
)  # fmt: skip
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(NotAVersion):
        parse_version(text)


def test_the_order_is_that_of_semver() -> None:
    ordered = [
        "0.0.1", "0.2.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
        "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+a", "1.9.0",
        "1.10.0", "2.0.0",
    ]  # fmt: skip
    places = [parse_version(text).precedence for text in ordered]
    assert all(lower < higher for lower, higher in pairwise(places))


@pytest.mark.parametrize(
    ("version", "its_track"),
    [
        ("1.0.0", "1"), ("1.1.2", "1"), ("2.1.2+abc", "2"), ("0.1.2", "0.1"), ("0.2.3+abc", "0.2"),
        ("0.0.1", "0.0.1"), ("0.0.0", "0.0.0"), ("0.0.1+abc", "0.0.1"), ("0.0.1-pre", "0.0.1-pre"),
        ("1.0.0-pre+abc", "1.0.0-pre"), ("1", "1"), ("0.2", "0.2"), ("1.2", "1.2"), ("", ""),
    ],
)  # fmt: skip
def test_tracks(version: str, its_track: str) -> None:
    assert track(version) == its_track


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [
        ("0.2.3", "0.2.0", True), ("0.2.0", "0.2.3", True), ("0.2.0", "0.3.0", False),
        ("1.0.0", "1.9.9", True), ("1.0.0", "2.0.0", False), ("1.0.0", "0.1.0", False),
        ("0.0.1", "0.0.1", True), ("0.0.1", "0.0.2", False), ("1.0.0", "1.0.0-rc.1", False),
        ("1.0.0-rc.1", "1.0.0-rc.1", True), ("1.0.0-rc.1", "1.0.0-rc.2", False),
        ("0.2.0", "0.2", True), ("1", "1.5.0", True), ("", "", True), ("", "1.0.0", False),
        ("1.0.0", "", False), ("nightly", "nightly", True),
    ],
)  # fmt: skip
def test_compatible_versions(wanted: str, offered: str, fits: bool) -> None:
    assert compatible(wanted, offered) is fits


# The cases of wasmtime's NameMap (crates/environ/src/component/names.rs).
@pytest.mark.parametrize(
    ("wanted", "offered", "taken"),
    [
        ("1.0.0", ["1.0.0", "1.0.1"], "1.0.0"),
        ("1.0.2", ["1.0.0", "1.0.1"], "1.0.1"),
        ("1.1.0", ["1.0.1", "1.0.0"], "1.0.1"),
        ("1", ["1.0.0", "1.0.1"], "1.0.1"),
        ("1", ["1"], "1"),
        ("1", ["1", "1.0.0"], "1.0.0"),
        ("1.2.3", ["1"], "1"),
        ("1.0.0", ["1", "1.0.1"], "1.0.1"),
        ("2", ["1.0.0"], None),
        ("0.0.1", ["0.0.2"], None),
        ("0.0.1", ["0.0.1+b", "0.0.1+a"], "0.0.1+b"),
        ("0.0.1+a", ["0.0.1+b", "0.0.1+a"], "0.0.1+a"),
        ("0.0.1+c", ["0.0.1+b", "0.0.1+a"], "0.0.1+b"),
        ("1.0.0", [], None),
        ("", ["", "1.0.0"], ""),
    ],
)
def test_the_version_to_take(wanted: str, offered: list[str], taken: str | None) -> None:
    assert best(wanted, offered) == taken


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("a:b/c@0.2.3", "a:b/c@0.2.0"),
        ("a:b/c@1.0.0", "a:b/c@1.4.0"),
        ("a:b/c@2.0.0", None),
        ("a:b/x@1.0.0", None),
        ("a:b/c", None),
        ("c@1.0.0", None),
    ],
)
def test_the_name_to_take(wanted: str, taken: str | None) -> None:
    names = ["a:b/c@0.2.0", "a:b/c@1.0.1", "a:b/c@1.4.0", "a:b/c", "c", "a:b/x", "a:b/y@1.0.0"]
    assert best_name(wanted, names) == taken
