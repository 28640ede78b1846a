"""Replaying: imports are served from a recording, and everything is compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from hlwasm.errors import Err, GuestDataError, HlwasmError, RecordingError, ReplayMismatch
from hlwasm.frozen import Frozen
from hlwasm.sandbox.guest_resources import HeldResource
from hlwasm.testing.described import description_of
from hlwasm.testing.recording.events import Event, full_name
from hlwasm.testing.recording.outcomes import Raised, ReplayedException
from hlwasm.testing.recording.reading import Recording
from hlwasm.testing.recording.watched import Watched
from hlwasm.testing.recording.watcher import ObjectNumbers, Outcome, Watcher
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
        self._kept: dict[int, HeldResource] | None = None

    def keep(self) -> None:
        """From now on resources of the component's live until they are dropped by number."""
        self._kept = {}

    def put(self, number: int, value: Any) -> None:
        super().put(number, value)
        if self._kept is not None and isinstance(value, HeldResource):
            self._kept[number] = value

    def take(self, number: int) -> HeldResource | None:
        """A resource that was kept, which is no more; None where there is none."""
        return None if self._kept is None else self._kept.pop(number, None)

    def find(self, type_index: int, number: int) -> Any:
        type_ = self._types[type_index]
        is_host = isinstance(type_, Resource) and type_.side == "host"
        # The recorder counted like this, too.
        if is_host and number == len(self._number_of) + 1:
            self.put(number, _ReplayedObject())
        return super().find(type_index, number)


class Replayed(Frozen):
    """What a replay did.

    Attributes:
        calls: guest calls that were made, drops included.
        host_calls: host calls that were served.
    """

    calls: int
    host_calls: int


