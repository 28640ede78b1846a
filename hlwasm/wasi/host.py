"""The WASI of one sandbox: which object serves which interface, and what they share."""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hlwasm.wasi.config import Output, Wasi
from hlwasm.wasi.polling import Activity, Waiter

if TYPE_CHECKING:
    from types import ModuleType

    from hlwasm.errors import OutputLimitExceeded
    from hlwasm.sandbox.captured import Captured
    from hlwasm.sandbox.meter import CallMeter
    from hlwasm.wasi.interface import Interface
    from hlwasm.wasi.snapshot import WasiState
    from hlwasm.wasi.streams import InputStream, OutputStream

# Interface → its module here and its class. Left out are those that have no functions but
# the methods of resources, such as wasi:io/streams: a method is looked up on its object.
_INTERFACES = {
    "wasi:cli/environment": ("cli", "Environment"),
    "wasi:cli/exit": ("cli", "Exit"),
    "wasi:cli/stdin": ("cli", "Stdin"),
    "wasi:cli/stdout": ("cli", "Stdout"),
    "wasi:cli/stderr": ("cli", "Stderr"),
    "wasi:cli/terminal-stdin": ("cli", "TerminalStdin"),
    "wasi:cli/terminal-stdout": ("cli", "TerminalStdout"),
    "wasi:cli/terminal-stderr": ("cli", "TerminalStderr"),
    "wasi:clocks/monotonic-clock": ("clocks", "MonotonicClock"),
    "wasi:clocks/wall-clock": ("clocks", "WallClock"),
    "wasi:clocks/timezone": ("clocks", "Timezone"),
    "wasi:filesystem/preopens": ("filesystem", "Preopens"),
    "wasi:filesystem/types": ("filesystem", "Types"),
    "wasi:io/poll": ("io", "Poll"),
    "wasi:random/random": ("random", "Random"),
    "wasi:random/insecure": ("random", "Insecure"),
    "wasi:random/insecure-seed": ("random", "InsecureSeed"),
}
# What does nothing before it waits, so that it can be called again instead of waiting.
_RESTARTABLE = {
    ("wasi:io/poll", "poll"),
    ("wasi:io/poll", "[method]pollable.block"),
    ("wasi:io/streams", "[method]input-stream.blocking-read"),
    ("wasi:io/streams", "[method]input-stream.blocking-skip"),
}


