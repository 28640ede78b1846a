"""What may be chosen for a compile, and what is reported while it runs."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from hlwasm.frozen import Frozen

MIB = 1 << 20
TRANSFER_DEFAULT_BYTES = 64 * MIB
_TRANSFER_MIN_BYTES = 1 << 16
_TRANSFER_MAX_BYTES = 2048 * MIB


class CompileOptions(Frozen):
    """What changes the artifact; part of the cache key.

    Attributes:
        fuel: count executed work; running code pays for it.
        transfer_bytes: bytes of each transfer memory, 64 KiB to 2 GiB: the most that the
            parameters or results of one call can take.
    """

    fuel: bool = False
    transfer_bytes: int = TRANSFER_DEFAULT_BYTES

    def __post_init__(self) -> None:
        if not _TRANSFER_MIN_BYTES <= self.transfer_bytes <= _TRANSFER_MAX_BYTES:
            raise ValueError(f"transfer_bytes: {self.transfer_bytes} is not 64 KiB to 2 GiB")


class CompileLimits(Frozen):
    """What the worker process may use; not part of the artifact.

    Attributes:
        seconds: wall-clock time of one compile.
        memory_bytes: data memory of the worker. A compile takes about 20 times the size
            of its input and at least 100 MiB.
    """

    seconds: float = 600.0
    memory_bytes: int = 6144 * MIB

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds: {self.seconds} is not positive")
        if self.memory_bytes < 128 * MIB:
            raise ValueError(f"memory_bytes: {self.memory_bytes} is less than 128 MiB")


class Phase(Enum):
    """What a compile is doing."""

    WAITING = "waiting for another process that compiles the same input"
    STARTING = "starting the compiler"
    BRIDGING = "generating bridges"
    COMPILING = "compiling"
    STORING = "storing the artifact"


class Progress(Frozen):
    """One report; they come at each change of phase and several times a second.

    Attributes:
        phase: what is being done.
        elapsed: seconds since :func:`prepare` began.
        source_bytes: size of the input.
    """

    phase: Phase
    elapsed: float
    source_bytes: int


ProgressCallback = Callable[[Progress], None]