class Player(Watcher):
    """Serves imports from a recording, and compares what happens with it.

    Args:
        component: that is tested.
        recording: that is replayed.
    """

    def __init__(self, component: Component, recording: Recording) -> None:
        description = description_of(component)
        self._objects = _ReplayedNumbers(description)
        super().__init__(description, self._objects)
        self._recording = recording
        recorded = recording.header.get("sha256")
        self._other_build = recorded != component.artifact.metadata.source_sha256
        self._component = component.name
        self._counts = {"call": 0, "drop": 0, "host": 0}
        # Whether nothing ends a call that does not end by itself.
        self._endless = False
        # The event whose arguments were read last, and they.
        self._read: tuple[Event, tuple[bytes, ...]] | None = None
        self._exports = {full_name(f): f for f in description.exports}

    def calls(self, sandbox: Watched) -> Iterator[Callable[[], Any]]:
        """All guest calls of the recording, each to be made before the next one is asked for."""
        limits = sandbox.limits
        self._endless = limits.deadline is limits.cpu_time is limits.fuel is None
        self._objects.keep()
        recording = self._recording
        while (event := recording.event) is not None:
            if event.kind == "call":
                yield self._call(event, sandbox)
            elif event.kind == "drop":
                yield self._drop(event)
            else:
                raise self._mismatch("nothing: the component has done all that it was asked")
            if recording.line == event.line:
                raise event.wrong(f"{event.kind}: {event.name} cannot be reached here")

    def replayed(self) -> Replayed:
        """What was done."""
        counts = self._counts
        return Replayed(counts["call"] + counts["drop"], counts["host"])

    def finish(self) -> None:
        """The calls were made by somebody else, and there are no more.

        Raises:
            ReplayMismatch: the recording has more.
        """
        if self._recording.event is not None:
            raise self._mismatch("the end")

    def _call(self, event: Event, sandbox: Watched) -> Callable[[], Any]:
        function = self._exports.get(event.name)
        if function is None:
            raise self._mismatch(f"{self._component} exports no {event.name}")
        signature = self.signature(function, "export")
        types = signature.plain.types
        if len(types) != len(event.arguments):
            raise self._mismatch(f"{event.name} takes {len(types)} arguments")
        data = self._recorded(event, signature)
        arguments = [self._value(event, *each) for each in zip(types, data, strict=True)]
        return partial(sandbox.bind_export(function), *arguments)

    def _drop(self, event: Event) -> Callable[[], Any]:
        number = event.name.rpartition("-")[2]
        known = number.isdecimal() and len(number) < 10
        held = self._objects.take(int(number)) if known else None
        if held is None:
            raise event.wrong(f"drop: the component gave no resource {event.name}")
        drop: Callable[[], Any] = held.drop
        return drop

    # What the sandbox does.

    def called(self, signature: Signature, data: tuple[bytes, ...]) -> None:
        self._take("call", signature, data)

    def dropping(self, resource: str) -> None:
        self._take_drop("drop", resource)

    def drops(self, resource: str, destroy: Callable[[], Any]) -> Any:
        event = self._take_drop("dropped", resource)
        if event.raises is not None:
            raise event.raises.exception()
        return destroy()

    def done(self, signature: Signature | None, outcome: Outcome) -> None:
        event = self._peek("done", lambda: self._shown(signature, outcome))
        ref = None if signature is None else signature.function.result
        recorded: Outcome = event.raises or event.result(self.values, ref)
        if isinstance(outcome, Raised):
            same = isinstance(recorded, Raised) and recorded.same(outcome)
        else:
            same = recorded == outcome
        if not same:
            raise self._mismatch(self._shown(signature, outcome), self._shown(signature, recorded))
        self._advance(event)

    def interrupted(self, signature: Signature | None, raised: Raised) -> None:
        # By who runs the replay, and learns of that and nothing else.
        with suppress(RecordingError):
            event = self._recording.event
            recorded = event.raises if event is not None and event.kind == "done" else None
            if event is not None and recorded is not None and recorded.same(raised):
                self._advance(event)

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

    def _peek(self, kind: str, shown: Callable[[], str]) -> Event:
        """The next event, which must be of this kind; ``shown`` tells what happens instead."""
        event = self._recording.event
        if event is None or event.kind != kind:
            raise self._mismatch(shown())
        return event

    def _advance(self, event: Event) -> None:
        """Goes on to what follows an event.

        Raises:
            RecordingError: the call would not end.
        """
        if event.kind in self._counts:
            self._counts[event.kind] += 1
        self._recording.advance()
        if not self._endless or event.kind == "done" or event.raises is not None:
            return
        end = self._recording.event
        raised = end.raises if end is not None and end.kind == "done" else None
        if end is not None and raised is not None and raised.is_for_want_of_time():
            raise end.wrong(
                f"from here the recorded call ran until it was ended by {raised.type}, and nothing "
                "ends it now: pass limits=Limits(deadline=…), or --deadline"
            )

    def _take(self, kind: str, signature: Signature, data: tuple[bytes, ...]) -> Event:
        """The next event, which must be this call."""

        def shown(arguments: tuple[bytes, ...] = data) -> str:
            refs = signature.plain.types
            texts = [self.values.text(*each) for each in zip(refs, arguments, strict=True)]
            return _shown_call(kind, full_name(signature.function), texts)

        event = self._peek(kind, shown)
        count = len(signature.plain.types)
        if event.name != full_name(signature.function) or len(event.arguments) != count:
            raise self._mismatch(shown())
        recorded = self._recorded(event, signature)
        if recorded != data:
            raise self._mismatch(shown(), shown(recorded))
        self._advance(event)
        return event

    def _take_drop(self, kind: str, resource: str) -> Event:
        shown = f"{_WORDS[kind]} {resource}"
        event = self._peek(kind, lambda: shown)
        if event.name != resource:
            raise self._mismatch(shown)
        self._advance(event)
        return event

    def _recorded(self, event: Event, signature: Signature) -> tuple[bytes, ...]:
        """The bytes of a recorded call's arguments."""
        # A guest call is read when it is to be made, and compared when it is.
        if self._read is None or self._read[0] is not event:
            refs = enumerate(signature.plain.types)
            found = tuple(event.argument(self.values, index, ref) for index, ref in refs)
            self._read = event, found
        return self._read[1]

    def _shown(self, signature: Signature | None, outcome: Outcome) -> str:
        if isinstance(outcome, Raised):
            return f"raises {outcome}"
        ref = None if signature is None else signature.function.result
        text = "()" if outcome is None or ref is None else self.values.text(ref, outcome)
        return f"returns {text}"

    def _value(self, event: Event, ref: Any, data: bytes) -> Any:
        try:
            return self.values.passed(ref, data, event.name)
        except GuestDataError as error:
            raise event.wrong(str(error)) from None

    def _mismatch(self, now: str, recorded: str = "") -> ReplayMismatch:
        """The difference between the next event and what happens now.

        Args:
            now: what happens, as text.
            recorded: the event, as text; by default as it is in the file.
        """
        event = self._recording.event
        recorded = "the end" if event is None else recorded or _shown_event(event)
        recorded, now = _from_difference(recorded, now)
        if recorded == now:
            now += "  (a NaN with other bits)"
        build = "\n  the component is another build than the recorded one"
        where = f"{self._recording.path}, line {self._recording.line}"
        return ReplayMismatch(
            f"{where}: the replay goes another way than the recording\n"
            f"  recorded: {recorded}\n  now:      {now}{build if self._other_build else ''}"
        )


@contextmanager
def compared() -> Iterator[None]:
    """A ``with`` block around a guest call: how it ends has been compared already."""
    try:
        yield
    except (ReplayMismatch, RecordingError):
        raise
    except (HlwasmError, ReplayedException):
        pass


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
    raises = "" if event.raises is None else f", which raises {event.raises}"
    return f"{_WORDS[event.kind]} {event.name}{raises}"


def _from_difference(left: str, right: str) -> tuple[str, str]:
    """Two texts, cut so that where they differ can be seen."""
    # By halves: texts may have megabytes, and comparing parts of them is done in C.
    same, end = 0, min(len(left), len(right))
    while same < end:
        middle = (same + end + 1) // 2
        if left[same:middle] == right[same:middle]:
            same = middle
        else:
            end = middle - 1
    start = same - _BEFORE if same > 2 * _BEFORE else 0
    cut = "…" if start else ""
    return tuple(  # type: ignore[return-value]
        cut + printable(text[start : start + _LONGEST]) + "…" * (len(text) > start + _LONGEST)
        for text in (left, right)
    )
