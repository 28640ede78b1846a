"""Versions of WIT packages, and which of them can stand for each other.

By the component model's rule, which is wasmtime's linker's too, versions on the same track
are compatible, in both directions: an interface only grows on its track, and what of it a
component needs is looked up function by function.

=====================  =====================================================
``1.4.2``, ``1.0.0``   track ``1``: same major version
``0.2.3``, ``0.2.0``   track ``0.2``: same minor version, while the major is 0
``0.0.7``              track ``0.0.7``: alone on it
``2.0.0-rc.1``         track ``2.0.0-rc.1``: alone, as every pre-release
``1``, ``0.2``         the track itself, as in canonical interface names
=====================  =====================================================

Build metadata (``+…``) counts for nothing but the order of versions that are equal otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hlwasm.frozen import Frozen

# As many digits as a u64 may have: the component model's versions are such numbers.
_MOST_DIGITS = 20
_IDENTIFIER = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")


class NotAVersion(ValueError):
    """The text is no semantic version, and no track either."""


class Version(Frozen):
    """A version in its parts, by https://semver.org (2.0.0)."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        if self.build:
            text += "+" + ".".join(self.build)
        return text

    @property
    def track(self) -> str:
        """The versions that can stand for this one are those of the same track."""
        if self.prerelease or not (self.major or self.minor):
            return str(self).partition("+")[0]
        return str(self.major) if self.major else f"0.{self.minor}"

    @property
    def precedence(self) -> tuple[object, ...]:
        """To sort by: semver's order of precedence, then build metadata."""
        numbers = self.major, self.minor, self.patch
        return numbers, not self.prerelease, _ranks(self.prerelease), _ranks(self.build)


def _ranks(identifiers: tuple[str, ...]) -> tuple[tuple[bool, int, str], ...]:
    """Numbers come before words and are compared as numbers."""
    return tuple(
        [
            # By length first: int() refuses very long numbers.
            (False, len(digits := each.lstrip("0")), digits)
            if each.isdecimal()
            else (True, 0, each)
            for each in identifiers
        ]
    )


def parse_version(text: str) -> Version:
    """Reads ``1.2.3-rc.1+build``, or a track (``1``, ``0.2``), which is its lowest version.

    Raises:
        NotAVersion: it is neither.
    """
    rest, plus, build = text.partition("+")
    numbers, dash, prerelease = rest.partition("-")
    parts = numbers.split(".")
    short = not plus and not dash and _is_track(parts)
    if (len(parts) != 3 and not short) or not all(map(_is_number, parts)):
        raise NotAVersion(f"{text!r} is no version such as 1.2.3 or 0.2")
    major, minor, patch = map(int, [*parts, "0", "0"][:3])
    pre = _identifiers(text, prerelease) if dash else ()
    if any(each.isdecimal() and each[0] == "0" != each for each in pre):
        raise NotAVersion(f"{text!r}: a number in a pre-release starts with 0")
    return Version(major, minor, patch, pre, _identifiers(text, build) if plus else ())


def _is_track(numbers: list[str]) -> bool:
    if len(numbers) == 1:
        return numbers != ["0"]
    return len(numbers) == 2 and numbers[0] == "0" and numbers[1] != "0"


def _is_number(text: str) -> bool:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        return False
    return (text[0] != "0" or text == "0") and int(text) < 1 << 64


def _identifiers(text: str, dotted: str) -> tuple[str, ...]:
    found = tuple(dotted.split("."))
    if not all(each and _IDENTIFIER.issuperset(each) for each in found):
        raise NotAVersion(f"{text!r}: {dotted!r} is no dotted list of letters, digits and hyphens")
    return found


@lru_cache(maxsize=256)
def track(version: str) -> str:
    """The track that a version is on; no version, and what is none, has one of its own.

    >>> track("1.4.2"), track("0.2.3"), track("0.0.7+x"), track("2.0.0-rc.1"), track("")
    ('1', '0.2', '0.0.7', '2.0.0-rc.1', '')
    """
    try:
        return parse_version(version).track
    except NotAVersion:
        return version


def compatible(wanted: str, offered: str) -> bool:
    """Whether what is offered at one version can stand for what was written against another.

    >>> compatible("0.2.3", "0.2.0"), compatible("1.0.0", "2.0.0"), compatible("1.0.0", "")
    (True, False, False)
    """
    return track(wanted) == track(offered)


def best(wanted: str, offered: Iterable[str]) -> str | None:
    """The version to take for ``wanted``: itself, or else the highest on its track.

    The highest may be lower than ``wanted``, as long as it has all that is needed. A track is
    never met by itself where there is a version on it.

    >>> best("0.2.3", ["0.2.0", "0.2.9", "0.3.0"])
    '0.2.9'
    """
    candidates = [version for version in offered if compatible(wanted, version)]
    if wanted in candidates and track(wanted) != wanted:
        return wanted
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=_rank, default=None)


def best_name(wanted: str, names: Iterable[str]) -> str | None:
    """The same of interface names with versions; None for a name without one.

    >>> best_name("a:b/c@0.2.3", ["a:b/c", "a:b/c@0.2.0", "a:b/d@0.2.3"])
    'a:b/c@0.2.0'
    """
    base, _, version = wanted.partition("@")
    if not version:
        return None
    parts = [name.partition("@") for name in names]
    found = best(version, [offered for name, _, offered in parts if name == base and offered])
    return None if found is None else f"{base}@{found}"


def _rank(version: str) -> tuple[object, ...]:
    try:
        parsed = parse_version(version)
    except NotAVersion:
        return ()
    # A track is lower than the lowest version on it.
    return (*parsed.precedence, str(parsed) == version)
