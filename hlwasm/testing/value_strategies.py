"""The strategies of the types of one description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hlwasm.errors import Err
from hlwasm.testing.hypothesis_extra import hypothesis
from hlwasm.testing.primitives import Primitives
from hlwasm.wit import model
from hlwasm.wit.model import Description, TypeRef
from hlwasm.wit.names import upper_camel_case
from hlwasm.wit.python_types import python_types
from hlwasm.wit.values import Ok, Some

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

st = hypothesis.strategies

#: Gives the strategy for the handles of a resource type; the flag says whether it is owned.
Resources = Callable[[int, bool], "SearchStrategy[Any]"]

_LONGEST_LIST = 6
# Hypothesis puts the cases of cases into one list, which doubles with each level of a type whose
# cases share a type.
_MOST_BRANCHES = 200


def no_resources(resource: int, owned: bool) -> SearchStrategy[Any]:
    """Refuses resources, which only exist in a sandbox."""
    raise TypeError(
        "values with resources of a component exist in a sandbox only: "
        "use strategies.scripts, whose calls obtain them, or pass resources=…"
    )


def values_of(
    description: Description, type_: TypeRef, resources: Resources, primitives: Primitives
) -> SearchStrategy[Any]:
    """As ``strategies.values``, with strategies of primitive types that are there already."""
    return Values(description, resources, primitives).of(type_)


class Values:
    """The strategies of one description's types.

    Args:
        description: of the component.
        resources: gives the strategy for a resource type.
        primitives: strategies of primitive types.
        primitive: what to take in place of them for a type that is not part of ``list<u8>``.
    """

    def __init__(
        self,
        description: Description,
        resources: Resources,
        primitives: Primitives,
        primitive: Callable[[str], SearchStrategy[Any]] | None = None,
    ) -> None:
        self._description = description
        self._resources = resources
        self._primitives = primitives
        self._primitive = primitive or primitives.of
        self._made: dict[TypeRef | None, SearchStrategy[Any]] = {None: st.none()}
        # How many cases there are in types with cases, those of their payloads included.
        self._branches: dict[TypeRef | None, int] = {}

    def of(self, ref: TypeRef | None) -> SearchStrategy[Any]:
        """The strategy of a type; of ``None`` where there is none."""
        found = self._made.get(ref)
        if found is None:
            found = self._primitive(ref) if isinstance(ref, str) else self._make(ref)
            self._made[ref] = found
        return found

    def _make(self, ref: Any) -> SearchStrategy[Any]:
        type_ = self._description.types[ref]
        if isinstance(type_, model.Record):
            cls = self._description.python_type(ref)
            return st.tuples(*[self.of(each.type) for each in type_.fields]).map(lambda v: cls(*v))
        if isinstance(type_, model.Tuple):
            return st.tuples(*[self.of(each) for each in type_.types])
        if isinstance(type_, model.List):
            if type_.element == "u8":
                return self._primitives.of("bytes")
            return st.lists(self.of(type_.element), max_size=_LONGEST_LIST)
        if isinstance(type_, model.Option):
            some = self.of(type_.some)
            if python_types(self._description).is_option(type_.some):
                some = some.map(Some)
            return self._any_of(ref, [None, type_.some], [st.none(), some])
        if isinstance(type_, model.Result):
            arms = [self.of(type_.ok).map(Ok), self.of(type_.err).map(Err)]
            return self._any_of(ref, [type_.ok, type_.err], arms)
        if isinstance(type_, model.Enum):
            return st.sampled_from(list(self._description.python_type(ref)))
        if isinstance(type_, model.Flags):
            return self._flags(type_)
        if isinstance(type_, model.Variant):
            cases = [self._case(type_, case.name, case.type) for case in type_.cases]
            return self._any_of(ref, [case.type for case in type_.cases], cases)
        assert isinstance(type_, (model.Own, model.Borrow))
        return self._resources(type_.resource, isinstance(type_, model.Own))

    def _any_of(
        self,
        ref: TypeRef,
        payloads: Sequence[TypeRef | None],
        cases: Sequence[SearchStrategy[Any]],
    ) -> SearchStrategy[Any]:
        branches = sum(self._branches.get(payload, 1) for payload in payloads)
        if branches <= _MOST_BRANCHES:
            self._branches[ref] = branches
            return st.one_of(cases)
        return st.integers(0, len(cases) - 1).flatmap(cases.__getitem__)

    def _flags(self, type_: model.Flags) -> SearchStrategy[Any]:
        every = (1 << len(type_.flags)) - 1
        edges = [0, *[1 << i for i in range(len(type_.flags))], every]
        bits = st.sampled_from(edges) | st.integers(0, every)
        return bits.map(self._description.python_type(type_.index).from_bits)

    def _case(
        self, type_: model.Variant, name: str, payload: TypeRef | None
    ) -> SearchStrategy[Any]:
        cls = getattr(self._description.python_type(type_.index), upper_camel_case(name))
        return st.builds(cls) if payload is None else self.of(payload).map(cls)
