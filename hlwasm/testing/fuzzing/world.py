"""WASI without chance: clocks that are moved by being read, and random bytes from a seed."""

from __future__ import annotations

from random import Random

from hlwasm.wasi import Wasi

# What the clocks say first, in nanoseconds: 2020-01-01T00:00Z, and an hour after some start.
_WALL_CLOCK = 1_577_836_800 * 10**9
_MONOTONIC_CLOCK = 3_600 * 10**9
_TICK = 1_000_000


class RepeatableWorld:
    """The grants of a sandbox in which everything outside of it happens again.

    Attributes:
        wasi: the grants.
        used: the sources of chance that were asked since :meth:`reset`: ``"random bytes"``,
            ``"clock"``.
        output: what was written to standard output and error since then.
    """

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.output = bytearray()
        self.reset()
        self.wasi = Wasi(
            args=["component"],
            stdout=self._write,
            stderr=self._write,
            wall_clock=lambda: _WALL_CLOCK + self._now(),
            monotonic_clock=lambda: _MONOTONIC_CLOCK + self._now(),
            sleep=self._sleep,
            random=self._draw,
        )

    def reset(self, random_seed: int = 0, hours: int = 0) -> None:
        """Begins anew; other arguments are another world."""
        self._random = Random(random_seed)
        self._elapsed = hours * 3_600 * 10**9
        self.used = set()
        self.output = bytearray()

    def _now(self) -> int:
        self.used.add("clock")
        self._elapsed += _TICK
        return self._elapsed

    def _sleep(self, nanoseconds: int) -> None:
        self._elapsed += max(0, nanoseconds)

    def _draw(self, count: int) -> bytes:
        self.used.add("random bytes")
        return self._random.randbytes(count)

    def _write(self, data: bytes) -> None:
        self.output += data
