"""The package ``wasi:random``: all three interfaces draw from the one granted source.

The source is asked at each call, and no snapshot holds anything of it: after a restore, and
in each clone, a guest that asks gets bytes that it did not get before. A source of a test
that repeats itself goes on where it is, too; for the same bytes each time, grant a new one.

What the guest drew before a snapshot is in its memory, and so the same in all that is
restored or cloned from it: seeds of generators and of hash tables, keys, nonces, session
identifiers. A component that is to be cloned should ask for random bytes when it serves a
call, not when it is initialised; seed its generators at the start of a call, or export a
function that does, for the host to call after a restore; and make no keys before that.
"""

from __future__ import annotations

from hlwasm.wasi.interface import Interface

# Most bytes of one call: what a guest can make the host allocate.
RANDOM_LIMIT = 1 << 24


class _Source(Interface):
    __slots__ = ()

    def _bytes(self, count: int) -> bytes:
        data = self._host.config.random(count)
        if len(data) != count:
            raise ValueError(f"Wasi.random returned {len(data)} bytes for {count}")
        return data

    def _limited_bytes(self, function: str, count: int) -> bytes:
        if count > RANDOM_LIMIT:
            raise self._trap(function, f"{count} bytes are more than {RANDOM_LIMIT}")
        return self._bytes(count)

    def _u64(self) -> int:
        return int.from_bytes(self._bytes(8), "little")


class Random(_Source):
    """``wasi:random/random``."""

    __slots__ = ()

    def get_random_bytes(self, length: int) -> bytes:
        """So many bytes.

        Raises:
            Trap: more than 16 MiB.
        """
        return self._limited_bytes("get-random-bytes", length)

    def get_random_u64(self) -> int:
        """A number."""
        return self._u64()


class Insecure(_Source):
    """``wasi:random/insecure``."""

    __slots__ = ()

    def get_insecure_random_bytes(self, length: int) -> bytes:
        """So many bytes.

        Raises:
            Trap: more than 16 MiB.
        """
        return self._limited_bytes("get-insecure-random-bytes", length)

    def get_insecure_random_u64(self) -> int:
        """A number."""
        return self._u64()


class InsecureSeed(_Source):
    """``wasi:random/insecure-seed``."""

    __slots__ = ()

    def insecure_seed(self) -> tuple[int, int]:
        """128 bits, new ones at each call."""
        return self._u64(), self._u64()
