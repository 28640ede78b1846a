"""What a WASI program may use: the grants of one sandbox."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from hlwasm.frozen import Frozen

if TYPE_CHECKING:
    from typing import BinaryIO, TextIO


class BinaryReader(Protocol):
    """A binary file opened for reading, or anything with such a ``read``."""

    def read(self, size: int, /) -> bytes | None:
        """Up to ``size`` bytes; ``b""`` at the end, None where none are there yet."""


class BinaryWriter(Protocol):
    """A binary file opened for writing, or anything with such a ``write``."""

    def write(self, data: bytes, /) -> object:
        """Takes ``data``. Only a raw file (``io.RawIOBase``) may take less than all."""


class LogLines(Frozen):
    """Output that goes to a logger, one record per line, control characters escaped.

    Attributes:
        level: level of the records.
        logger: name of the logger.
    """

    level: int
    logger: str = "hlwasm.guest"


Input = bytes | BinaryReader | None
Output = BinaryWriter | Callable[[bytes], object] | LogLines | None

_LOGGED_STDOUT = LogLines(level=20)  # INFO
_LOGGED_STDERR = LogLines(level=30)  # WARNING


class Wasi(Frozen):
    """What a WASI program may use. The default grants nothing but clocks and random bytes.

    Attributes:
        args: the program's arguments, its own name first.
        env: its environment variables; nothing is taken from this process.
        stdin: bytes, or a binary file. None is an empty input.
        stdout, stderr: a binary file, a callable that takes each chunk as bytes, or
            :class:`LogLines`; None discards. Logged by default. A file or callable that
            blocks keeps the guest waiting, and the call's deadline with it.
        wall_clock: nanoseconds since 1970-01-01T00:00Z.
        monotonic_clock: nanoseconds since any moment, never decreasing.
        sleep: waits for so many nanoseconds of ``monotonic_clock``; called in place of
            really waiting when the guest waits for the clock. Together with a clock that
            it moves on, time in the guest is virtual.
        random: so many random bytes; serves ``wasi:random`` in all its qualities. Asked at
            each call: what a guest has drawn before a snapshot is the same in all its clones,
            see :mod:`hlwasm.wasi.random`.

    Raises:
        TypeError, ValueError: a grant is of a wrong type, or cannot be passed to a program.
    """

    args: Sequence[str]
    env: Mapping[str, str]
    stdin: Input
    stdout: Output
    stderr: Output
    wall_clock: Callable[[], int]
    monotonic_clock: Callable[[], int]
    sleep: Callable[[int], object] | None
    random: Callable[[int], bytes]

    def __init__(
        self,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdin: Input = None,
        stdout: Output = _LOGGED_STDOUT,
        stderr: Output = _LOGGED_STDERR,
        wall_clock: Callable[[], int] = time.time_ns,
        monotonic_clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[int], object] | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if isinstance(args, str):
            raise TypeError("args: pass a sequence of strings, not one string")
        vars(self).update(
            args=tuple(args),
            env=dict(env or {}),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            wall_clock=wall_clock,
            monotonic_clock=monotonic_clock,
            sleep=sleep,
            random=random,
        )
        _check_strings("args", self.args)
        _check_strings("env", self.env)
        _check_strings("env", self.env.values())
        for name in self.env:
            if not name or "=" in name:
                raise ValueError(f"env: {name!r} is not the name of an environment variable")
        _check_input(self.stdin)
        _check_output("stdout", self.stdout)
        _check_output("stderr", self.stderr)

    # Files and callables are what they are: two grants are never the same.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        # The environment often holds secrets; it is kept out of logs and tracebacks.
        shown = (f"{name}={value!r}" for name, value in vars(self).items() if name != "env")
        return f"Wasi({', '.join(shown)})"

    @classmethod
    def inherit(cls, args: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Wasi:
        """Grants this process's standard streams, as a command line program has them.

        Python buffers what is printed: flush ``sys.stdout`` before the program writes, too.

        Args:
            args: the program's arguments, its own name first.
            env: its environment variables; pass ``os.environ`` to hand on all of them.
        """
        return cls(
            args=args,
            env=env,
            stdin=_binary(sys.stdin),
            stdout=_binary(sys.stdout),
            stderr=_binary(sys.stderr),
        )


def _binary(stream: TextIO | None) -> BinaryIO | None:
    # None where this process was started without the stream.
    return None if stream is None else stream.buffer


def _check_strings(field_name: str, strings: Iterable[object]) -> None:
    for string in strings:
        if not isinstance(string, str):
            raise TypeError(f"{field_name}: {string!r} is not a string")
        if "\0" in string:
            raise ValueError(f"{field_name}: {string!r} contains a null character")
        try:
            string.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{field_name}: {string!r} cannot be written as UTF-8") from None


def _check_input(value: object) -> None:
    if value is None or isinstance(value, (bytes, bytearray, memoryview)):
        return
    if isinstance(value, io.TextIOBase):
        raise TypeError("stdin: pass a binary file, such as the buffer of a text file")
    if not callable(getattr(value, "read", None)):
        raise TypeError(f"stdin: pass bytes, a binary file or None, not {type(value).__name__}")


def _check_output(field_name: str, value: object) -> None:
    if value is None or isinstance(value, LogLines):
        return
    if isinstance(value, io.TextIOBase):
        raise TypeError(f"{field_name}: pass a binary file, such as the buffer of a text file")
    if not callable(getattr(value, "write", None)) and not callable(value):
        raise TypeError(
            f"{field_name}: pass a binary file, a callable, LogLines or None, "
            f"not {type(value).__name__}"
        )
