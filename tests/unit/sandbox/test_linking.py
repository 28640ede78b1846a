"""Finding the Python callables behind a component's imports."""

from __future__ import annotations

import functools
import types
from typing import Any

import pytest

from hlwasm.errors import LinkError
from hlwasm.sandbox.imports import Linker
from hlwasm.sandbox.meter import CallMeter
from hlwasm.wit.model import Description
from tests.unit.sandbox.worlds import description, function, interface

HOST = "demo:calc/host@1.0.0"


def one_import(name: str = "get-it", params: int = 1) -> Description:
    return description(interfaces=[interface(HOST)], imports=[function(0, name, HOST, params)])


def link(world: Description, imports: Any, *providers: Any) -> dict[int, Any]:
    found = Linker(world, imports, providers).link()
    return {index: resolve() for index, resolve in found.items()}


def double(p0: int) -> int:
    return 2 * p0


@pytest.mark.parametrize("key", [HOST, "demo:calc/host", "host"])
def test_an_interface_is_found_by_full_and_short_names(key: str) -> None:
    assert link(one_import(), {key: {"get-it": double}})[0] is double


@pytest.mark.parametrize(
    "implementation",
    [
        {"get-it": double},
        {"get_it": double},
        types.SimpleNamespace(get_it=double),
    ],
)
def test_an_interface_may_be_a_mapping_or_an_object(implementation: Any) -> None:
    assert link(one_import(), {"host": implementation})[0] is double


def test_imports_as_a_whole_may_be_an_object() -> None:
    imports = types.SimpleNamespace(host=types.SimpleNamespace(get_it=double), log=double)
    world = description(
        interfaces=[interface(HOST)],
        imports=[function(0, "get-it", HOST, 1), function(1, "log", None, 1)],
    )
    assert link(world, imports) == {0: double, 1: double}


def test_the_most_exact_name_wins() -> None:
    other = lambda p0: 0  # noqa: E731
    assert link(one_import(), {"host": {"get-it": other}, HOST: {"get-it": double}})[0] is double


def test_everything_that_is_missing_is_named_at_once() -> None:
    world = description(
        interfaces=[interface(HOST), interface("demo:calc/log")],
        imports=[
            function(0, "get-it", HOST, 1),
            function(1, "put-it", HOST, 1),
            function(2, "write", "demo:calc/log", 1),
            function(3, "now", None),
        ],
    )
    with pytest.raises(LinkError) as caught:
        link(world, {"host": {"get-it": double}})
    assert caught.value.problems == (
        f"{HOST}#put-it: missing",
        "demo:calc/log: missing, with write",
        "now: missing",
    )
    for problem in caught.value.problems:
        assert problem in str(caught.value)


def defaults(p0: int, p1: int = 0, p2: int = 0) -> int:
    return p0


def any_number(*values: int) -> int:
    return len(values)


def by_name_only(p0: int, p1: int, *, flag: bool) -> int:
    return p0


def by_name_with_default(p0: int, p1: int, *, flag: bool = True) -> int:
    return p0


class Bound:
    def method(self, p0: int, p1: int) -> int:
        return p0


@pytest.mark.parametrize(
    ("implementation", "fits"),
    [
        (defaults, True),
        (any_number, True),
        (by_name_with_default, True),
        (Bound().method, True),
        (max, True),
        (functools.wraps(defaults)(lambda *values: 0), True),
        (double, False),
        (by_name_only, False),
        (Bound.method, False),
        (lambda: 0, False),
    ],
)
def test_functions_that_take_two_arguments_fit(implementation: Any, fits: bool) -> None:
    world = one_import(params=2)
    if fits:
        assert link(world, {"host": {"get-it": implementation}})[0] is implementation
    else:
        with pytest.raises(LinkError, match="takes 2 arguments"):
            link(world, {"host": {"get-it": implementation}})


