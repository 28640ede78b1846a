"""Arrays and views for every function of the kitchen sink, in micro-VMs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hlwasm
from components.build import BUILD
from components.kitchen_sink.catalogue import FUNCTIONS
from components.kitchen_sink.core_text import ECHO, VALUES
from components.kitchen_sink.wit_types import Result
from hlwasm.wit.model import NumberLists
from tests.integration.catalogue_values import Values
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host
from tests.plain_values import plainly

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


@pytest.fixture(scope="module")
def load_as(component_path: Callable[[str], Path]) -> Callable[[str, NumberLists], Any]:
    """Loads a sample with lists of numbers of this kind."""
    cache = hlwasm.Cache(BUILD / "artifacts")

    def load_as(name: str, number_lists: NumberLists) -> hlwasm.Component:
        return hlwasm.load(component_path(name), cache=cache, number_lists=number_lists)

    return load_as


def result_of(call: Callable[[], Any], expected: Any, fallible: bool) -> tuple[Any, Any]:
    """What a call returns or raises, and what it should."""
    try:
        return call(), expected.value if fallible else expected
    except hlwasm.Err as error:
        return error, expected


@pytest.mark.parametrize("number_lists", ["array", "numpy"])
def test_values_come_back(load_as: Any, number_lists: NumberLists) -> None:
    host = Host()
    with load_as("kitchen_sink", number_lists).instantiate(host) as sandbox:
        exports = sandbox.exports
        for name, signature in FUNCTIONS.items():
            values = Values(exports[VALUES], random.Random(name))
            for _ in range(3):
                arguments = tuple(values.value(type_) for _, type_ in signature.parameters)
                fallible = isinstance(signature.result, Result)
                for interface in (ECHO, VALUES):
                    function = exports[interface][name]
                    result, expected = result_of(
                        lambda f=function, a=arguments: f(*a),  # type: ignore[misc]
                        arguments if len(arguments) > 1 else arguments[0],
                        fallible,
                    )
                    assert plainly(result) == plainly(expected), name


def test_views_of_all_results(load: Load) -> None:
    with load("kitchen_sink").instantiate(Host()) as sandbox:
        exports = sandbox.exports
        for name, signature in FUNCTIONS.items():
            values = Values(exports[VALUES], random.Random(name))
            function = exports[ECHO][name]
            for _ in range(3):
                arguments = tuple(values.value(type_) for _, type_ in signature.parameters)
                fallible = isinstance(signature.result, Result)
                expected: Any = arguments if len(arguments) > 1 else arguments[0]
                try:
                    with hlwasm.view(function, *arguments) as result:
                        wanted = expected.value if fallible else expected
                        assert plainly(result) == plainly(wanted), name
                except hlwasm.Err as error:
                    assert error == expected


def test_host_functions_get_and_give_arrays(load_as: Any) -> None:
    host = Host()
    seen: list[Any] = []

    def doubled(value: Any) -> Any:
        seen.append(value)
        return value * 2

    host.values["echo-list-f64"] = doubled
    with load_as("kitchen_sink", "numpy").instantiate(host) as sandbox:
        result = sandbox.exports[VALUES].echo_list_f64(np.arange(5.0)[::2])
        assert type(seen[0]) is type(result) is np.ndarray
        assert result.tolist() == [0.0, 4.0, 8.0]
        # The host's argument is its own, and not the memory that the guest goes on with.
        sandbox.exports[VALUES].echo_list_f64([1.0])
        assert seen[0].tolist() == [0.0, 2.0, 4.0]


def test_fields_and_tuples(load_as: Any) -> None:
    component = load_as("image_filter_rs", "numpy")
    with component.instantiate({"progress": lambda done, total: True}) as sandbox:
        filters = sandbox.exports.filters
        pixels = np.full((4, 4, 4), 9, "u1")
        picture = filters.apply(filters.Picture(2, 4, pixels[::2]), [])
        assert type(picture.pixels) is np.ndarray
        assert picture.pixels.reshape(4, 2, 4).tolist() == pixels[::2].reshape(4, 2, 4).tolist()
        red, green, blue = filters.histogram(picture)
        assert red.dtype == np.uint32
        assert red[9] == green[9] == blue[9] == 8


def test_forks_snapshots_and_pools_have_them_too(load_as: Any) -> None:
    component = load_as("kitchen_sink", "numpy")
    with component.instantiate(Host()) as sandbox:
        with sandbox.fork() as fork:
            assert type(fork.exports[ECHO].echo_list_s32([1])) is np.ndarray
        with sandbox.snapshot().instantiate(Host()) as clone:
            assert type(clone.exports[ECHO].echo_list_s32([1])) is np.ndarray
    with hlwasm.Pool(component, imports=Host(), size=1) as pool:
        assert type(pool.exports[ECHO].echo_list_s32([1])) is np.ndarray
