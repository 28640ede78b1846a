"""template_js: a component made by componentize-qjs, with QuickJS inside."""

from __future__ import annotations

from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("node")]


class Filters:
    """The interface that the host adds."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, str]] = []

    def names(self) -> list[str]:
        return ["shout", "fail"]

    def apply(self, name: str, text: str) -> str:
        self.applied.append((name, text))
        if name == "fail":
            raise hlwasm.Err("never works")
        return f"{text}!"


@pytest.fixture
def filters() -> Filters:
    return Filters()


@pytest.fixture
def engine(start: Start, filters: Filters) -> Any:
    return start("template_js", {"filters": filters}).exports.engine


def test_values_of_each_case(engine: Any) -> None:
    value = engine.Value
    values = [
        ("t", value.Text("Grüße 😀")),
        ("n", value.Number(-0.5)),
        ("yes", value.Truth(True)),
        ("list", value.Texts(["a", "b"])),
        ("none", value.Nothing()),
    ]
    text = engine.render("{{t}}|{{n}}|{{yes}}|{{list}}|{{none}}|", values, 0)
    assert text == "Grüße 😀|-0.5|true|a, b||"


def test_blocks_and_options(engine: Any) -> None:
    values = [("l", engine.Value.Texts(["<x>", "y"]))]
    assert engine.render("{{#l}}[{{.}}]{{/l}}", values, {"escape-html"}) == "[&lt;x&gt;][y]"
    both = engine.Options.ESCAPE_HTML | engine.Options.KEEP_UNKNOWN
    assert engine.render("{{who}}", [], both) == "{{who}}"


def test_errors_are_records(engine: Any) -> None:
    with pytest.raises(hlwasm.Err) as caught:
        engine.render("abc {{who}}", [], 0)
    assert caught.value.value.position == 4
    assert caught.value.value.message == "no value for who"
    with pytest.raises(hlwasm.Err) as caught:
        engine.render("{{#open}}", [], 0)
    assert caught.value.value == type(caught.value.value)(0, "open has no end")


def test_filters_of_the_host(engine: Any, filters: Filters) -> None:
    values = [("who", engine.Value.Text("bob"))]
    assert engine.render("Hi {{who|upper|shout}}", values, 0) == "Hi BOB!"
    assert filters.applied == [("shout", "BOB")]
    with pytest.raises(hlwasm.Err) as caught:
        engine.render("Hi {{who|fail}}", values, 0)
    assert caught.value.value.message == "fail: never works"


def test_a_resource_of_the_component(engine: Any) -> None:
    compiled = engine.Compiled("{{a}} and {{b}} and {{a}}")
    assert compiled.holes() == ["a", "b"]
    for number in range(3):
        values = [("a", engine.Value.Number(number)), ("b", engine.Value.Nothing())]
        assert compiled.render(values, 0) == f"{number} and  and {number}"
    assert compiled.rendered() == 3
    broken = engine.Compiled("{{/x}}")
    with pytest.raises(hlwasm.Err, match="unexpected end of x"):
        broken.render([], 0)
    assert compiled.rendered() == 3


def test_large_texts(engine: Any) -> None:
    text = "ä€😀 " * 50_000
    assert engine.render(text + "{{t}}", [("t", engine.Value.Text(text))], 0) == text + text


def test_javascript_is_cut_off_by_cancelling(
    start: Start, filters: Filters, cancel_after: Any
) -> None:
    sandbox = start("template_js", {"filters": filters})
    engine = sandbox.exports.engine
    everything = engine.Value.Texts(["x"] * 3000)
    nested = "{{#l}}" * 4 + "{{.}}" + "{{/l}}" * 4
    with cancel_after(sandbox, 0.3), pytest.raises(hlwasm.Cancelled):
        engine.render(nested, [("l", everything)], 0)
    assert sandbox.status is hlwasm.Status.POISONED
