"""Python values that do not fit, at each place of each type: messages say where.

Arguments of guest functions and results of host functions, by the plain codec and the
generated one. The types are the corpus'.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink import wit_types as wit
from components.kitchen_sink.catalogue import FUNCTIONS
from components.kitchen_sink.core_text import ECHO, VALUES
from hlwasm.wit.names import snake_case
from tests.integration.catalogue_values import Values
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


# Of the 32 kinds of flags a few will do.
NAMES = [name for name in FUNCTIONS if not re.fullmatch("echo-flags[2-7]|echo-flags.[02-9]", name)]


class Nothing:
    """A value of no WIT type."""


NOTHING = Nothing()


def spoilt(type_: wit.Type, value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The value with something wrong in one place, for each place, and the place's path."""
    yield NOTHING, path
    if isinstance(type_, wit.Alias):
        yield from spoilt(type_.target, value, path)
    elif isinstance(type_, wit.Record):
        for name, inner in type_.fields:
            field = snake_case(name)
            for wrong, place in spoilt(inner, getattr(value, field), f"{path}.{field}"):
                yield dataclasses.replace(value, **{field: wrong}), place
    elif isinstance(type_, wit.Tuple):
        for i, inner in enumerate(type_.items):
            for wrong, place in spoilt(inner, value[i], f"{path}[{i}]"):
                yield (*value[:i], wrong, *value[i + 1 :]), place
    elif isinstance(type_, wit.List):
        for i, item in enumerate(value):
            for wrong, place in spoilt(type_.element, item, f"{path}[{i}]"):
                yield [*value[:i], wrong, *value[i + 1 :]], place
    elif isinstance(type_, wit.Option) and value is not None:
        some = isinstance(value, hlwasm.Some)
        for wrong, place in spoilt(type_.value, value.value if some else value, path):
            yield (hlwasm.Some(wrong) if some else wrong), place
    elif isinstance(type_, wit.Result):
        payload, step = (type_.ok, "ok") if isinstance(value, hlwasm.Ok) else (type_.error, "err")
        for wrong, place in spoilt(payload, value.value, f"{path}.{step}") if payload else ():
            yield type(value)(wrong), place
    elif isinstance(type_, wit.Variant):
        [(step, payload)] = [each for each in type_.cases if each[0] == value.wit_case]
        for wrong, place in spoilt(payload, value.value, f"{path}.{step}") if payload else ():
            yield type(value)(wrong), place


def some(found: Iterator[tuple[Any, str]], count: int, source: random.Random) -> list[Any]:
    """Not all places of large values, but the deepest one."""
    places = list(found)
    deepest = max(places, key=lambda place: place[1].count(".") + place[1].count("["))
    return [deepest, *source.sample(places, min(count, len(places)))]


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.fixture(scope="module")
def sandbox(load: Load, host: Host) -> Iterator[hlwasm.Sandbox]:
    with load("kitchen_sink").instantiate(host) as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", NAMES)
def test_arguments(sandbox: hlwasm.Sandbox, name: str) -> None:
    source = random.Random(name)
    values = Values(sandbox.exports[VALUES], source)
    function = sandbox.exports[ECHO][name]
    parameters = FUNCTIONS[name].parameters
    for _ in range(4):
        arguments = [values.value(type_) for _, type_ in parameters]
        for i, (parameter, type_) in enumerate(parameters):
            where = f"echo.{function.__name__}: parameter {snake_case(parameter)}"
            for wrong, path in some(spoilt(type_, arguments[i], where), 10, source):
                with pytest.raises(hlwasm.WitTypeError) as caught:
                    function(*arguments[:i], wrong, *arguments[i + 1 :])
                assert caught.value.path == path
                assert str(caught.value).startswith(f"{path}: expected ")
                assert str(caught.value).endswith(", got Nothing")
    # Nothing of it reached the guest.
    assert sandbox.status is hlwasm.Status.READY