def test_what_cannot_be_called_or_takes_other_arguments_is_named() -> None:
    with pytest.raises(LinkError, match="get-it: int is not callable"):
        link(one_import(), {"host": {"get-it": 3}})
    with pytest.raises(LinkError, match=r"get-it: takes 2 arguments \(p0, p1\), but got \(p0"):
        link(one_import(params=2), {"host": {"get-it": double}})


def test_a_misspelt_interface_is_named() -> None:
    with pytest.raises(LinkError, match="hots: not an import; the component imports demo:calc"):
        link(one_import(), {"hots": {"get-it": double}, "host": {"get-it": double}})


def test_private_attributes_are_never_imports() -> None:
    class Sly:
        def __call__(self) -> None: ...

    world = description(imports=[function(0, "class", None)])
    with pytest.raises(LinkError, match="class: missing"):
        link(world, Sly())


class FakeWasi:
    asked = 0
    suspends = False

    def restartable(self, interface: str, function: str) -> bool:
        return False

    def provides(self, name: str) -> bool:
        return name == HOST

    def interface(self, name: str) -> Any:
        assert name == HOST
        self.asked += 1
        return {"get-it": double}

    def count_output(self, meter: CallMeter) -> None: ...

    def interrupt(self, error: BaseException) -> None: ...

    def clear_interrupt(self) -> None: ...

    def repeatable(self, interface: str, function: str) -> bool:
        return False

    def repeatable_answers(self) -> object: ...

    def capture(self) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def capture_resource(self, value: object) -> None: ...

    def restore_resource(self, token: Any) -> object: ...

    def close(self) -> None: ...


def test_providers_come_after_what_the_user_gave() -> None:
    other = lambda p0: 0  # noqa: E731
    assert link(one_import(), None, FakeWasi())[0] is double
    assert link(one_import(), {"host": {"get-it": other}}, FakeWasi())[0] is other


def test_what_is_provided_is_not_looked_up_before_it_is_called() -> None:
    wasi = FakeWasi()
    linked = Linker(one_import(), None, [wasi]).link()
    assert wasi.asked == 0
    assert linked[0]() is double
    assert wasi.asked == 1


class TestResources:
    WORLD = description(
        types=[{"kind": "resource", "name": "blob", "interface": HOST, "side": "host"}],
        interfaces=[interface(HOST, types={"blob": 0})],
        imports=[
            function(0, "[constructor]blob", HOST, 1, "constructor", 0),
            function(1, "[method]blob.read-at", HOST, 2, "method", 0),
            function(2, "[static]blob.merge", HOST, 2, "static", 0),
        ],
    )

    class Blob:
        def __init__(self, size: int) -> None:
            self.size = size

        def read_at(self, offset: int) -> int:
            return self.size - offset

        @staticmethod
        def merge(a: int, b: int) -> int:
            return a + b

    def test_a_class_serves_a_resource(self) -> None:
        linked = link(self.WORLD, {"host": {"Blob": self.Blob}})
        blob = linked[0](10)
        assert linked[1](blob, 3) == 7
        assert linked[2](1, 2) == 3

    def test_a_method_that_the_class_lacks_is_named(self) -> None:
        class Half:
            def __init__(self, size: int) -> None: ...

        with pytest.raises(LinkError) as caught:
            link(self.WORLD, {"host": {"Blob": Half}})
        assert caught.value.problems == (
            f"{HOST}#[method]blob.read-at: missing",
            f"{HOST}#[static]blob.merge: missing",
        )


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_methods_and_functions_of_any_number_of_parameters(count: int) -> None:
    class Host:
        def exact(self, a: int, b: int) -> None: ...

        def many(self, *numbers: int) -> None: ...

        def one_and_many(self, a: int, *numbers: int) -> None: ...

    world = one_import(params=count)
    for implementation, fits in (
        (Host().exact, count == 2),
        (Host().many, True),
        (Host().one_and_many, count >= 1),
        (lambda *numbers: None, True),
    ):
        imports = {"host": {"get-it": implementation}}
        if fits:
            assert link(world, imports)[0] == implementation
        else:
            with pytest.raises(LinkError, match="takes"):
                link(world, imports)
