"""Recording: a sandbox writes down what it is asked and what it asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hlwasm.sandbox.limits import Limits
from hlwasm.testing.described import description_of
from hlwasm.testing.recording.events import MAX_BYTES
from hlwasm.testing.recording.host_calls import (
    Destruction,
    FunctionCall,
    HostCall,
    call_line,
    exact_of,
    outcome_of,
)
from hlwasm.testing.recording.watched import WatchedSandbox
from hlwasm.testing.recording.watcher import ObjectNumbers, Outcome, Watcher
from hlwasm.testing.recording.writing import RecordingWriter, Written, recording_writer

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.imports import Implementation, Resolver
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.testing.signature import Signature
    from hlwasm.wasi import Wasi
    from hlwasm.wit.model import Description


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
        TypeError: that is no component.
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
    description = description_of(component)
    header = {
        "component": component.name,
        "sha256": component.artifact.metadata.source_sha256,
    }
    with recording_writer(path, header, max_bytes) as writer:
        yield Recorder(description, writer, is_awaitable)


class Recorder(Watcher):
    """Writes down what happens; see :func:`recorder_of`.

    Attributes:
        host_call, is_awaitable, write: see :class:`hlwasm.testing.recording.host_calls.Log`.
    """

    def __init__(
        self,
        description: Description,
        writer: RecordingWriter,
        is_awaitable: Callable[[Any], bool] | None,
    ) -> None:
        # Values are only written, so no object is ever made.
        super().__init__(description, ObjectNumbers(lambda _: None))
        self.write = writer.write
        self.is_awaitable = is_awaitable
        self.host_call: HostCall | None = None

    def called(self, signature: Signature, data: tuple[bytes, ...]) -> None:
        self.write(call_line("call", signature, data, Written(self.values)))

    def dropping(self, resource: str) -> None:
        self.write({"drop": resource})

    def done(self, signature: Signature | None, outcome: Outcome) -> None:
        if self.host_call is not None:
            # One that waited, or was left alone at a deadline: it ended by what ended the call.
            self.host_call.end(outcome)
        written = Written(self.values)
        line = outcome_of(written, signature, outcome)
        self.write({**line, **exact_of(written)})

    def serve(self, signature: Signature, resolve: Resolver) -> Implementation:
        implementation = resolve()

        def recorded(*arguments: Any) -> Any:
            return FunctionCall(self, signature, arguments).run(implementation, *arguments)

        return recorded

    def drops(self, resource: str, destroy: Callable[[], Any]) -> Any:
        return Destruction(self, resource).run(destroy)
