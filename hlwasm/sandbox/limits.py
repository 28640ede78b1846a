"""What a sandbox and its calls may use, and the windows that follow from it."""

from __future__ import annotations

from collections.abc import Sequence

from hlwasm.errors import (
    LimitExceeded,
    MemoryLimitExceeded,
    TableLimitExceeded,
)
from hlwasm.frozen import Frozen
from hlwasm.native import _abi
from hlwasm.wit.model import Description, MemoryPlan

MIB = 1 << 20
WASM_PAGE = _abi.TRANSFER_WASM_PAGE_BYTES

# What `total_memory` is unless chosen, where `memory` is not larger.
_TOTAL_MEMORY = 1024 * MIB
_FUEL_MAX = (1 << 63) - 1


class Limits(Frozen):
    """Upper bounds of one sandbox and of each of its calls.

    Reaching one raises the subclass of :class:`hlwasm.LimitExceeded` in brackets, which
    has the field's name in ``limit`` and its value in ``value``. None is no limit.

    What the sandbox may have, at any time:

    Attributes:
        memory: bytes of each linear memory of the component. ``memory.grow`` answers −1
            beyond it; a component that starts with more is refused (MemoryLimitExceeded).
        memories: linear memories of the component; one that has more is refused
            (MemoryLimitExceeded).
        total_memory: bytes of all linear memories together, and of the heap of
            garbage-collected objects. Enforced by the host as memory is made accessible:
            ``memory.grow`` answers −1 beyond it; a component that starts with more is
            refused (MemoryLimitExceeded). None is 1 GiB, or ``memory`` where that is more.
        table_elements: elements of each table; ``table.grow`` answers −1 beyond it; a
            component that starts with more is refused (TableLimitExceeded).
        runtime_memory: bytes of RAM of the guest runtime (its heap, stack and image):
            a multiple of 2 MiB. Tables and instances live here (MemoryLimitExceeded).
        gc_heap: bytes for garbage-collected objects and exceptions of the component,
            0 for none. Costs nothing where the component has none (MemoryLimitExceeded).
        deadline: seconds of wall-clock time of one call (DeadlineExceeded).
        cpu_time: seconds of CPU time of one call (CpuTimeExceeded).
        abandon_host_calls: host functions run in threads of their own, with the caller's
            context variables, so that ``deadline`` ends a call also while one blocks in a
            library written in C. What was given up goes on until it returns, to no effect.
            Costs a switch of threads for each host call. Not for asyncio, where coroutines
            can be cancelled.
        fuel: units of work of one call: about one per executed wasm instruction, and one
            per byte or element for those that work on many (``memory.fill``). The same
            call uses the same in every process. Needs an artifact that counts:
            ``hlwasm.load(…, fuel=True)`` (FuelExhausted). Exact: what needs N units ends
            well with ``fuel=N`` and not with N − 1. It is counted inside the guest, for
            work that is to be repeatable; what bounds a hostile guest is ``deadline``.
        host_calls: how many host calls one call may make, drops of host resources
            included (HostCallLimitExceeded; the call N + 1 is not served).
        host_call_bytes: what the host calls of one call carry, both ways: bytes of the
            records of parameters and results in the canonical ABI, and of all strings and
            lists in them, as the host itself reads and writes them. Parameters count
            before the host function runs (HostCallBytesExceeded).
        output: bytes that one call may write to WASI's standard output and error
            (OutputLimitExceeded; exactly so many are passed on before).
        captured_output: the part of it that takes memory of this process or ends in a
            log: what goes to a logger, a callable or a file that is not one of the
            operating system, and log lines of the guest runtime (OutputLimitExceeded).

    The limits from ``deadline`` on are those of one call: each starts anew, and making the
    instance is a call, too. There are none for the calls of a sandbox together: the host
    decides how many it makes, and what piles up between calls is memory and host
    resources, which have limits of their own (of resources, a fixed number). A program
    that prints gigabytes to a pipe, or calls the host all day, does nothing wrong, so
    there is no limit of these unless chosen.

    The size of the transfer memories (what one call can carry) belongs to the artifact:
    see ``transfer_memory`` of :func:`hlwasm.load` (TransferLimitExceeded).

    Raises:
        ValueError: a value makes no sense; the message starts with the field's name.
    """

    memory: int = 256 * MIB
    memories: int = 16
    table_elements: int = 1_000_000
    runtime_memory: int = _abi.RAM_DEFAULT_BYTES
    gc_heap: int = 16 * MIB
    total_memory: int | None = None
    deadline: float | None = None
    cpu_time: float | None = None
    fuel: int | None = None
    host_calls: int | None = None
    host_call_bytes: int | None = None
    output: int | None = None
    captured_output: int | None = 64 * MIB
    abandon_host_calls: bool = False

    def __post_init__(self) -> None:
        if self.memory < WASM_PAGE or self.memory > 4096 * MIB:
            raise ValueError(f"memory: {self.memory} is not between 64 KiB and 4 GiB")
        most = _abi.WINDOWS_MAX - _abi.WINDOW_COMPONENT - 1
        if not 0 <= self.memories <= most:
            raise ValueError(f"memories: {self.memories} is not between 0 and {most}")
        for name in ("table_elements", "gc_heap"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is negative")
        if self.runtime_memory < _abi.RAM_MIN_BYTES or self.runtime_memory % (2 * MIB):
            raise ValueError(
                f"runtime_memory: {self.runtime_memory} is not a multiple of 2 MiB "
                f"of at least {_abi.RAM_MIN_BYTES // MIB} MiB"
            )
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 0 <= value <= _FUEL_MAX):
                raise ValueError(f"{name}: {value!r} is neither None nor a number from 0 on")
        for name in ("deadline", "cpu_time"):
            value = getattr(self, name)
            if value is not None and (
                type(value) not in (int, float) or not 0 < value < float("inf")
            ):
                raise ValueError(f"{name}: {value!r} is neither None nor a number of seconds")