@pytest.mark.parametrize("name", NAMES)
def test_results_of_host_functions(load: Load, name: str) -> None:
    source = random.Random(name)
    host = Host()
    answers: list[Any] = []
    host.values[name] = lambda *_: answers.pop()
    with load("kitchen_sink").instantiate(host) as sandbox:
        fresh = sandbox.snapshot()
        values = Values(sandbox.exports[VALUES], source)
        function = sandbox.exports[VALUES][name]
        signature = FUNCTIONS[name]
        for _ in range(3):
            arguments = [values.value(type_) for _, type_ in signature.parameters]
            result = arguments[0] if len(arguments) == 1 else tuple(arguments)
            where = f"values.{function.__name__}: result"
            for wrong, path in some(spoilt(signature.result, result, where), 3, source):
                answers.append(wrong)
                with pytest.raises(hlwasm.WitTypeError) as caught:
                    function(*arguments)
                # What is no result at all is taken for the payload of a good one.
                taken_for = {path, f"{path}.ok"} if wrong is NOTHING else {path}
                assert caught.value.path in taken_for
                # The guest waits for an answer that it will not get.
                assert sandbox.status is hlwasm.Status.POISONED
                sandbox.restore(fresh)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("echo-u8", 256, hlwasm.WitValueError, "value: 256 does not fit u8 (0 to 255)"),
        ("echo-u8", True, hlwasm.WitTypeError, "value: expected u8, got bool True"),
        ("echo-u8", 1.0, hlwasm.WitTypeError, "value: expected u8, got float 1.0"),
        ("echo-bool", 1, hlwasm.WitTypeError, "value: expected bool, got int 1"),
        ("echo-list-u8", [1, 300], hlwasm.WitValueError, "value[1]: 300 does not fit u8"),
        ("echo-list-s16", [0] * 9 + [2**15], hlwasm.WitValueError, "value[9]: 32768 does not"),
        ("echo-char", "ab", hlwasm.WitValueError, "value: expected one character for char"),
        ("echo-char", "\ud800", hlwasm.WitValueError, "value: '\\ud800' is a surrogate"),
        ("echo-string", "a\udfff", hlwasm.WitValueError, "value: the string has a surrogate at 1"),
        ("echo-list-string", ["a", "\ud800"], hlwasm.WitValueError, "value[1]: the string has"),
        ("echo-list-string", "text", hlwasm.WitTypeError, "value: expected list<string>, got str"),
        ("echo-tuple2", (1,), hlwasm.WitValueError, "value: expected 2 values for tuple<u64, str"),
        ("echo-color", "purple", hlwasm.WitValueError, "value: color has no case 'purple'"),
        ("echo-color", 1, hlwasm.WitTypeError, "value: expected a member of color"),
        ("echo-flags8", 256, hlwasm.WitValueError, "value: "),
        ("echo-flags8", {"f9"}, hlwasm.WitValueError, "value: flags8 has no flag 'f9'"),
        ("echo-mixed", SimpleNamespace(wit_case="x"), hlwasm.WitValueError, "value: mixed has no"),
        ("echo-f32", "1", hlwasm.WitTypeError, "value: expected f32, got str '1'"),
        ("echo-option-option", 5, hlwasm.WitTypeError, "value: expected Some or None for option<"),
        ("echo-result-both", 5, hlwasm.WitTypeError, "value: expected Ok or Err for result<u64"),
        ("echo-point", {"x": 1.0, "y": "2"}, hlwasm.WitTypeError, "value.y: expected f64, got str"),
        ("echo-keywords", {"class_": 1}, hlwasm.WitValueError, "value: keywords lacks import_, la"),
        (
            "echo-keywords",
            {"class_": 1, "import_": 2, "lambda_": True, "from_": None},
            hlwasm.WitTypeError,
            "value.import_: expected string, got int 2",
        ),
        (
            "echo-inner",
            {"points": [{"x": 1.0, "y": 2.0}, {"x": 1.0}], "kind": None, "bits": 0},
            hlwasm.WitValueError,
            "value.points[1]: point lacks y",
        ),
    ],
)
def test_values_out_of_range(
    sandbox: hlwasm.Sandbox, name: str, value: object, error: type[Exception], message: str
) -> None:
    function = sandbox.exports[ECHO][name]
    for _ in range(4):
        with pytest.raises(error) as caught:
            function(value)
        assert str(caught.value).startswith(f"echo.{snake_case(name)}: parameter {message}")
