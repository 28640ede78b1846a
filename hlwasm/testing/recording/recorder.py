"""Recording: a sandbox writes down what it is asked and what it asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.errors import ConversionError, Err
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.providers import Suspended
from hlwasm.testing.described import description_of
from hlwasm.testing.recording.events import MAX_BYTES, RecordingWriter, Written
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.recording.watched import WatchedSandbox
from hlwasm.testing.recording.watcher import ObjectNumbers, Outcome, Watcher

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.imports import Implementation, Resolver
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.testing.signature import Signature
    from hlwasm.wasi import Wasi
    from hlwasm.wit.model import Description, Function


@contextmanager
def record(
    path: str | os.PathLike[str],
    component: Component,
    imports: Any = None,
    *,
    wasi: Wasi | None = None,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Sandbox]:
    """A sandbox whose calls are written to a file, those of WASI too, for :func:`replay`.

    The file is there when the ``with`` block ends without an exception. Values are written as
    text; whatever passes between host and component is in it, secrets as well.

    Args:
        path: of the file; an old one is replaced.
        component, imports, wasi, limits: as for :meth:`hlwasm.Component.instantiate`.
        max_bytes: most bytes of the file.

    Raises:
        OSError: the file cannot be written.
        RecordingError: it gets too large.
        HlwasmError: as for :meth:`hlwasm.Component.instantiate`.
    """
    with (
        recorder_of(path, component, max_bytes) as recorder,
        WatchedSandbox(component, imports, wasi, limits or Limits(), recorder) as sandbox,
    ):
        yield sandbox


@contextmanager
def recorder_of(
    path: str | os.PathLike[str],
    component: Component,
    max_bytes: int,
    is_awaitable: Callable[[Any], bool] | None = None,
) -> Iterator[Recorder]:
    """What writes a recording, which is there when the ``with`` block ends without an exception.

    Args:
        path, component, max_bytes: as for :func:`record`.
        is_awaitable: whether the host functions of an asynchronous sandbox returned something
            to await.
    """
    header = {
        "component": component.name,
        "sha256": component.artifact.metadata.source_sha256,
    }
    with RecordingWriter(path, header, max_bytes) as writer:
        yield Recorder(description_of(component), writer, is_awaitable)


class Recorder(Watcher):
    """Writes down what happens; see :func:`recorder_of`."""

    def __init__(
        self,
        description: Description,
        writer: RecordingWriter,
        is_awaitable: Callable[[Any], bool] | None,
    ) -> None:
        # Values are only written, so no object is ever made.
        super().__init__(description, ObjectNumbers(lambda _: None))
        self._writer = writer
        self._is_awaitable = is_awaitable
        # The line of a call that has begun, until something happens in it.
        self._begun: Mapping[str, Any] | None = None
        self._dropping = False

    def called(self, signature: Signature, data: tuple[bytes, ...]) -> None:
        written = Written(self.values)
        arguments = self._arguments(written, signature, data)
        self._begun = _line("call", signature, arguments, written)

    def dropping(self, resource: str) -> None:
        # What is garbage is dropped before the call that has begun already: outside of it.
        self._dropping = True
        self._write({"drop": resource})

    def dropped(self, resource: str) -> None:
        self._write({"dropped": resource})

    def done(self, signature: Signature | None, outcome: Outcome) -> None:
        written = Written(self.values)
        line = self._outcome(written, signature, outcome)
        self._write({**line, **_exact(written)})
        if signature is None:
            self._dropping = False

    def serve(self, signature: Signature, resolve: Resolver) -> Implementation:
        implementation, is_awaitable = resolve(), self._is_awaitable

        def recorded(*arguments: Any) -> Any:
            # Before the function runs, which may change what it was given.
            written = Written(self.values)
            texts = self._arguments(written, signature, signature.encode(arguments))

            def write(outcome: Outcome) -> None:
                rest = self._outcome(written, signature, outcome)
                self._write({**_line("host", signature, texts, written), **rest})

            async def awaited(value: Any) -> Any:
                with _HostCall(signature, write) as call:
                    call.value = await value
                return call.value

            with _HostCall(signature, write) as call:
                call.value = implementation(*arguments)
                if is_awaitable is not None and is_awaitable(call.value):
                    call.ended = False
            return call.value if call.ended else awaited(call.value)

        return recorded

    def _arguments(
        self, written: Written, signature: Signature, data: tuple[bytes, ...]
    ) -> list[str]:
        refs = signature.plain.types
        return [
            written.text(str(index), ref, each)
            for index, (ref, each) in enumerate(zip(refs, data, strict=True))
        ]

    @staticmethod
    def _outcome(written: Written, signature: Signature | None, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Raised):
            return {"raises": outcome.json()}
        if outcome is None or signature is None or signature.function.result is None:
            return {"returns": "()"}
        return {"returns": written.text("returns", signature.function.result, outcome)}

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._begun is not None and not self._dropping:
            self._writer.write(self._begun)
            self._begun = None
        self._writer.write(line)


class _HostCall:
    """Has written down how a host function ends.

    Attributes:
        value: what it returned.
        ended: False where that is to be awaited.
    """

    value: Any = None
    ended = True

    def __init__(self, signature: Signature, write: Callable[[Outcome], None]) -> None:
        self._signature = signature
        self._write = write

    def __enter__(self) -> _HostCall:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            if self.ended:
                self._write(_result(self._signature, self.value))
        elif isinstance(error, Err):
            self._write(_result(self._signature, error))
        elif not isinstance(error, Suspended):  # which will be called again
            self._write(Raised.of(error))


def _line(
    kind: str, signature: Signature, arguments: list[str], written: Written
) -> dict[str, Any]:
    return {kind: full_name(signature.function), "args": arguments, **_exact(written)}


def _result(signature: Signature, value: Any) -> Outcome:
    try:
        return signature.encode_result(value)
    except ConversionError as error:
        # The codec says the same of it, and the call ends.
        return Raised.of(error)


def _exact(written: Written) -> dict[str, Any]:
    return {"exact": written.exact} if written.exact else {}


def full_name(function: Function) -> str:
    """``demo:calculator/ops@1.0.0#total``, or the bare name of a function of the world."""
    return f"{function.interface}#{function.name}" if function.interface else function.name
