"""Interface coverage: which functions were called, and which cases their values took.

What can be reached is counted from the types alone. Each of these is one *point* in each
place where it occurs: a case of a variant or enum, an arm of an option or result, a flag
that is set, ``true`` and ``false``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hlwasm.testing.scripts.data import Case, Data
from hlwasm.testing.scripts.steps import callee_text
from hlwasm.wit import model
from hlwasm.wit.model import Function, TypeRef

# A hostile description can stand for exponentially many.
_MOST_POINTS = 2000


@dataclass
class FunctionCoverage:
    """Of one function.

    Attributes:
        name: as calls write it.
        side: whether the component exports or imports it.
        calls: how often it was called and did return, its error arm included.
        points: what values can be, such as ``result: err(overflow)`` → whether it was seen.
        cut: there are more points than are counted.
    """

    name: str
    side: Literal["export", "import"]
    calls: int = 0
    points: dict[str, bool] = field(default_factory=dict)
    cut: bool = False

    @property
    def reached(self) -> int:
        """How many points were seen."""
        return sum(self.points.values())

    @property
    def missed(self) -> list[str]:
        """The points that were not."""
        return [point for point, seen in self.points.items() if not seen]


class Coverage:
    """Counts the calls of a component and of its imports.

    Args:
        exports: the exported functions that matter; all of one description.
    """

    def __init__(self, exports: Sequence[Function]) -> None:
        self._by_function: dict[tuple[str, int], FunctionCoverage] = {}
        for function in exports:
            self._description = function.description
            self._of(function, "export")
        self._exports = frozenset(each.index for each in exports)

    @property
    def functions(self) -> list[FunctionCoverage]:
        """The exports, then those imports that were called."""
        return list(self._by_function.values())

    def _of(self, function: Function, side: Literal["export", "import"]) -> FunctionCoverage:
        found = self._by_function.get((side, function.index))
        if found is None:
            found = FunctionCoverage(callee_text(function), side)
            for point in self._points_of(function):
                if len(found.points) == _MOST_POINTS:
                    found.cut = True
                    break
                found.points[point] = False
            self._by_function[side, function.index] = found
        return found

    def _points_of(self, function: Function) -> Iterator[str]:
        for param in function.params:
            yield from self._points(param.type, f"{param.name}: ", "")
        yield from self._points(function.result, "result: ", "")

    def _points(self, ref: TypeRef | None, before: str, after: str) -> Iterator[str]:
        """All points of a type, as the text of each with its place around it."""
        if ref == "bool":
            yield f"{before}false{after}"
            yield f"{before}true{after}"
        if ref is None or isinstance(ref, str):
            return
        type_ = self._description.types[ref]
        if isinstance(type_, model.Flags):
            yield from (f"{before}{{{each.name}}}{after}" for each in type_.flags)
        for case, payload in _cases(type_):
            yield f"{before}{case}{after}"
            yield from self._points(payload, f"{before}{case}(", f"){after}")
        for step, part in _parts(type_):
            yield from self._points(part, _inside(before, step), after)

    def called(
        self,
        function: Function,
        side: Literal["export", "import"],
        arguments: Sequence[Data],
        result: Data,
    ) -> None:
        """A call that returned."""
        if side == "export" and function.index not in self._exports:
            return
        found = self._of(function, side)
        found.calls += 1
        if found.reached == len(found.points):
            return
        for param, data in zip(function.params, arguments, strict=False):
            self._see(found, param.type, data, f"{param.name}: ", "")
        self._see(found, function.result, result, "result: ", "")

    def _see(
        self, found: FunctionCoverage, ref: TypeRef | None, data: Data, before: str, after: str
    ) -> None:
        if ref == "bool":
            _mark(found, f"{before}{'true' if data else 'false'}{after}")
        if ref is None or isinstance(ref, str):
            return
        type_ = self._description.types[ref]
        if isinstance(type_, model.Flags):
            for name in data:
                _mark(found, f"{before}{{{name}}}{after}")
        elif isinstance(data, Case):
            _mark(found, f"{before}{data.name}{after}")
            payload = dict(_cases(type_))[data.name]
            self._see(found, payload, data.payload, f"{before}{data.name}(", f"){after}")
        elif isinstance(type_, model.List):
            if type_.element not in _WITHOUT_POINTS:
                for each in data:
                    self._see(found, type_.element, each, _inside(before, "[]"), after)
        elif isinstance(type_, model.Record):
            for field_ in type_.fields:
                inner = _inside(before, f".{field_.name}")
                self._see(found, field_.type, data[field_.name], inner, after)
        elif isinstance(type_, model.Tuple):
            for index, part in enumerate(type_.types):
                self._see(found, part, data[index], _inside(before, f"[{index}]"), after)


_WITHOUT_POINTS = frozenset(
    ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"]
)


def _mark(found: FunctionCoverage, point: str) -> None:
    # Not those that were cut.
    if point in found.points:
        found.points[point] = True


def _inside(before: str, step: str) -> str:
    return f"{before.removesuffix(': ')}{step}: "


def _cases(type_: object) -> list[tuple[str, TypeRef | None]]:
    if isinstance(type_, model.Option):
        return [("none", None), ("some", type_.some)]
    if isinstance(type_, model.Result):
        return [("ok", type_.ok), ("err", type_.err)]
    if isinstance(type_, model.Variant):
        return [(each.name, each.type) for each in type_.cases]
    if isinstance(type_, model.Enum):
        return [(each.name, None) for each in type_.cases]
    return []


def _parts(type_: object) -> list[tuple[str, TypeRef]]:
    if isinstance(type_, model.Record):
        return [(f".{each.name}", each.type) for each in type_.fields]
    if isinstance(type_, model.Tuple):
        return [(f"[{index}]", each) for index, each in enumerate(type_.types)]
    if isinstance(type_, model.List):
        return [("[]", type_.element)]
    return []
