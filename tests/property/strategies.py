"""Random WIT types, and values of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from hlwasm.testing import strategies
from hlwasm.wit import model
from hlwasm.wit.values import Err, Ok, Some
from tests.unit.codec.worlds import World

PRIMITIVES = sorted(model.PRIMITIVES)


@st.composite
def types(draw: st.DrawFn, world: World, depth: int = 3) -> Any:
    """A random type, added to ``world``; returns its reference."""
    kinds = ["primitive", "primitive", "enum", "flags"]
    if depth > 0:
        kinds += ["record", "tuple", "list", "list", "option", "result", "variant"]
    kind = draw(st.sampled_from(kinds))
    number = len(world.types)

    def inner() -> Any:
        return draw(types(world, depth - 1))

    def inner_or_none() -> Any:
        return draw(st.none() | types(world, depth - 1))

    count = draw(st.integers(1, 4))
    if kind == "primitive":
        return draw(st.sampled_from(PRIMITIVES))
    if kind == "enum":
        return world.enum(f"e{number}", *[f"case-{i}" for i in range(count)])
    if kind == "flags":
        count = draw(st.sampled_from([1, 7, 8, 9, 16, 17, 32]))
        return world.flags(f"f{number}", *[f"flag-{i}" for i in range(count)])
    if kind == "record":
        fields = {f"field_{i}": inner() for i in range(count)}
        return world.record(f"r{number}-{len(world.types)}", **fields)
    if kind == "tuple":
        return world.tuple(*[inner() for _ in range(count)])
    if kind == "list":
        return world.list(inner())
    if kind == "option":
        return world.option(inner())
    if kind == "result":
        return world.result(inner_or_none(), inner_or_none())
    # Many cases without payload take another form in generated code.
    cases = {f"case-{i}": inner_or_none() for i in range(count)}
    cases.update({f"empty-{i}": None for i in range(draw(st.sampled_from([0, 1, 6])))})
    return world.variant(f"v{number}-{len(world.types)}", cases)


def values(description: model.Description, ref: Any) -> st.SearchStrategy[Any]:
    """Values of a type as codecs lift them, each equal to itself."""
    return strategies.values(description, ref, allow_nan=False)


def anything() -> st.SearchStrategy[Any]:
    """Python values that fit no type in particular."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-300, 300)
        | st.integers(-(2**70), 2**70)
        | st.floats()
        | st.text(max_size=3)
        | st.sampled_from(["case-0", "flag-0", "\ud800"])
        | st.binary(max_size=3)
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.sampled_from(["field_0", "field_1", "x"]), inner, max_size=2)
            | inner.map(Some)
            | inner.map(Ok)
            | inner.map(Err)
            | inner.map(lambda value: SimpleNamespace(wit_case="case-0", value=value))
            | inner.map(lambda value: SimpleNamespace(field_0=value, field_1=value))
        ),
        max_leaves=5,
    )