class WasiHost:
    """The WASI of one sandbox.

    Used by one thread at a time, but for :meth:`interrupt`.

    Args:
        config: what the program may use.
        write_permit: most bytes of one write to a stream, None for a moderate number. The
            larger, the fewer host calls; it must leave room in the transfer memory.

    Attributes:
        waiter: blocks on behalf of the guest.
    """

    def __init__(self, config: Wasi | None = None, write_permit: int | None = None) -> None:
        self.config = config = config or Wasi()
        self.waiter = Waiter(config.monotonic_clock, config.sleep)
        self._write_permit = write_permit
        self._meter: CallMeter | None = None
        self._interfaces: dict[str, Interface] = {}
        # The state that a restore has put this back to, unless something has changed since.
        self._at: WasiState | None = None
        self._activity = Activity()

    def interface(self, name: str) -> Interface | None:
        """The object that serves an imported interface, None where it is none of WASI 0.2.

        An interface of WASI 0.2 that hlwasm does not provide can be linked too: calling it
        raises :class:`~hlwasm.errors.UnsupportedImport`.

        Args:
            name: WIT name with version, such as ``wasi:io/streams@0.2.6``.
        """
        known = self._interfaces.get(name)
        if known is None:
            if not self.provides(name):
                return None
            known = self._interfaces[name] = _class_of(name)(self, name)
        return known

    @staticmethod
    def provides(name: str) -> bool:
        """Whether :meth:`interface` has something for this name."""
        return _is_wasi_0_2(name)

    @property
    def suspends(self) -> bool:
        """Whether a wait raises ``Suspended``; set while a restartable function runs."""
        return self.waiter.suspends

    @suspends.setter
    def suspends(self, value: bool) -> None:
        self.waiter.suspends = value

    @staticmethod
    def restartable(interface: str, function: str) -> bool:
        """Whether a function, by its WIT names, does nothing before it waits."""
        return (interface.partition("@")[0], function) in _RESTARTABLE

    @cached_property
    def stdin(self) -> InputStream:
        """Standard input, the same stream for every handle of the guest."""
        from hlwasm.wasi.stdio import open_input

        stream = open_input(self.config.stdin, self.waiter)
        stream.activity = self._activity
        return stream

    @cached_property
    def stdout(self) -> OutputStream:
        """Standard output, the same stream for every handle of the guest."""
        return self._open_output(self.config.stdout)

    @cached_property
    def stderr(self) -> OutputStream:
        """Standard error, the same stream for every handle of the guest."""
        return self._open_output(self.config.stderr)

    def _open_output(self, grant: Output) -> OutputStream:
        from hlwasm.wasi.stdio import is_captured, open_output
        from hlwasm.wasi.streams import WRITE_PERMIT

        stream = open_output(grant, self.waiter, self._write_permit or WRITE_PERMIT)
        if self._meter is not None:
            stream.limit(OutputShare(self._meter, is_captured(grant)))
        stream.activity = self._activity
        return stream

    def count_output(self, meter: CallMeter) -> None:
        """Has the meter allow each byte of standard output and error.

        Called before the guest runs: streams are opened when it first asks for them.
        """
        self._meter = meter

    def opened_streams(self) -> dict[str, Any]:
        """The standard streams that the guest has asked for, by name."""
        opened = vars(self)
        return {name: opened[name] for name in ("stdin", "stdout", "stderr") if name in opened}

    def interrupt(self, error: BaseException) -> None:
        """Raises ``error`` in the guest's wait for input or time: the present one, or else the
        next. Any thread may call this.
        """
        self.waiter.interrupt(error)
        # Afterwards, or a restore in between could miss it for good.
        self._activity.changed = True

    def clear_interrupt(self) -> None:
        """Forgets an interrupt that found no wait to end, as the call it was for has ended."""
        self.waiter.clear_interrupt()

    @cached_property
    def _snapshots(self) -> ModuleType:
        # Not at each use: an import statement in a function takes as long as half a restore.
        return import_module("hlwasm.wasi.snapshot")

    def repeatable(self, interface: str, function: str) -> bool:
        """Whether a call of a function is the same wherever :meth:`repeatable_answers` are.

        Asked to know whether a snapshot of a guest that has made such calls can stand for
        starting it elsewhere. False for whatever is not WASI's, and it says nothing about an
        interface that the user has replaced.

        Args:
            interface: WIT name with version, such as ``wasi:cli/environment@0.2.6``.
            function: WIT name, such as ``get-arguments``.
        """
        from hlwasm.wasi.repeatable import REPEATABLE

        known = REPEATABLE.get(interface.partition("@")[0], frozenset[str]())
        return function in known and self.provides(interface)

    def repeatable_answers(self) -> tuple[object, ...]:
        """All that repeatable functions can answer: plain data to compare or to hash.

        The environment is in it, which often holds secrets: keep a keyed or slow hash at
        most, where others may see it.
        """
        from hlwasm.wasi.stdio import is_terminal

        grants = self.config
        terminals = [is_terminal(grant) for grant in (grants.stdin, grants.stdout, grants.stderr)]
        return (grants.args, tuple(grants.env.items()), tuple(terminals))

    def capture(self) -> WasiState:
        """What a snapshot holds of it; see :mod:`hlwasm.wasi.snapshot`. Passes output on.

        Raises:
            SnapshotError: output that the guest wrote cannot be passed on.
        """
        state: WasiState = self._snapshots.capture(self)
        return state

    def restore(self, state: WasiState) -> None:
        """Goes back to a state, of this or another host, and takes back an interrupt.

        Costs next to nothing where nothing has changed since the last restore of it.

        Raises:
            SnapshotError: the guest has read other input than this host has.
        """
        if state is self._at and not self._activity.changed:
            return
        verified = state is self._at
        self._at = None
        self._activity.changed = False
        self.waiter.clear_interrupt()
        self._snapshots.restore(self, state, verified)
        self._at = state

    def capture_resource(self, value: object) -> Captured | None:
        """How to make a resource that the guest holds again; None where it is not WASI's."""
        captured: Captured | None = self._snapshots.capture_resource(self, value)
        return captured

    def restore_resource(self, token: Any) -> object:
        """Makes what :meth:`capture_resource` captured, here or at another host.

        Raises:
            SnapshotError: it captured no such thing.
        """
        return self._snapshots.restore_resource(self, token)

    def close(self) -> None:
        """Passes on what the guest wrote. The files of the config stay open. Idempotent."""
        opened = vars(self)
        for name in ("stdout", "stderr"):
            if name in opened:
                opened[name].finish()
        self.waiter.close()


class OutputShare:
    """What one stream may write of what a call may write.

    Args:
        meter: of the sandbox's calls.
        captured: whether the output takes memory of this process, or ends in a log.
    """

    __slots__ = ("_captured", "_meter")

    def __init__(self, meter: CallMeter, captured: bool) -> None:
        self._meter = meter
        self._captured = captured

    def take(self, size: int) -> int:
        """How many of ``size`` bytes may be written."""
        return self._meter.take_output(size, self._captured)

    def exceeded(self) -> OutputLimitExceeded:
        """The exception where they may not all be."""
        return self._meter.output_exceeded()


@lru_cache(maxsize=256)
def _is_wasi_0_2(name: str) -> bool:
    interface, _, version = name.partition("@")
    # Every release 0.2.x can serve a component made for another one, but no pre-release.
    if not (interface.startswith("wasi:") and "/" in interface):
        return False
    series, _, patch = version.rpartition(".")
    if series == "0.2" and patch.isascii() and patch.isdecimal():
        return True
    # Only here: nearly all programs are built for a release.
    from hlwasm.wit.semver import track

    return track(version) == "0.2"


def _class_of(name: str) -> type[Interface]:
    interface = name.partition("@")[0]
    module, class_name = _INTERFACES.get(interface, ("interface", "Interface"))
    found: type[Interface] = getattr(import_module(f"hlwasm.wasi.{module}"), class_name)
    return found
