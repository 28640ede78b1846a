"""WASI in snapshots: what one holds of a :class:`~hlwasm.wasi.WasiHost`, and of its resources.

All that can change in this package, and what becomes of it:

=========================  ==================================================================
BytesInput.position        captured; another process must grant the same bytes, as far as read
_Stream._closed            captured: the guest was told of the end or the error
LogOutput._partial         not captured: logged as a line of its own at a snapshot, so that no
                           clone repeats it, and at a restore, so that it is not joined with
                           what the next request writes
Timer.instant              captured; one for a duration stands still while it is in a snapshot
OutputStream._budget       the host's: what the present call may still write
Waiter._pending            not captured; a restore takes an interrupt back
Waiter._wake               the host's: an eventfd, empty but for an interrupt
DescriptorInput.           the host's: a hint about the buffer of the Python file, in which
  _maybe_buffered          nothing ever is that was read for the guest
WasiHost._interfaces,      caches of objects without state of their own
  stdin, stdout, stderr
=========================  ==================================================================

Files, pipes and callables of the config are the host's and have no past that could be given
back: what was read from them stays read, what was written stays written (a snapshot flushes
them first), and a clone goes on with those that it is granted. So does a random source:
``Wasi.random`` is drawn from at each call, and nothing of it is in a snapshot.

Tokens and states are plain data: strings, numbers, None and tuples of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlwasm.errors import SnapshotError
from hlwasm.frozen import Frozen
from hlwasm.sandbox.captured import Captured
from hlwasm.wasi.cli import Terminal
from hlwasm.wasi.polling import DescriptorPollable, Pollable, Timer
from hlwasm.wasi.stdio import BytesInput
from hlwasm.wasi.streams import Error, StreamPollable

if TYPE_CHECKING:
    from hlwasm.wasi.host import WasiHost

_STREAMS = ("stdin", "stdout", "stderr")
_U64 = (1 << 64) - 1
# First part of a token → WIT names of the resources that it may stand for.
_STANDS_FOR = {
    "stdin": ("input-stream",),
    "stdout": ("output-stream",),
    "stderr": ("output-stream",),
    "pollable": ("pollable",),
    "ready": ("pollable",),
    "timer": ("pollable",),
    "instant": ("pollable",),
    "error": ("error",),
    "terminal": ("terminal-input", "terminal-output"),
}


class WasiState(Frozen):
    """The WASI of one sandbox at one moment. A stream that was never used is as it opens.

    Attributes:
        closed: the streams that have ended for the guest: ``stdin``, ``stdout``, ``stderr``.
        stdin_position: how many bytes of a standard input given as bytes were read.
        stdin_digest: SHA-256 of those, in hexadecimal; empty where none were.
    """

    closed: tuple[str, ...] = ()
    stdin_position: int = 0
    stdin_digest: str = ""

    @classmethod
    def from_plain(cls, plain: object) -> WasiState:
        """What :meth:`as_dict` became in JSON, checked.

        Raises:
            SnapshotError: it is no state of WASI.
        """
        match plain:
            case {
                "closed": [*closed],
                "stdin_position": int(position),
                "stdin_digest": str(digest),
                **rest,
            } if not rest and 0 <= position <= _U64 and all(name in _STREAMS for name in closed):
                return cls(tuple(closed), position, digest)
        raise SnapshotError("the snapshot's state of WASI is not valid")


def capture(host: WasiHost) -> WasiState:
    """The state of a host whose guest does not run.

    Raises:
        SnapshotError: output that the guest wrote cannot be passed on.
    """
    opened = host.opened_streams()
    for name in ("stdout", "stderr"):
        if name in opened:
            try:
                opened[name].settle()
            except OSError as error:
                raise SnapshotError(
                    f"what the guest wrote to {name} cannot be passed on before the snapshot: "
                    f"{error}"
                ) from error
    closed = tuple([name for name in _STREAMS if name in opened and opened[name].closed])
    stdin = opened.get("stdin")
    if isinstance(stdin, BytesInput) and stdin.position:
        return WasiState(closed, stdin.position, _digest(stdin))
    return WasiState(closed)


def restore(host: WasiHost, state: object, verified: bool) -> None:
    """Puts a host back.

    Args:
        host: any, also a new one of another config.
        state: what :func:`capture` returned.
        verified: the state was found to fit this host before.

    Raises:
        SnapshotError: the guest has read other input than this host has.
    """
    if not isinstance(state, WasiState):
        raise SnapshotError(f"the snapshot has no state of WASI, but {type(state).__name__}")
    if state.stdin_position and not verified:
        _check_input(host.stdin, state)
    for name in state.closed:
        getattr(host, name)  # opens it
    opened = host.opened_streams()
    stdin = opened.get("stdin")
    if isinstance(stdin, BytesInput):
        stdin.position = state.stdin_position
    for name, stream in opened.items():
        stream.restore_closed(name in state.closed)
        if name != "stdin":
            stream.abandon()


def _check_input(stdin: object, state: WasiState) -> None:
    fits = isinstance(stdin, BytesInput) and len(stdin.data) >= state.stdin_position
    if not fits or _digest(stdin, state.stdin_position) != state.stdin_digest:
        raise SnapshotError(
            f"the program had read {state.stdin_position} bytes of standard input before the "
            "snapshot: grant it the same ones, or take the snapshot before it reads"
        )


def _digest(stdin: Any, position: int | None = None) -> str:
    # Only here: importing it takes long, and most snapshots are taken before input is read.
    import hashlib

    read = stdin.position if position is None else position
    return hashlib.sha256(memoryview(stdin.data)[:read]).hexdigest()


def capture_resource(host: WasiHost, value: object) -> Captured | None:
    """How to make a resource of WASI again; None where it is the user's.

    Subclasses are the user's: only they know what they hold.
    """
    opened = host.opened_streams()
    for name, stream in opened.items():
        if value is stream:
            return Captured((name,), fixed=True)
    kind = type(value)
    if kind is Timer:
        assert isinstance(value, Timer)
        return _capture_timer(host, value)
    if kind is Error:
        assert isinstance(value, Error)
        cause = value.cause and (value.cause.errno, value.cause.strerror)
        return Captured(("error", value.message, cause), fixed=True)
    if kind is Terminal:
        return Captured(("terminal",), fixed=True)
    if isinstance(value, Pollable):
        return _capture_pollable(opened, value)
    return None


def _capture_timer(host: WasiHost, timer: Timer) -> Captured | None:
    if timer.waiter is not host.waiter:
        return None
    if timer.relative:
        return Captured(("timer", max(0, timer.instant - host.waiter.clock())))
    return Captured(("instant", timer.instant), fixed=True)


def _capture_pollable(opened: dict[str, Any], value: Pollable) -> Captured | None:
    kind = type(value)
    stream: object = None
    if kind is StreamPollable:
        assert isinstance(value, StreamPollable)
        stream = value.stream
    elif kind is DescriptorPollable:
        assert isinstance(value, DescriptorPollable)
        stream = value.owner
    for name, ours in opened.items():
        if stream is ours:
            return Captured(("pollable", name), fixed=True)
    # Of a stream of the user's, but it never was anything but ready.
    return Captured(("ready",), fixed=True) if kind in (Pollable, StreamPollable) else None


def stands_for(token: object, interface: str | None, name: str | None) -> bool:
    """Whether a token, which may be anything, can be that of a resource of this type.

    Args:
        interface, name: WIT names of the type.
    """
    # Only here: what is restored in the process that it was captured in needs no check.
    from hlwasm.wasi.host import WasiHost

    match token:
        case (str(kind), *_) if interface and WasiHost.provides(interface):
            return name in _STANDS_FOR.get(kind, ())
    return False


def restore_resource(host: WasiHost, token: Any) -> object:
    """Makes what :func:`capture_resource` captured.

    Raises:
        SnapshotError: it captured no such thing.
    """
    try:
        match token:
            case ("stdin" | "stdout" | "stderr" as name,):
                return getattr(host, name)
            case ("pollable", "stdin" | "stdout" | "stderr" as name):
                return getattr(host, name).subscribe()
            case ("ready",):
                return Pollable()
            case ("timer", int(remaining)) if 0 <= remaining <= _U64:
                return Timer(host.waiter, host.waiter.clock() + remaining, relative=True)
            case ("instant", int(instant)) if 0 <= instant <= _U64:
                return Timer(host.waiter, instant)
            case ("error", str(message), None):
                return Error(message)
            case ("error", str(message), (int() | None as code, str() | None as text)):
                return Error(message, OSError(code, text) if code is not None else OSError(text))
            case ("terminal",):
                return Terminal()
    except OSError as error:
        raise SnapshotError(f"a resource of WASI cannot be made again: {error}") from error
    # Without the token, which may come from a file and be of any size.
    raise SnapshotError("the snapshot has a resource that WASI does not know")
