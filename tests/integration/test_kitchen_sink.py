"""Every WIT type in parameters and results, of functions of both sides."""

from __future__ import annotations

import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink import wit_text
from components.kitchen_sink.catalogue import ECHOED, GATHERED
from components.kitchen_sink.wit_types import Result, Type
from tests.integration.catalogue_values import Values
from tests.integration.conftest import Load

VALUES, ECHO = "demo:kitchen-sink/values@1.0.0", "demo:kitchen-sink/echo@1.0.0"
FUNCTIONS: dict[str, tuple[Type, ...]] = {
    **{f"echo-{name}": (type_,) for name, type_ in ECHOED.items()},
    **GATHERED,
}


class Thing:
    """The host's side of the imported resource."""

    dropped: list[str]

    def __init__(self, label: str) -> None:
        self.text = label

    def label(self) -> str:
        return self.text

    def set_label(self, label: str) -> None:
        self.text = label

    def longer(self, other: Thing) -> str:
        return max(self.text, other.text, key=len)

    @classmethod
    def merge(cls, left: Thing, right: Thing) -> Thing:
        return cls(left.text + right.text)

    @classmethod
    def make(cls, label: str) -> Thing | None:
        return cls(label) if label else None

    def close(self) -> None:
        self.dropped.append(self.text)


