"""Recording: a sandbox writes down what it is asked and what it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hlwasm.errors import ConversionError, Err
from hlwasm.sandbox.limits import Limits
from hlwasm.testing.described import description_of
from hlwasm.testing.recording.events import MAX_BYTES, RecordingWriter, Written
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.recording.watched import ObjectNumbers, Outcome, WatchedSandbox, Watcher

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
    header = {
        "component": component.name,
        "sha256": component.artifact.metadata.source_sha256,
    }
    with RecordingWriter(path, header, max_bytes) as writer:
        recorder = _Recorder(description_of(component), writer)
        with WatchedSandbox(component, imports, wasi, limits or Limits(), recorder) as sandbox:
            yield sandbox


class _Recorder(Watcher):
    def __init__(self, description: Description, writer: RecordingWriter) -> None:
        # Values are only written, so no object is ever made.
        super().__init__(description, ObjectNumbers(lambda _: None))
        self._writer = writer
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
        implementation = resolve()

        def recorded(*arguments: Any) -> Any:
            # Before the function runs, which may change what it was given.
            written = Written(self.values)
            texts = self._arguments(written, signature, signature.encode(arguments))

            def write(outcome: Outcome) -> None:
                rest = self._outcome(written, signature, outcome)
                self._write({**_line("host", signature, texts, written), **rest})

            try:
                value = implementation(*arguments)
            except Err as error:
                write(_result(signature, error))
                raise
            except BaseException as error:
                write(Raised.of(error))
                raise
            write(_result(signature, value))
            return value

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
