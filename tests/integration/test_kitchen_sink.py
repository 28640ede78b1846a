"""Resources and package versions of the kitchen sink; its values are in test_corpus.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host


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
        with pytest.raises(hlwasm.WitValueError, match="parameter right: this thing was dropped"):
            sink.things.Thing.merge(one, gone)
        with pytest.raises(
            hlwasm.WitValueError, match=r"parameter things\[1\]: this thing was dropped"
        ):
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
