"""Whether two threads do twice the requests of one, each in a sandbox that is restored for it.

A request is a restore and a call. Beside it the same in two processes: what the machine itself
gives, where nothing is shared.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType

import hlwasm
from benchmarks.measure import Row, Times, in_turns
from benchmarks.peers import BENCH, Host, open_sandbox

WORKERS = 2
ROUNDS = 20
SECONDS = 0.1
GOAL = 1.8


def _serve(request: Callable[[], object], seconds: float) -> int:
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        request()
        count += 1
    return count


class Requests:
    """Requests to one restored sandbox.

    Args:
        long: whether a request is one or two milliseconds of work, or a sum of two numbers.
    """

    def __init__(self, long: bool) -> None:
        self._sandbox = sandbox = open_sandbox()
        add, work = sandbox.exports.add, sandbox.exports.matmul
        for _ in range(2):
            add(2, 3)
            work(1)
        self._snapshot = sandbox.snapshot()
        self._call: Callable[[], object] = (lambda: work(1)) if long else (lambda: add(2, 3))
        for _ in range(50):
            self._serve()

    def _serve(self) -> None:
        self._sandbox.restore(self._snapshot)
        self._call()

    def serve(self, seconds: float) -> int:
        """Serves requests one after the other for so long; answers how many."""
        return _serve(self._serve, seconds)

    def __enter__(self) -> Requests:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sandbox.close()


class _Process:
    """A process that serves requests when it is told to."""

    def __init__(self, long: bool) -> None:
        command = [sys.executable, "-m", "benchmarks.scaling", *(["long"] if long else [])]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.finish()

    def start(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{SECONDS}\n")

    def finish(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __enter__(self) -> _Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Its input ends, and so does it.
        self._process.communicate()


def _child(long: bool) -> None:
    with Requests(long) as requests:
        print(0, flush=True)
        for line in sys.stdin:
            print(requests.serve(float(line)), flush=True)


class _PoolRequests:
    """The same short requests to a pool, which restores by itself."""

    def __init__(self, pool: hlwasm.Pool) -> None:
        self._add = pool.exports.add
        for _ in range(50):
            self._add(2, 3)

    def serve(self, seconds: float) -> int:
        return _serve(partial(self._add, 2, 3), seconds)


def _by_threads(servers: Sequence[Requests | _PoolRequests]) -> float:
    """Microseconds per request of as many threads as servers."""
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda server: counts.append(server.serve(SECONDS)), args=(each,))
        for each in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return SECONDS * 1e6 / sum(counts)


def _by_processes(processes: Sequence[_Process]) -> float:
    """Microseconds per request of these processes together."""
    for process in processes:
        process.start()
    return SECONDS * 1e6 / sum(process.finish() for process in processes)


def _speedup(alone: Times, together: Times) -> float:
    return alone.value / together.value


def _scaling(name: str, long: bool) -> Row:
    with ExitStack() as opened:
        servers = [opened.enter_context(Requests(long)) for _ in range(WORKERS)]
        processes = [opened.enter_context(_Process(long)) for _ in range(WORKERS)]
        thread, threads, process, both = in_turns(
            [
                lambda: _by_threads(servers[:1]),
                lambda: _by_threads(servers),
                lambda: _by_processes(processes[:1]),
                lambda: _by_processes(processes),
            ],
            ROUNDS,
            warm_up=1,
        )
    return Row(
        name,
        _speedup(thread, threads),
        "times one thread",
        "two processes",
        _speedup(process, both),
        GOAL,
        max(thread.spread, threads.spread),
        "value",
        "larger",
    )


def _pool() -> list[Row]:
    component = hlwasm.load(BENCH)
    with (
        hlwasm.Pool(component, size=WORKERS, min_size=WORKERS, imports={"host": Host}) as pool,
        Requests(False) as alone,
    ):
        servers = [_PoolRequests(pool) for _ in range(WORKERS)]
        own, thread, threads = in_turns(
            [
                lambda: _by_threads([alone]),
                lambda: _by_threads(servers[:1]),
                lambda: _by_threads(servers),
            ],
            ROUNDS,
            warm_up=1,
        )
    speedup, spread = _speedup(thread, threads), max(thread.spread, threads.spread)
    return [
        Row(
            "scaling.pool",
            speedup,
            "times one thread",
            goal=GOAL,
            spread=spread,
            goal_of="value",
            better="larger",
        ),
        Row.of("request.pool", thread, "restore and call of a sandbox", own),
    ]


def measure() -> list[Row]:
    """Short requests, and requests of one to two milliseconds."""
    own = [_scaling("scaling.2_cores", False), _scaling("scaling.2_cores.long", True)]
    return own + _pool()


if __name__ == "__main__":
    _child(sys.argv[1:] == ["long"])
