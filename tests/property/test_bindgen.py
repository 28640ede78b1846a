"""Generated packages of random worlds: their classes are what the codecs take and make."""

from __future__ import annotations

import pickle
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlwasm.bindgen.package import generate
from hlwasm.codec.functions import bind_export
from hlwasm.wit.model import Description
from tests.property.strategies import types, values
from tests.unit.bindgen.importing import import_package
from tests.unit.codec.worlds import EchoContext, World, echo


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world of one echoing function, whose value has a random type."""
    world = World()
    ref = draw(types(world))
    world.function("echo", {"value": world.tuple(ref)}, world.tuple(ref))
    return world


def parts(value: Any) -> list[Any]:
    """A value and everything in it."""
    found = [value]
    if isinstance(value, (list, tuple)):
        members = list(value)
    elif hasattr(value, "__match_args__"):
        members = [getattr(value, name) for name in value.__match_args__]
    else:
        members = []
    for member in members:
        found += parts(member)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random-bindings")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_values_of_the_packages_classes_go_and_come(
    folder: Path, world: World, data: st.DataObject
) -> None:
    description: Description = world.description()
    files = generate(description)
    package = import_package(files, "random_bindings", folder)
    structure: Any = package._structure
    structure.WORLD.bind(description, "a random component")
    function = description.exports[0]
    value = data.draw(values(description, function.params[0].type))
    context = EchoContext(1 << 20)
    echo(function, context)
    call = bind_export(function, context)
    # By the plain codec, and by generated code.
    for _ in range(2):
        back = call(value)
        assert back == value
        assert list(map(type, parts(back))) == list(map(type, parts(value)))
    modules = {name for name in sys.modules if name.startswith("random_bindings")}
    for part in parts(value):
        if hasattr(part, "__wit_name__"):
            assert type(part).__module__ in modules
            assert typing.get_type_hints(type(part)) is not None
    assert pickle.loads(pickle.dumps(value)) == value
