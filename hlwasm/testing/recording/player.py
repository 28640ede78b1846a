"""Replaying: imports are served from a recording, and everything is compared with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hlwasm.errors import Err, GuestDataError, HlwasmError, RecordingError, ReplayMismatch
from hlwasm.testing.described import description_of
from hlwasm.testing.recording.events import Event
from hlwasm.testing.recording.outcomes import Raised, ReplayedException
from hlwasm.testing.recording.recorder import full_name
from hlwasm.testing.recording.watched import ObjectNumbers, Outcome, WatchedSandbox, Watcher
from hlwasm.text import printable
from hlwasm.wit.model import Description, Resource

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.imports import Implementation, Resolver
    from hlwasm.testing.signature import Signature

# Texts that differ are shown from a little before the difference, and up to this length.
_LONGEST = 300
_BEFORE = 40


class _ReplayedObject:
    """A resource of the host's, which in a replay is no more than its number."""


class _ReplayedNumbers(ObjectNumbers):
    """Makes an object for each new number of a resource of the host's."""

    def __init__(self, description: Description) -> None:
        super().__init__(lambda type_index: self.find(type_index, 0))
        self._types = description.types

    def find(self, type_index: int, number: int) -> Any:
        type_ = self._types[type_index]
        is_host = isinstance(type_, Resource) and type_.side == "host"
        # The recorder counted like this, too.
        if is_host and number == len(self._number_of) + 1:
            self.put(number, _ReplayedObject())
        return super().find(type_index, number)


