"""Conformance: whether a component has what a world asks for, and asks for no more than it has."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hlwasm.testing.described import description_of
from hlwasm.wit.model import Description, Function
from hlwasm.wit.names import parse_interface_name
from hlwasm.wit.same_types import TypeComparison
from hlwasm.wit.semver import best
from hlwasm.wit.type_text import function_text

if TYPE_CHECKING:
    from hlwasm.component import Component

Side = Literal["export", "import"]


class Verdict(enum.Enum):
    """How something of a component relates to a world."""

    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"


@dataclass(frozen=True)
class Finding:
    """One thing in which a component is not as a world describes it.

    Attributes:
        verdict: what is the matter.
        side: of the component.
        name: WIT name of the interface, or with ``#`` of the function.
        message: in words.
        breaks: the component does not fit the world because of it.
    """

    verdict: Verdict
    side: Side
    name: str
    message: str
    breaks: bool = True

    @property
    def is_wasi(self) -> bool:
        """Whether it is an import of WASI, which hlwasm provides in any world."""
        return self.side == "import" and not self.breaks

    def __str__(self) -> str:
        return f"{self.verdict.value} {self.side} {self.name}: {self.message}"


@dataclass(frozen=True)
class ConformanceReport:
    """What :func:`conformance` found.

    Attributes:
        world: WIT name of the world.
        findings: exports first, each side by the world's order, extras at the end.
    """

    world: str
    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        """Whether a host of the world can run the component."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings because of which it cannot."""
        return tuple(each for each in self.findings if each.breaks)

    def __str__(self) -> str:
        head = f"conforms to {self.world}" if self.conforms else f"does not conform to {self.world}"
        lines = [f"  {each}" for each in self.findings if not each.is_wasi]
        wasi = [each.name for each in self.findings if each.is_wasi]
        if wasi:
            lines.append(f"  extra imports of WASI, which hlwasm provides: {', '.join(wasi)}")
        return "\n".join([head, *lines])


def conformance(
    component: Component | Description,
    wit: Description | str | os.PathLike[str],
    world: str | None = None,
) -> ConformanceReport:
    """Compares a component with a WIT world.

    The component must export all functions that the world exports, and may import those that
    the world imports; types are compared by their structure. Versions of interfaces may differ
    on the same track (0.2.1 and 0.2.3). More exports do no harm, nor do imports of WASI, which
    hlwasm provides.

    Args:
        component: the component or its description.
        wit: a WIT file or folder, or a description of a world.
        world: which one, where the files have several.

    Raises:
        OSError, InvalidWit, UnsupportedItem: as for :func:`hlwasm.wit.sources.read_wit`.
    """
    found = description_of(component)
    if isinstance(wit, Description):
        wanted = wit
    else:
        from hlwasm.wit.sources import read_wit

        wanted = read_wit(wit, world)
    exports = _Side("export", wanted, found, TypeComparison(wanted, found))
    # What the component imports it wants, and the world has.
    imports = _Side("import", found, wanted, TypeComparison(found, wanted))
    findings = [*exports.lacking(), *imports.lacking(), *exports.extras()]
    return ConformanceReport(wanted.world, tuple(findings))


class _Side:
    """The exports or imports, from who wants them to who has them."""

    def __init__(
        self, side: Side, wanted: Description, offered: Description, comparison: TypeComparison
    ) -> None:
        self._side = side
        self._comparison = comparison
        self._wanted = _functions(wanted, side)
        self._offered = _functions(offered, side)
        self._versions: dict[str, list[str]] = {}
        for name in self._offered:
            if name is not None:
                self._versions.setdefault(_unversioned(name), []).append(_version(name))

    def lacking(self) -> Iterator[Finding]:
        """What is wanted and not offered like that."""
        for interface, functions in self._wanted.items():
            match = self._match(interface)
            if match is None and interface is not None:
                yield self._lacking_interface(interface)
                continue
            offered = {each.name: each for each in self._offered.get(match, ())}
            for function in functions:
                other = offered.get(function.name)
                finding = self._compare(interface, match, function, other)
                if finding is not None:
                    yield finding

    def _match(self, interface: str | None) -> str | None:
        """The offered interface that stands for a wanted one."""
        if interface is None or interface in self._offered:
            return interface
        base = _unversioned(interface)
        version = best(_version(interface), self._versions.get(base, ()))
        if version is None:
            return None
        return f"{base}@{version}" if version else base

    def _lacking_interface(self, interface: str) -> Finding:
        others = [each or "no version" for each in self._versions.get(_unversioned(interface), ())]
        near = f"; there is {', '.join(others)}, which cannot stand for it" if others else ""
        if self._side == "export":
            message = f"the world exports this interface{near}"
            return Finding(Verdict.MISSING, "export", interface, message)
        if interface.startswith(("wasi:", "hlwasm:")):
            message = "the world does not import it; hlwasm provides WASI"
            return Finding(Verdict.EXTRA, "import", interface, message, breaks=False)
        message = f"the world does not import this interface{near}"
        return Finding(Verdict.EXTRA, "import", interface, message)

    def _compare(
        self, interface: str | None, match: str | None, function: Function, other: Function | None
    ) -> Finding | None:
        name = _full_name(interface, function.name)
        seen_in = f" (in version {_version(match)})" if match and match != interface else ""
        if other is None:
            text = function_text(function.description, function)
            if self._side == "export":
                return Finding(
                    Verdict.MISSING, "export", name, f"the world exports {text}{seen_in}"
                )
            return Finding(Verdict.EXTRA, "import", name, f"the world has no {text}{seen_in}")
        if self._side == "export":
            difference = self._comparison.functions(function, other)
        else:
            # Said from the world's view: it is the component that differs.
            reverse = self._comparison.functions(function, other)
            difference = reverse and reverse._replace(wanted=reverse.found, found=reverse.wanted)
        if difference is None:
            return None
        return Finding(Verdict.DIFFERENT, self._side, name, f"{difference}{seen_in}")

    def extras(self) -> Iterator[Finding]:
        """What is offered and not wanted."""
        taken: dict[str | None, set[str]] = {}
        for interface, functions in self._wanted.items():
            names = taken.setdefault(self._match(interface), set())
            names.update(each.name for each in functions)
        for interface, functions in self._offered.items():
            if interface is not None and interface not in taken:
                yield self._extra(interface, "the world does not export this interface")
                continue
            for function in functions:
                if function.name not in taken.get(interface, ()):
                    text = function_text(function.description, function)
                    name = _full_name(interface, function.name)
                    yield self._extra(name, f"the world does not export {text}")

    def _extra(self, name: str, message: str) -> Finding:
        return Finding(Verdict.EXTRA, self._side, name, message, breaks=False)


def _functions(description: Description, side: Side) -> Mapping[str | None, Sequence[Function]]:
    """The functions of each interface, also of those that have types only."""
    functions: Iterable[Function]
    functions = description.exports if side == "export" else description.imports
    found: dict[str | None, list[Function]] = {}
    for interface in description.interfaces:
        # Imports of types alone ask for nothing that could be missing.
        if interface.direction == "export" == side:
            found[interface.name] = []
    for function in functions:
        found.setdefault(function.interface, []).append(function)
    return found


def _unversioned(interface: str) -> str:
    return interface.partition("@")[0]


def _version(interface: str) -> str:
    return parse_interface_name(interface).version


def _full_name(interface: str | None, function: str) -> str:
    return function if interface is None else f"{interface}#{function}"