_COUNTS = ("total_memory", "fuel", "host_calls", "host_call_bytes", "output", "captured_output")


def total_memory_bytes(limits: Limits) -> int:
    """Most bytes of all linear memories together."""
    if limits.total_memory is None:
        return max(limits.memory, _TOTAL_MEMORY)
    return limits.total_memory


def guest_limit(message: str, name: str, limits: Limits) -> LimitExceeded:
    """The exception for a limit that the guest runtime says is reached.

    Args:
        message: the guest's own words.
        name: field of ``limits``, empty where the guest named none that there is.
    """
    if not name:
        return LimitExceeded(message)
    kind = TableLimitExceeded if name == "table_elements" else MemoryLimitExceeded
    value = getattr(limits, name)
    return kind(f"{message}: raise Limits({name}=…), which is {value}", name, value)


def _capacity(memory: MemoryPlan, limits: Limits) -> int:
    needed, limit = memory.minimum_pages * WASM_PAGE, limits.memory
    if needed > limit:
        raise MemoryLimitExceeded(
            f"the component starts with a memory of {needed} bytes, and the limit is {limit}: "
            f"raise Limits(memory=…) to at least {needed}",
            "memory",
            limit,
        )
    # Room that the total never lets it use would only make the sandbox dearer.
    limit = min(limit, total_memory_bytes(limits))
    declared = memory.maximum_pages
    capacity = limit if declared is None else min(limit, declared * WASM_PAGE)
    pages = max(capacity, needed) // WASM_PAGE
    return pages * WASM_PAGE


def window_bytes(description: Description, limits: Limits) -> Sequence[int]:
    """Capacity of each window, in bytes: the two bridges', the component's memories, the GC heap.

    Raises:
        MemoryLimitExceeded: a memory, or all of them, start larger than a limit, or there
            are too many.
    """
    count = len(description.memories)
    if count > limits.memories:
        raise MemoryLimitExceeded(
            f"the component has {count} linear memories, and the limit is {limits.memories}: "
            f"raise Limits(memories=…) to at least {count}",
            "memories",
            limits.memories,
        )
    total = sum(memory.minimum_pages for memory in description.memories) * WASM_PAGE
    memories = [_capacity(memory, limits) for memory in description.memories]
    if total > total_memory_bytes(limits):
        raise MemoryLimitExceeded(
            f"the component starts with {total} bytes of memory in all, and the limit is "
            f"{total_memory_bytes(limits)}: raise Limits(total_memory=…) to at least {total}",
            "total_memory",
            total_memory_bytes(limits),
        )
    bridges = (
        description.import_pages * WASM_PAGE,
        description.export_pages * WASM_PAGE,
    )
    gc_heap = limits.gc_heap // WASM_PAGE * WASM_PAGE
    return (*bridges, *memories, *([gc_heap] if gc_heap else []))