class Player(Watcher):
    """Serves imports from a recording, and compares what happens with it.

    Args:
        component: that is tested.
        path: of the recording.
        header, events: what is in it.
    """

    def __init__(
        self,
        component: Component,
        path: str | os.PathLike[str],
        header: Mapping[str, Any],
        events: Sequence[Event],
    ) -> None:
        description = description_of(component)
        super().__init__(description, _ReplayedNumbers(description))
        self._path = path
        self._events = events
        self._next = 0
        recorded = header.get("sha256")
        self._other_build = recorded != component.artifact.metadata.source_sha256
        self._component = component.name
        # Resources of the component's may be in them, which live until the recording drops them.
        self._results: list[Any] = []
        self._exports = {full_name(f): f for f in description.exports}

    def play(self, sandbox: WatchedSandbox) -> None:
        """Makes all guest calls of the recording."""
        while self._next < len(self._events):
            event = self._events[self._next]
            if event.kind == "call":
                self._call(event, sandbox)
            elif event.kind == "drop":
                self._drop(event)
            else:
                raise self._mismatch("nothing: the component has done all that it was asked")

    def finish(self) -> None:
        """The calls were made by somebody else, and there are no more.

        Raises:
            ReplayMismatch: the recording has more.
        """
        if self._next < len(self._events):
            raise self._mismatch("the end")

    def _call(self, event: Event, sandbox: WatchedSandbox) -> None:
        function = self._exports.get(event.name)
        if function is None:
            raise self._mismatch(f"{self._component} exports no {event.name}")
        signature = self.signature(function, "export")
        types = signature.plain.types
        if len(types) != len(event.arguments):
            raise self._mismatch(f"{event.name} takes {len(types)} arguments")
        arguments = [
            self._value(event, ref, event.argument(self.values, index, ref))
            for index, ref in enumerate(types)
        ]
        self._run(lambda: sandbox.bind_export(function)(*arguments))

    def _drop(self, event: Event) -> None:
        number = event.name.rpartition("-")[2]
        known = number.isdecimal() and len(number) < 10
        held = self.numbers.guest(int(number)) if known else None
        if held is None:
            raise event.wrong(f"drop: the component gave no resource {event.name}")
        self._run(held.drop)

    def _run(self, call: Callable[[], Any]) -> None:
        """Makes a call; how it ends has been compared already."""
        try:
            self._results.append(call())
        except (ReplayMismatch, RecordingError):
            raise
        except (HlwasmError, ReplayedException):
            pass

    # What the sandbox does.

    def called(self, signature: Signature, data: tuple[bytes, ...]) -> None:
        self._take("call", signature, data)

    def dropping(self, resource: str) -> None:
        self._take_drop("drop", resource)

    def dropped(self, resource: str) -> None:
        self._take_drop("dropped", resource)

    def done(self, signature: Signature | None, outcome: Outcome) -> None:
        shown = self._shown(signature, outcome)
        event = self._peek("done", shown)
        if isinstance(outcome, Raised):
            same = event.raises is not None and event.raises.same(outcome)
        else:
            ref = None if signature is None else signature.function.result
            same = event.raises is None and event.result(self.values, ref) == outcome
        if not same:
            raise self._mismatch(shown)
        self._next += 1

    def serve(self, signature: Signature, resolve: Resolver) -> Implementation:
        ref = signature.function.result

        def replayed(*arguments: Any) -> Any:
            event = self._take("host", signature, signature.encode(arguments))
            if event.raises is not None:
                raise event.raises.exception()
            data = event.result(self.values, ref)
            value = None if data is None or ref is None else self._value(event, ref, data)
            if isinstance(value, Err):
                raise value
            return value

        return replayed

    # The recording.

    def _peek(self, kind: str, shown: str) -> Event:
        if self._next >= len(self._events) or self._events[self._next].kind != kind:
            raise self._mismatch(shown)
        return self._events[self._next]

    def _take(self, kind: str, signature: Signature, data: tuple[bytes, ...]) -> Event:
        """The next event, which must be this call."""
        shown = _shown_call(kind, full_name(signature.function), self._texts(signature, data))
        event = self._peek(kind, shown)
        types = signature.plain.types
        if event.name != full_name(signature.function) or len(event.arguments) != len(types):
            raise self._mismatch(shown)
        recorded = tuple(event.argument(self.values, index, ref) for index, ref in enumerate(types))
        if recorded != data:
            raise self._mismatch(shown)
        self._next += 1
        return event

    def _take_drop(self, kind: str, resource: str) -> None:
        shown = f"{_WORDS[kind]} {resource}"
        if self._peek(kind, shown).name != resource:
            raise self._mismatch(shown)
        self._next += 1

    def _texts(self, signature: Signature, data: tuple[bytes, ...]) -> list[str]:
        refs = signature.plain.types
        return [self.values.text(ref, each) for ref, each in zip(refs, data, strict=True)]

    def _shown(self, signature: Signature | None, outcome: Outcome) -> str:
        if isinstance(outcome, Raised):
            return f"raises {outcome}"
        ref = None if signature is None else signature.function.result
        text = "()" if outcome is None or ref is None else self.values.text(ref, outcome)
        return f"returns {text}"

    def _value(self, event: Event, ref: Any, data: bytes) -> Any:
        try:
            return self.values.decode(ref, data, event.name)
        except GuestDataError as error:
            raise event.wrong(str(error)) from None

    def _mismatch(self, now: str) -> ReplayMismatch:
        """The difference between the next event and what happens now."""
        if self._next < len(self._events):
            event = self._events[self._next]
            line, recorded = event.line, _shown_event(event)
        else:
            line = self._events[-1].line + 1 if self._events else 2
            recorded = "the end"
        recorded, now = _from_difference(recorded, now)
        if recorded == now:
            now += "  (a NaN with other bits)"
        build = "\n  the component is another build than the recorded one"
        return ReplayMismatch(
            f"{self._path}, line {line}: the replay goes another way than the recording\n"
            f"  recorded: {recorded}\n  now:      {now}{build if self._other_build else ''}"
        )


_WORDS = {
    "call": "call",
    "host": "host call",
    "drop": "the host drops",
    "dropped": "the component drops",
}


def _shown_call(kind: str, name: str, arguments: Sequence[str]) -> str:
    return f"{_WORDS[kind]} {name}({', '.join(arguments)})"


def _shown_event(event: Event) -> str:
    if event.kind in ("call", "host"):
        return _shown_call(event.kind, event.name, event.arguments)
    if event.kind == "done":
        return f"returns {event.returns}" if event.raises is None else f"raises {event.raises}"
    return f"{_WORDS[event.kind]} {event.name}"


def _from_difference(left: str, right: str) -> tuple[str, str]:
    """Two texts, cut so that where they differ can be seen."""
    pairs = enumerate(zip(left, right, strict=False))
    same = next((index for index, (a, b) in pairs if a != b), 0)
    start = same - _BEFORE if same > 2 * _BEFORE else 0
    cut = "…" if start else ""
    return tuple(  # type: ignore[return-value]
        cut + printable(text[start : start + _LONGEST]) + "…" * (len(text) > start + _LONGEST)
        for text in (left, right)
    )
