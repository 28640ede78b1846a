"""A divergence in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hlwasm.testing.differential.target import Divergence, End, MadeCall, Seen
from hlwasm.testing.scripts.data import Case, Data, Handle, first_difference
from hlwasm.testing.scripts.steps import Step, data_text

_LONGEST = 400
_MOST_CALLS = 8


def in_both(step: Step, divergence: Divergence, other: str) -> str:
    """What is seen of a step here and there: a line that says what differs, and one for each."""
    left, right = divergence.left, divergence.right
    where = f" at {divergence.path}" if divergence.path else ""
    texts = {"here": _text(step, left, divergence), other: _text(step, right, divergence)}
    if divergence.path:
        difference = first_difference(left.value, right.value)
        assert difference is not None
        texts["here"] += f", so {plain_text(difference.left)}"
        texts[other] += f", so {plain_text(difference.right)}"
    width = max(map(len, texts))
    lines = [f"{name:<{width}}  {text}" for name, text in texts.items()]
    verb = "differ" if divergence.what == "host calls" else "differs"
    return "\n".join([f"the {divergence.what} {verb}{where}", *lines])


def _text(step: Step, seen: Seen, divergence: Divergence) -> str:
    if divergence.what == "host calls":
        return _calls(seen.host_calls or ())
    if seen.end is not End.RETURNED:
        return f"{seen.end.value}{': ' if seen.message else ''}{seen.message}"
    function = step.function
    if function is None or function.result is None:
        return "returned"
    return _cut(data_text(function.description, function.result, seen.value))


def _calls(calls: Sequence[MadeCall]) -> str:
    texts = [
        f"{call.function}({', '.join(map(plain_text, call.arguments))})"
        for call in calls[:_MOST_CALLS]
    ]
    if len(calls) > _MOST_CALLS:
        texts.append(f"{len(calls) - _MOST_CALLS} more")
    return f"calls {', '.join(texts)}" if texts else "calls nothing"


def plain_text(data: Data) -> str:
    """Data without its type, much as WAVE."""
    return _cut(_plain(data))


def _plain(data: Any) -> str:
    if isinstance(data, Case):
        return data.name if data.payload is None else f"{data.name}({_plain(data.payload)})"
    if isinstance(data, Handle):
        return data.name
    if isinstance(data, dict):
        return "{" + ", ".join(f"{key}: {_plain(value)}" for key, value in data.items()) + "}"
    if isinstance(data, (list, tuple)):
        opening, closing = "[]" if isinstance(data, list) else "()"
        return opening + ", ".join(map(_plain, data)) + closing
    if isinstance(data, frozenset):
        return "{" + ", ".join(sorted(data)) + "}"
    return repr(data)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
