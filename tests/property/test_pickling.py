"""Values of any type survive pickling and copying, and their text evaluates to them."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hlwasm.wit.model import Description
from hlwasm.wit.values import Err, Ok, Some
from tests.property.strategies import types, values
from tests.unit.codec.worlds import World


@st.composite
def described_values(draw: st.DrawFn) -> tuple[Description, Any]:
    world = World()
    ref = draw(types(world))
    description = world.description()
    return description, draw(values(description, ref))


def names_of(description: Description) -> dict[str, Any]:
    indices = range(len(description.types))
    classes = [description.python_type(i) for i in indices if description.has_python_type(i)]
    return {"Err": Err, "Ok": Ok, "Some": Some, "inf": math.inf} | {
        cls.__name__: cls for cls in classes
    }


@settings(max_examples=150, deadline=None)
@given(described_values(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_values_come_back(case: tuple[Description, Any], protocol: int) -> None:
    description, value = case
    for copied in (
        pickle.loads(pickle.dumps(value, protocol)),
        copy.copy(value),
        copy.deepcopy(value),
        eval(repr(value), names_of(description)),
    ):
        assert (type(copied), copied) == (type(value), value)
