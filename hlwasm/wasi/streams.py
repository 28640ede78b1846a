"""``wasi:io/streams`` and ``wasi:io/error``: the resources, apart from what they lead to.

A kind of stream is a subclass that defines two or three hooks; everything a guest can call
is here, so the rules of WASI are kept in one place for pipes, files and sockets alike.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn, Protocol

from hlwasm.errors import Err, Trap
from hlwasm.logs import WARNING, log
from hlwasm.wasi.polling import Activity, Pollable

# Most bytes that one read returns, whatever the guest asks for: what a guest can make the
# host allocate. Large, because each call is an exit from the VM.
CHUNK = 256 * 1024
# Most bytes of one write, where nothing else is said. Larger, because some programs lose
# what is not taken at once: CPython without buffering prints as much as one write takes.
WRITE_PERMIT = 1 << 20

_ZEROES = bytes(CHUNK)
_BLOCKING_LIMIT = 4096


class Error:
    """``wasi:io/error.error``.

    Args:
        message: for the guest's eyes: nothing in it may tell of the host.
        cause: the failure on the host, kept for interfaces that give it a code.
    """

    __slots__ = ("cause", "message")

    def __init__(self, message: str, cause: OSError | None = None) -> None:
        self.message = message
        self.cause = cause

    def to_debug_string(self) -> str:
        """The message."""
        return self.message

    def close(self) -> None:
        """The guest dropped it."""


class LastOperationFailed:
    """The case ``last-operation-failed`` of ``stream-error``."""

    __slots__ = ("value",)
    wit_case = "last-operation-failed"

    def __init__(self, value: Error) -> None:
        self.value = value


class Closed:
    """The case ``closed`` of ``stream-error``."""

    __slots__ = ()
    wit_case = "closed"


class StreamPollable(Pollable):
    """Always ready, as the stream is that it is of."""

    __slots__ = ("stream",)

    def __init__(self, stream: object) -> None:
        self.stream = stream


class _Stream:
    """Open until its end, an error or a broken pipe; closed from then on.

    Attributes:
        activity: told of changes; the standard streams of a sandbox share one.
    """

    __slots__ = ("_closed", "activity")

    def __init__(self) -> None:
        self._closed = False
        self.activity = Activity()

    @property
    def closed(self) -> bool:
        """Whether the end, an error or a broken pipe was reported."""
        return self._closed

    def restore_closed(self, closed: bool) -> None:
        """Puts :attr:`closed` back; what closed the stream closes it again if it still holds."""
        self._closed = closed

    def _close_for_good(self) -> None:
        self._closed = True
        self.activity.changed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Err(Closed())

    def _end(self) -> NoReturn:
        self._close_for_good()
        raise Err(Closed())

    def _fail(self, error: OSError) -> NoReturn:
        """Reports a failed operation. A peer that is gone is an end, not a failure."""
        if isinstance(error, ConnectionError):
            self._end()
        self._close_for_good()
        # Not str(error), which names the file.
        failure = Error(error.strerror or "input/output error", error)
        raise Err(LastOperationFailed(failure)) from error


class InputStream(_Stream):
    """``wasi:io/streams.input-stream``. This one is always at its end.

    Methods that read raise ``Err`` with :class:`Closed` at the end and after an error, and
    with :class:`LastOperationFailed` at the error itself.
    """

    __slots__ = ()

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes that are there now; ``b""`` where there are none yet."""
        self._check_open()
        if length == 0:
            return b""
        try:
            data = self._receive(min(length, CHUNK))
        except OSError as error:
            self._fail(error)
        if data is None:
            return b""
        if not data:
            self._end()
        return data

    def blocking_read(self, length: int) -> bytes:
        """Up to ``length`` bytes, as soon as there is one."""
        while True:
            self._block()
            data = self.read(length)
            if data or length == 0:
                return data

    def skip(self, length: int) -> int:
        """Like :meth:`read`, but answers how many bytes there were."""
        return len(self.read(length))

    def blocking_skip(self, length: int) -> int:
        """Like :meth:`blocking_read`, but answers how many bytes there were."""
        return len(self.blocking_read(length))

    def subscribe(self) -> Pollable:
        """Ready when :meth:`read` has bytes, the end or an error to report."""
        return StreamPollable(self)

    def close(self) -> None:
        """The guest dropped it."""

    # Hooks --------------------------------------------------------------------

    def _receive(self, length: int) -> bytes | None:
        """1 to ``length`` bytes, ``b""`` at the end, None where none are there yet."""
        return b""

    def _block(self) -> None:
        """Returns when :meth:`_receive` has something to say."""
        if not self._closed:
            self.subscribe().block()


class OutputBudget(Protocol):
    """What may be written to a stream; what is written beyond it ends the call."""

    def take(self, size: int) -> int:
        """How many of ``size`` bytes may be written; they count as written."""

    def exceeded(self) -> BaseException:
        """The exception where :meth:`take` allowed less than was asked for."""


