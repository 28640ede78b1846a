"""The host's side of the kitchen sink."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from components.kitchen_sink.catalogue import FUNCTIONS, WORLD_FUNCTIONS


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
        self.values = {name: self.answer(name) for name in FUNCTIONS}
        for name in WORLD_FUNCTIONS:
            setattr(self, name.replace("-", "_"), self.answer(name))
        self.convert = {"square-feet": lambda square_metres: square_metres * 10.5}
        self.dropped: list[str] = []
        self.things = SimpleNamespace(
            Thing=type("Thing", (Thing,), {"dropped": self.dropped}),
            reverse=lambda things: things[::-1],
            dropped=lambda: 0,
        )

    def answer(self, name: str) -> Any:
        def answer(*values: Any) -> Any:
            self.asked.append(name)
            return values[0] if len(values) == 1 else values

        return answer

    def twice(self, value: int) -> int:
        return 2 * value

    def note(self, text: str, level: int | None) -> None:
        self.notes.append((text, level))
