"""WIT names of one place that become one name in Python.

Names that differ in case only are one name to the component model, which refuses them. What
is left are types and cases with words that begin with a digit: ``point-2d`` and ``point2d``
are both ``Point2d``. Names with underscores keep their words apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hlwasm.wit.model import Description, Variant
from hlwasm.wit.names import upper_camel_case


def name_clashes(description: Description) -> list[str]:
    """What cannot be told apart in Python, a line each."""
    return list(dict.fromkeys(_clashes(description)))


def _clashes(description: Description) -> Iterator[str]:
    for interface in description.interfaces:
        yield from _same(f"types of {interface.name}", interface.types)
    yield from _same(f"types of {description.world}", description.world_types)
    for type_ in description.types:
        if isinstance(type_, Variant):
            where = type_.interface or description.world
            cases = [case.name for case in type_.cases]
            yield from _same(f"cases of variant {type_.name} of {where}", cases)


def _same(what: str, names: Iterable[str]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(upper_camel_case(name), []).append(name)
    for python, several in found.items():
        if len(several) > 1:
            yield f"{what}: {' and '.join(several)} are both {python} in Python"
