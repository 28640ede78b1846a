"""Replays of recordings: all by itself, or under a test that makes the calls."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hlwasm.sandbox.limits import Limits
from hlwasm.testing.recording.events import MAX_BYTES
from hlwasm.testing.recording.player import Player, Replayed, compared
from hlwasm.testing.recording.reading import open_recording
from hlwasm.testing.recording.watched import Watched, WatchedSandbox

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.imports import Linker, Resolver
    from hlwasm.sandbox.sandbox import Sandbox


def replay(
    path: str | os.PathLike[str],
    component: Component,
    *,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> Replayed:
    """Makes the guest calls of a recording again, and answers host calls as they were then.

    The component must make the same host calls, with the same arguments in the same order, and
    its functions must return the same, bit for bit. It may be another build than the recorded
    one: that is what it is for.

    Args:
        path: a file made by :func:`record`.
        component: to test.
        limits: what the sandbox may use. A call that was ended by a deadline, a cancel or the like
            wants one of time, which ends it likewise.
        max_bytes: most bytes of the file.

    Raises:
        ReplayMismatch: something differs; says the line, what was recorded, and what is now.
        OSError, RecordingError: the file cannot be read, or is damaged.
        HlwasmError: as for :meth:`hlwasm.Component.instantiate`.
    """
    with player_of(path, component, max_bytes) as player:
        sandbox = _ReplayedSandbox(component, None, None, limits or Limits(), player)
        with sandbox:
            for call in player.calls(sandbox):
                with compared():
                    call()
        return player.replayed()


@contextmanager
def replaying(
    path: str | os.PathLike[str],
    component: Component,
    *,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Sandbox]:
    """A sandbox whose imports are served from a recording; the calls are made by the caller.

    They must be those of the recording, in their order, and all of them; otherwise as
    :func:`replay`. A test can so run without what its component needs: it records once, and
    replays from then on.
    """
    with (
        player_of(path, component, max_bytes) as player,
        _ReplayedSandbox(component, None, None, limits or Limits(), player) as sandbox,
    ):
        yield sandbox
        player.finish()


@contextmanager
def player_of(
    path: str | os.PathLike[str], component: Component, max_bytes: int
) -> Iterator[Player]:
    """What serves imports from a recording.

    Raises:
        OSError, RecordingError: it cannot be read, or is damaged.
    """
    with open_recording(path, max_bytes) as recording:
        yield Player(component, recording)


class Unlinked(Watched):
    """A sandbox whose imports are served by its watcher alone."""

    def _link(self, linker: Linker) -> Mapping[int, Resolver]:
        # Nothing is given, so there is nothing to link.
        watcher = self._watcher
        functions = watcher.values.description.imports

        def resolver(function: Any) -> Resolver:
            signature = watcher.signature(function, "import")
            return lambda: watcher.serve(signature, lambda: _nobody)

        return {function.index: resolver(function) for function in functions}

    def _fits(self, type_index: int, value: Any) -> bool:
        # Its methods are served from the recording, too.
        return True


class _ReplayedSandbox(Unlinked, WatchedSandbox):
    pass


def _nobody(*_: Any) -> None:
    raise AssertionError("host functions are served from the recording")