class OutputStream(_Stream):
    """``wasi:io/streams.output-stream``. This one discards what is written.

    Every method but ``subscribe`` raises ``Err`` with :class:`Closed` once the receiver is
    gone, and with :class:`LastOperationFailed` at the error that ends the stream.

    Args:
        permit: most bytes of one write.
    """

    __slots__ = ("_budget", "_permit")

    def __init__(self, permit: int = WRITE_PERMIT) -> None:
        super().__init__()
        self._permit = permit
        self._budget: OutputBudget | None = None

    def limit(self, budget: OutputBudget) -> None:
        """Has ``budget`` allow each byte that is written from now on."""
        self._budget = budget

    def check_write(self) -> int:
        """How many bytes the next write may have."""
        self._check_open()
        return self._room()

    def write(self, contents: bytes) -> None:
        """Writes up to as many bytes as :meth:`check_write` permits.

        Raises:
            Trap: more.
        """
        self._check_open()
        if len(contents) > self._room():
            raise _write_trap("write", len(contents))
        self._put(contents)

    def blocking_write_and_flush(self, contents: bytes) -> None:
        """Writes and flushes; WASI promises guests 4096 bytes, and more is taken here."""
        while contents:
            self._block()
            self._check_open()
            room = self._room()
            self._put(contents[:room])
            contents = contents[room:]
        self.blocking_flush()

    def flush(self) -> None:
        """Asks for what was written to be passed on."""
        self._check_open()
        try:
            self._drain()
        except OSError as error:
            self._fail(error)

    def blocking_flush(self) -> None:
        """Passes on what was written."""
        self.flush()
        self._block()

    def write_zeroes(self, length: int) -> None:
        """Writes so many zero bytes, as :meth:`write` does.

        Raises:
            Trap: more than :meth:`check_write` permits.
        """
        self._check_open()
        if length > self._room():
            raise _write_trap("write-zeroes", length)
        for start in range(0, length, CHUNK):
            self._put(_ZEROES[: length - start])

    def blocking_write_zeroes_and_flush(self, length: int) -> None:
        """Writes up to 4096 zero bytes and flushes.

        Raises:
            Trap: more.
        """
        if length > _BLOCKING_LIMIT:
            raise _write_trap("blocking-write-zeroes-and-flush", length)
        self.blocking_write_and_flush(_ZEROES[:length])

    def splice(self, src: InputStream, length: int) -> int:
        """Moves up to ``length`` bytes that ``src`` has now; answers how many."""
        length = min(length, self.check_write())
        data = src.read(length)
        if data:
            self.write(data)
        return len(data)

    def blocking_splice(self, src: InputStream, length: int) -> int:
        """Moves up to ``length`` bytes as soon as there is one; answers how many."""
        self._block()
        length = min(length, self.check_write())
        data = src.blocking_read(length)
        if data:
            self.write(data)
        return len(data)

    def subscribe(self) -> Pollable:
        """Ready when :meth:`check_write` permits a write or has an error to report."""
        return StreamPollable(self)

    def close(self) -> None:
        """The guest dropped it, which passes on what was written."""
        if self._closed:
            return
        try:
            self._drain()
        except OSError as error:
            self._close_for_good()
            log(__name__, WARNING, "output of the guest was lost: %s", error)

    def finish(self) -> None:
        """The sandbox is closed: nothing more will be written."""
        self.close()

    def settle(self) -> None:
        """Passes on what was written, for a snapshot, which holds no output.

        Raises:
            OSError: it cannot be. A peer that is gone is no failure.
        """
        if self._closed:
            return
        # The guest will be told of that at its next write.
        with suppress(ConnectionError):
            self._drain()

    def abandon(self) -> None:
        """What comes next is of another request: nothing of it is joined with what was
        written before. Never blocks.
        """

    # Hooks --------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """Takes all of ``data``."""

    def _drain(self) -> None:
        """Passes on what :meth:`_send` took."""

    def _room(self) -> int:
        """How many bytes :meth:`_send` can take now."""
        return self._permit

    def _block(self) -> None:
        """Returns when :meth:`_room` is not 0, or the stream is closed."""
        if not self._closed:
            self.subscribe().block()

    def _put(self, data: bytes) -> None:
        if self._budget is None:
            self._pass(data)
            return
        allowed = self._budget.take(len(data))
        if allowed:
            self._pass(data[:allowed])
        if allowed < len(data):
            raise self._budget.exceeded()

    def _pass(self, data: bytes) -> None:
        try:
            self._send(data)
        except OSError as error:
            self._fail(error)


def _write_trap(function: str, length: int) -> Trap:
    return Trap(
        f"wasi:io/streams#[method]output-stream.{function}: {length} bytes are more than "
        f"the stream permitted"
    )