class Host:
    """Everything that the kitchen sink imports; values are answered with themselves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.notes: list[tuple[str, int | None]] = []
        self.values = {name: self.answer(name, len(types)) for name, types in FUNCTIONS.items()}
        self.convert = {"square-feet": lambda square_metres: square_metres * 10.5}
        self.dropped: list[str] = []
        self.things = SimpleNamespace(
            Thing=type("Thing", (Thing,), {"dropped": self.dropped}),
            reverse=lambda things: things[::-1],
            dropped=lambda: 0,
        )

    def answer(self, name: str, count: int) -> Any:
        if count == 1:

            def answer(value: Any) -> Any:
                self.asked.append(name)
                return value

            return answer

        def gather(*values: Any) -> Any:
            self.asked.append(name)
            return values

        return gather

    def twice(self, value: int) -> int:
        return 2 * value

    def note(self, text: str, level: int | None) -> None:
        self.notes.append((text, level))


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("kitchen_sink", marks=pytest.mark.toolchain("cargo")),
        pytest.param("kitchen_sink_py", marks=pytest.mark.toolchain("componentize-py")),
    ],
)
def sandbox(request: pytest.FixtureRequest, load: Load, host: Host) -> Any:
    with load(request.param).instantiate(host) as sandbox:
        yield sandbox


def test_the_wit_is_what_the_catalogue_says() -> None:
    folder = Path(wit_text.__file__).parent / "wit"
    kept = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.wit")}
    assert kept == wit_text.files()


@pytest.mark.hypervisor
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_come_back(sandbox: hlwasm.Sandbox, host: Host, name: str) -> None:
    types = FUNCTIONS[name]
    source = random.Random(name)
    values = Values(sandbox.exports[VALUES], source)
    for interface, asked in ((ECHO, []), (VALUES, [name])):
        function = sandbox.exports[interface][name]
        for _ in range(20):
            arguments = tuple(values.value(type_) for type_ in types)
            host.asked.clear()
            # Of a function, the error arm is raised and the other one returned.
            if isinstance(types[0], Result) and isinstance(arguments[0], hlwasm.Err):
                with pytest.raises(hlwasm.Err) as caught:
                    function(*arguments)
                assert caught.value == arguments[0]
            elif isinstance(types[0], Result):
                assert function(*arguments) == arguments[0].value
            elif len(types) == 1:
                assert function(*arguments) == arguments[0]
            else:
                assert function(*arguments) == arguments
            assert host.asked == asked


@pytest.mark.hypervisor
def test_signs_of_zero_and_nan(sandbox: hlwasm.Sandbox) -> None:
    echo = sandbox.exports[ECHO]
    for function in (echo.echo_f32, echo.echo_f64):
        assert math.copysign(1, function(-0.0)) == -1
        assert math.isnan(function(math.nan))
    nans = echo.echo_list_f64([math.nan, -0.0, 1e308])
    assert math.isnan(nans[0])
    assert nans[1:] == [0.0, 1e308]


@pytest.mark.hypervisor
def test_functions_of_the_world(sandbox: hlwasm.Sandbox, host: Host) -> None:
    assert sandbox.exports.thrice(7) == 21
    host.notes.clear()
    assert sandbox.exports.touch() is None
    assert host.notes == [("touched", 7), ("", None)]


@pytest.mark.hypervisor
@pytest.mark.parametrize("count", [1, 100_000])
def test_long_lists(sandbox: hlwasm.Sandbox, count: int) -> None:
    for interface in (ECHO, VALUES):
        values = sandbox.exports[interface]
        assert values["echo-list-u64"](range(count)) == list(range(count))
        assert values["echo-list-u8"](b"x" * count) == b"x" * count
        assert values["echo-string"]("ß" * count) == "ß" * count
    points = [values.Point(x=float(i), y=-float(i)) for i in range(count // 10)]
    assert sandbox.exports[ECHO]["echo-list-point"](points) == points


@pytest.fixture
def sink(load: Load) -> Any:
    host = Host()
    with load("kitchen_sink").instantiate(host) as sandbox:
        yield SimpleNamespace(
            sandbox=sandbox, host=host, things=sandbox.exports["demo:kitchen-sink/things@1.0.0"]
        )


@pytest.mark.hypervisor
@pytest.mark.toolchain("cargo")
class TestResources:
    """Handles in every direction: each of the component's things holds one of the host's."""

    def test_methods(self, sink: Any) -> None:
        one, two = sink.things.Thing("one"), sink.things.Thing("number two")
        assert one.longer(two) == "number two"
        one.set_label("a very long label")
        assert one.longer(two) == two.longer(one) == one.label() == "a very long label"
        assert one.longer(one) == one.label()

    def test_dropping_reaches_the_host(self, sink: Any) -> None:
        with sink.things.Thing("one") as one:
            assert one.label() == "one"
            assert sink.host.dropped == []
        assert sink.host.dropped == ["one"]
        assert sink.things.dropped() == 1
        with pytest.raises(hlwasm.HlwasmError):
            one.label()
        one.drop()
        assert sink.things.dropped() == 1

    def test_unreferenced_things_are_dropped_before_the_next_call(self, sink: Any) -> None:
        thing = sink.things.Thing("forgotten")
        thing.label()
        del thing
        assert sink.things.dropped() == 1
        assert sink.host.dropped == ["forgotten"]

    def test_consuming(self, sink: Any) -> None:
        left, right = sink.things.Thing("left"), sink.things.Thing("right")
        merged = sink.things.Thing.merge(left, right)
        assert merged.label() == "leftright"
        assert sink.things.dropped() == 2
        for gone in (left, right):
            with pytest.raises(hlwasm.HlwasmError):
                gone.label()

    def test_a_refused_call_takes_nothing_away(self, sink: Any) -> None:
        one, gone = sink.things.Thing("one"), sink.things.Thing("gone")
        gone.drop()
        with pytest.raises(hlwasm.WitValueError, match="dropped or given away"):
            sink.things.Thing.merge(one, gone)
        with pytest.raises(hlwasm.WitValueError, match="dropped or given away"):
            sink.things.reverse([one, gone])
        assert one.label() == "one"

    def test_in_lists_and_options(self, sink: Any) -> None:
        things = [sink.things.Thing.make(label) for label in ("a", "b", "c")]
        assert sink.things.Thing.make("") is None
        back = sink.things.reverse(things)
        assert [thing.label() for thing in back] == ["c", "b", "a"]
        assert sink.things.reverse([]) == []
        for thing in back:
            thing.drop()
        assert sorted(sink.host.dropped) == ["a", "b", "c"]

    def test_things_of_another_sandbox_are_refused(self, sink: Any, load: Load) -> None:
        with load("kitchen_sink").instantiate(Host()) as other:
            foreign = other.exports["demo:kitchen-sink/things@1.0.0"].Thing("foreign")
            own = sink.things.Thing("own")
            with pytest.raises(hlwasm.WitValueError, match="another sandbox"):
                own.longer(foreign)
            with pytest.raises(hlwasm.WitValueError, match="another sandbox"):
                sink.things.reverse([foreign])
            assert own.label() == "own"
            assert foreign.label() == "foreign"

    def test_closing_the_sandbox_closes_the_host_s_things(self, load: Load) -> None:
        host = Host()
        with load("kitchen_sink").instantiate(host) as sandbox:
            things = sandbox.exports["demo:kitchen-sink/things@1.0.0"]
            kept = [things.Thing("x"), things.Thing("y")]
            assert kept[0].label() == "x"
        assert sorted(host.dropped) == ["x", "y"]
        with pytest.raises(hlwasm.SandboxClosed):
            kept[0].label()

    def test_many_handles(self, sink: Any) -> None:
        things = [sink.things.Thing(str(number)) for number in range(2000)]
        assert [thing.label() for thing in things] == [str(number) for number in range(2000)]
        for thing in things:
            thing.drop()
        assert sink.things.dropped() == 2000


@pytest.mark.hypervisor
@pytest.mark.toolchain("cargo")
def test_two_versions_of_one_package(sink: Any) -> None:
    exports = sink.sandbox.exports
    first, second = exports["demo:shapes/areas@0.1.0"], exports["demo:shapes/areas@0.2.0"]
    assert first.area(first.Rectangle(width=6, height=7)) == 42
    assert second.area(second.Rectangle(width=2.0, height=3.0, label="x")) == 63.0
    with pytest.raises(AttributeError, match="ambiguous"):
        exports.areas  # noqa: B018


@pytest.mark.hypervisor
@pytest.mark.toolchain("cargo")
@pytest.mark.parametrize(
    ("name", "value", "error", "path"),
    [
        ("echo-u8", 256, hlwasm.WitValueError, "value"),
        ("echo-s64", -(2**63) - 1, hlwasm.WitValueError, "value"),
        ("echo-char", "ab", hlwasm.WitValueError, "value"),
        ("echo-char", "\ud800", hlwasm.WitValueError, "value"),
        ("echo-string", "a\udfff", hlwasm.WitValueError, "value"),
        ("echo-string", b"bytes", hlwasm.WitTypeError, "value"),
        ("echo-list-string", "text", hlwasm.WitTypeError, "value"),
        ("echo-list-string", ["a", 1], hlwasm.WitTypeError, r"value\[1\]"),
        ("echo-list-u8", [1, 300], hlwasm.WitValueError, r"value\[1\]"),
        ("echo-tuple2", (1,), hlwasm.WitValueError, "value"),
        ("echo-tuple2", (1, 2), hlwasm.WitTypeError, r"value\[1\]"),
        ("echo-point", {"x": 1.0}, hlwasm.ConversionError, "value"),
        ("echo-point", {"x": 1.0, "y": "2"}, hlwasm.WitTypeError, r"value\.y"),
        ("echo-color", "purple", hlwasm.WitValueError, "value"),
        ("echo-color", 1, hlwasm.WitTypeError, "value"),
        ("echo-flags8", 256, hlwasm.WitValueError, "value"),
        ("echo-flags8", {"f9"}, hlwasm.WitValueError, "value"),
        ("echo-mixed", SimpleNamespace(wit_case="none"), hlwasm.WitValueError, "value"),
        ("echo-mixed", 5, hlwasm.WitTypeError, "value"),
        ("echo-option-option", 5, hlwasm.WitTypeError, "value"),
        ("echo-result-both", 5, hlwasm.WitTypeError, "value"),
    ],
)
def test_wrong_values_name_their_place(
    sink: Any, name: str, value: object, error: type[Exception], path: str
) -> None:
    with pytest.raises(error, match=rf"echo\.{name}: parameter {path}(\W|$)".replace("-", "[-_]")):
        sink.sandbox.exports[ECHO][name](value)
    assert sink.sandbox.exports[ECHO]["echo-u8"](1) == 1
