"""Replays that go another way than their recordings: what is said of the difference."""

from __future__ import annotations

from array import array
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import ReplayMismatch, record, replay
from tests.integration.conftest import Load
from tests.integration.testing.recordings import asking

pytestmark = pytest.mark.hypervisor


def base64_of(numbers: array[Any]) -> str:
    return b64encode(numbers.tobytes()).decode()


def mismatch(path: Path, component: hlwasm.Component) -> str:
    with pytest.raises(ReplayMismatch) as raised:
        replay(path, component)
    return str(raised.value).replace(str(path), "run.jsonl")


def test_what_differs_is_shown(path: Path) -> None:
    with record(path, asking(), {"ask": lambda number: number * 10}) as sandbox:
        assert sandbox.exports.both(1) == 30
    first = "the replay goes another way than the recording\n"
    other = "\n  the component is another build than the recorded one"
    assert mismatch(path, asking("(f64.const 3)")) == (
        f"run.jsonl, line 4: {first}  recorded: host call ask(2.0)\n"
        f"  now:      host call ask(3.0){other}"
    )
    text = path.read_text()

    def changed(old: str, new: str) -> str:
        assert old in text
        path.write_text(text.replace(old, new))
        return mismatch(path, asking())

    assert changed('{"returns": "30.0"}', '{"returns": "31.0"}') == (
        f"run.jsonl, line 5: {first}  recorded: returns 31.0\n  now:      returns 30.0"
    )
    assert changed('{"returns": "30.0"}', '{"raises": {"type": "Trap", "code": "x"}}') == (
        f"run.jsonl, line 5: {first}  recorded: raises Trap x: \n  now:      returns 30.0"
    )
    assert changed('"both"', '"neither"') == (
        f"run.jsonl, line 2: {first}  recorded: call neither(1.0)\n"
        "  now:      <bytes> exports no neither"
    )
    assert changed('"args": ["1.0"]}\n', '"args": []}\n') == (
        f"run.jsonl, line 2: {first}  recorded: call both()\n  now:      both takes 1 arguments"
    )
    extra = '{"host": "ask", "args": ["9.0"], "returns": "1.0"}\n'
    path.write_text(text.replace('{"returns": "30.0"}\n', extra + '{"returns": "30.0"}\n')
                    .replace('{"end": 5}', '{"end": 6}'))  # fmt: skip
    assert mismatch(path, asking()) == (
        f"run.jsonl, line 5: {first}  recorded: host call ask(9.0)\n  now:      returns 30.0"
    )
    path.write_text("".join(text.splitlines(True)[:3]) + '{"end": 3}\n')
    assert mismatch(path, asking()) == (
        f"run.jsonl, line 4: {first}  recorded: the end\n  now:      host call ask(2.0)"
    )


def test_long_values_are_cut_around_the_difference(path: Path, load: Load) -> None:
    component = load("calculator")
    with record(path, component, {"log": lambda message: None}) as sandbox:
        sandbox.exports.ops.subtract(9, 3)
        sandbox.exports.ops.total(list(range(2000)))
    text = path.read_text()
    # The sums differ from here on.
    changed = array("i", range(2000))
    changed[1500] = 1
    compact = base64_of(array("i", range(2000)))
    assert compact in text
    path.write_text(text.replace(compact, base64_of(changed)))
    shown = mismatch(path, component)
    assert 'recorded: host call log("1124250 + 1500 = 1125750")' in shown
    path.write_text(text.replace("1124250 + 1500 = 1125750", "x" * 5000))
    assert len(mismatch(path, component)) < 1000
