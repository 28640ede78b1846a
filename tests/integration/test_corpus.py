"""Every WIT type in parameters and results, of functions of both sides, in four languages.

The functions are those of the kitchen sink (``components/kitchen_sink/catalogue.py``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink import wit_text
from components.kitchen_sink.catalogue import FUNCTIONS, WORLD_FUNCTIONS, Signature
from components.kitchen_sink.core_text import ECHO, VALUES
from components.kitchen_sink.wit_types import Result
from tests.integration.catalogue_values import Values
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host

IN_JAVASCRIPT = pytest.param("kitchen_sink_js", marks=pytest.mark.toolchain("node"))
WITH_WORLD_FUNCTIONS = [
    pytest.param("kitchen_sink", marks=pytest.mark.toolchain("cargo")),
    pytest.param("kitchen_sink_c", marks=pytest.mark.toolchain("cargo", "ziglang")),
    pytest.param("kitchen_sink_py", marks=pytest.mark.toolchain("componentize-py")),
]


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.fixture(scope="module")
def sample(request: pytest.FixtureRequest) -> str:
    """Name of the kitchen sink in one language."""
    return str(request.param)


@pytest.fixture(scope="module")
def sandbox(sample: str, load: Load, host: Host) -> Iterator[hlwasm.Sandbox]:
    with load(sample).instantiate(host) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def exact(sample: str) -> int | None:
    """The largest integer that the language passes, if not all: JavaScript has doubles.

    (componentize-qjs 0.4.5 makes numbers of 64-bit integers, not BigInts.)
    """
    return 2**53 if sample == "kitchen_sink_js" else None


in_each_language = pytest.mark.parametrize(
    "sample", [*WITH_WORLD_FUNCTIONS, IN_JAVASCRIPT], indirect=True
)
# componentize-qjs 0.4.5 does not find imported functions of the world.
in_most_languages = pytest.mark.parametrize("sample", WITH_WORLD_FUNCTIONS, indirect=True)


def test_the_wit_is_what_the_catalogue_says() -> None:
    folder = Path(wit_text.__file__).parent / "wit"
    kept = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.wit")}
    assert kept == wit_text.files()


@pytest.mark.hypervisor
@in_each_language
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_come_back(
    sandbox: hlwasm.Sandbox, host: Host, exact: int | None, name: str
) -> None:
    exports = sandbox.exports
    values = Values(exports[VALUES], random.Random(name), exact)
    for interface, asked in ((ECHO, []), (VALUES, [name])):
        for _ in range(20):
            host.asked.clear()
            check(exports[interface][name], FUNCTIONS[name], values)
            assert host.asked == asked


@pytest.mark.hypervisor
@in_most_languages
@pytest.mark.parametrize("name", WORLD_FUNCTIONS)
def test_values_of_the_world_come_back(sandbox: hlwasm.Sandbox, host: Host, name: str) -> None:
    values = Values(sandbox.exports[VALUES], random.Random(name))
    for _ in range(20):
        host.asked.clear()
        check(sandbox.exports[name], WORLD_FUNCTIONS[name], values)
        assert host.asked == [name]


def check(function: Any, signature: Signature, values: Values) -> None:
    """Calls a function with random arguments; they must come back, down to signs and types."""
    arguments = tuple(values.value(type_) for _, type_ in signature.parameters)
    try:
        result = function(*arguments)
    except hlwasm.Err as error:
        # Of a function, the error arm is raised and the payload of the other one returned.
        assert isinstance(signature.result, Result)
        result = error
    else:
        if isinstance(signature.result, Result):
            result = hlwasm.Ok(result)
    expected = arguments if len(arguments) > 1 else arguments[0]
    assert result == expected
    assert repr(result) == repr(expected)


@pytest.mark.hypervisor
@in_each_language
def test_signs_of_zero_and_nan(sandbox: hlwasm.Sandbox) -> None:
    echo = sandbox.exports[ECHO]
    for function in (echo.echo_f32, echo.echo_f64):
        assert math.copysign(1, function(-0.0)) == -1
        assert math.isnan(function(math.nan))
    nans = echo.echo_list_f64([math.nan, -0.0, 1e308])
    assert math.isnan(nans[0])
    assert nans[1:] == [0.0, 1e308]


@pytest.mark.hypervisor
@in_most_languages
def test_functions_of_the_world(sandbox: hlwasm.Sandbox, host: Host) -> None:
    assert sandbox.exports.thrice(7) == 21
    host.notes.clear()
    assert sandbox.exports.touch() is None
    assert host.notes == [("touched", 7), ("", None)]


@pytest.mark.hypervisor
@in_each_language
@pytest.mark.parametrize("count", [1, 100_000])
def test_long_lists(sandbox: hlwasm.Sandbox, count: int) -> None:
    for interface in (ECHO, VALUES):
        values = sandbox.exports[interface]
        assert values["echo-list-u64"](range(count)) == list(range(count))
        assert values["echo-list-u8"](b"x" * count) == b"x" * count
        assert values["echo-string"]("ß" * count) == "ß" * count
    points = [values.Point(x=float(i), y=-float(i)) for i in range(count // 10)]
    assert sandbox.exports[ECHO]["echo-list-point"](points) == points
