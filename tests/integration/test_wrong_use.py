"""What users get wrong from Python: each is refused by one line that says what is meant."""

from __future__ import annotations

import copy
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.bindgen.runtime import World, exports_of
from hlwasm.testing import Fakes, conformance, fuzz, strategies
from tests.wit_packages import package

pytestmark = pytest.mark.hypervisor

IMPORTS = {"log": lambda message: None}


@pytest.fixture
def component(component_path: Callable[[str], Path]) -> hlwasm.Component:
    return hlwasm.load(component_path("calculator"))


def test_what_never_changes_is_its_own_copy(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        snapshot = sandbox.snapshot()
        for thing in (component, snapshot, component.artifact):
            assert copy.copy(thing) is thing
            assert copy.deepcopy([thing])[0] is thing
            with pytest.raises(TypeError, match="cannot be pickled: "):
                pickle.dumps(thing)
        assert sandbox.exports.ops.add(2, 3) == 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_sandboxes_are_forked_not_copied(
    component: hlwasm.Component, copied: Callable[[object], object]
) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        with pytest.raises(TypeError, match=r"neither copied nor pickled: fork\(\) makes"):
            copied(sandbox)
        assert sandbox.exports.ops.add(2, 3) == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"limits": 5}, "limits: expected hlwasm.Limits, not int"),
        ({"wasi": {"args": []}}, "wasi: expected hlwasm.Wasi, not dict"),
    ],
)
def test_arguments_of_another_type(
    component: hlwasm.Component, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(TypeError) as refused:
        component.instantiate(IMPORTS, **given)
    assert str(refused.value) == expected


def test_restoring_to_what_is_no_snapshot(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        for wrong in (5, component, sandbox):
            with pytest.raises(TypeError, match=r"expected a hlwasm\.Snapshot, not "):
                sandbox.restore(wrong)  # type: ignore[arg-type]
        assert sandbox.exports.ops.add(2, 3) == 5


def test_a_wit_package_is_no_component() -> None:
    with pytest.raises(hlwasm.UnsupportedItem, match="this is a WIT package, which has no") as no:
        hlwasm.load(package())
    assert no.value.item == "a WIT package"


def test_a_world_of_no_wit(component_path: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="world='calculator' says which world of wit="):
        hlwasm.load(component_path("calculator"), world="calculator")


def test_a_misspelt_import_and_a_class_in_place_of_its_object(component: hlwasm.Component) -> None:
    with pytest.raises(hlwasm.LinkError) as refused:
        component.instantiate({"logg": print})
    assert refused.value.problems == (
        "log: missing",
        "logg: not an import; the component imports log; did you mean 'log'?",
    )

    class Host:
        def log(self, message: str) -> None: ...

    with pytest.raises(hlwasm.LinkError, match="give an object of the class, not the class"):
        component.instantiate(Host)
    component.instantiate(Host()).close()


def test_an_export_is_no_attribute_of_the_sandbox(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as sandbox:
        with pytest.raises(AttributeError) as refused:
            sandbox.ops  # type: ignore[attr-defined]  # noqa: B018
        assert str(refused.value) == (
            "'Sandbox' object has no attribute 'ops': the component exports it, "
            "as sandbox.exports.ops"
        )
        with pytest.raises(AttributeError) as refused:
            sandbox.snapshott  # type: ignore[attr-defined]  # noqa: B018
        shown = "".join(traceback.format_exception(refused.value)).splitlines()[-1]
        plain = "AttributeError: 'Sandbox' object has no attribute 'snapshott'"
        assert shown.startswith(plain)
        if sys.version_info >= (3, 12):
            assert shown == f"{plain}. Did you mean: 'snapshot'?"
        assert not hasattr(sandbox, "__array_interface__")
    half_made = hlwasm.Sandbox.__new__(hlwasm.Sandbox)
    with pytest.raises(AttributeError, match=r"has no attribute 'ops'$"):
        half_made.ops  # type: ignore[attr-defined]  # noqa: B018


def test_types_that_there_are_not(component: hlwasm.Component) -> None:
    wrong_types: dict[str | int, str] = {
        "s31": "there is no primitive type 's31': did you mean 's32'?; there are bool, char, ",
        "failure": "'failure' is type ",
        99: "there is no type 99: the component has ",
        -1: "there is no type -1: ",
    }
    for wrong, message in wrong_types.items():
        with pytest.raises(ValueError) as refused:
            strategies.values(component, wrong)
        assert str(refused.value).startswith(message)
    others: list[Any] = [None, 0.5, True, ["s32"]]
    for other in others:
        with pytest.raises(TypeError, match="expected the name of a primitive type, not "):
            strategies.values(component, other)


def test_exports_of_what_is_no_sandbox(component: hlwasm.Component) -> None:
    for wrong in (5, component, None):
        with pytest.raises(TypeError, match=r"expected a sandbox or pool, not \w+$"):
            exports_of(World("w", {}, {}, {}, {}), wrong)


@pytest.mark.parametrize(
    "use",
    [
        lambda path: Fakes(path),
        lambda path: fuzz(path, examples=1),
        lambda path: conformance(path, "no.wit"),
        lambda path: strategies.calls(path),
    ],
)
def test_a_path_in_place_of_a_component(use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"expected a hlwasm\.Component, .* not PosixPath"):
        use(Path("plugin.wasm"))
