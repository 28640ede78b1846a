"""The futures of what is submitted to a pool, and their ends."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from os import getpid
from typing import Any

from hlwasm.errors import PoolClosed
from hlwasm.logs import WARNING, log
from hlwasm.sandbox.pool.slot import LOGGER

FORKED = "the pool belongs to the parent process: make one in this process"


class PoolFuture(Future[Any]):
    """What was submitted. In a forked child, which has no threads to do it, waiting raises."""

    def __init__(self) -> None:
        super().__init__()
        self._process = getpid()

    def _check(self) -> None:
        if self._process != getpid() and not self.done():
            raise PoolClosed(FORKED)

    def result(self, timeout: float | None = None) -> Any:
        self._check()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._check()
        return super().exception(timeout)


def resolve(future: PoolFuture, result: Any, error: BaseException | None) -> None:
    """Ends a future. Its callbacks run here, and may raise what :class:`Future` does not catch
    (asyncio's CancelledError, for one): that must not end this thread.
    """
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        pass  # the watcher, or the worker, was first
    except BaseException as failure:
        _log_callback(failure)


def cancel_all(futures: list[PoolFuture], *, queued: bool) -> None:
    """Cancels those that no thread has begun, whatever callbacks raise.

    Args:
        futures: these.
        queued: a thread will find them in the queue, and tell those who wait for several.

    Raises:
        KeyboardInterrupt: it came meanwhile. All are cancelled nevertheless.
    """
    interrupt: KeyboardInterrupt | None = None
    for future in futures:
        try:
            if future.cancel() and not queued:
                future.set_running_or_notify_cancel()
        except KeyboardInterrupt as error:
            interrupt = error
        except BaseException as error:
            _log_callback(error)
    if interrupt is not None:
        raise interrupt


def _log_callback(error: BaseException) -> None:
    log(LOGGER, WARNING, "a callback of a future raised %r", error)
