"""What a sandbox may use, and the windows that follow from it."""

from __future__ import annotations

from collections.abc import Sequence

from hlwasm.errors import LimitExceeded
from hlwasm.frozen import Frozen
from hlwasm.native import _abi
from hlwasm.wit.model import Description, MemoryPlan

MIB = 1 << 20
WASM_PAGE = _abi.TRANSFER_WASM_PAGE_BYTES


class Limits(Frozen):
    """Upper bounds of one sandbox.

    Attributes:
        memory: bytes of each linear memory of the component. ``memory.grow`` answers −1
            beyond it; a component that starts with more is refused.
        memories: linear memories of the component, so that ``memory`` times ``memories``
            bounds them all; a component that has more is refused.
        table_elements: elements of each table; ``table.grow`` answers −1 beyond it.
        runtime_memory: bytes of RAM of the guest runtime (its heap, stack and image):
            a multiple of 2 MiB. Tables and instances live here.
        gc_heap: bytes for garbage-collected objects and exceptions of the component,
            0 for none. Costs nothing where the component has none.

    The size of the transfer memories (what one call can carry) belongs to the artifact:
    see ``transfer_memory`` of :func:`hlwasm.load`.
    """

    memory: int = 256 * MIB
    memories: int = 16
    table_elements: int = 1_000_000
    runtime_memory: int = _abi.RAM_DEFAULT_BYTES
    gc_heap: int = 16 * MIB

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


def _capacity(memory: MemoryPlan, limit: int) -> int:
    needed = memory.minimum_pages * WASM_PAGE
    if needed > limit:
        raise LimitExceeded(
            f"the component starts with a memory of {needed} bytes, and the limit is {limit}: "
            f"raise Limits(memory=…) to at least {needed}",
            "memory",
            limit,
        )
    declared = memory.maximum_pages
    capacity = limit if declared is None else min(limit, declared * WASM_PAGE)
    pages = max(capacity, needed) // WASM_PAGE
    return pages * WASM_PAGE


def window_bytes(description: Description, limits: Limits) -> Sequence[int]:
    """Capacity of each window, in bytes: the two bridges', the component's memories, the GC heap.

    Raises:
        LimitExceeded: a memory starts larger than the limit, or there are too many.
    """
    count = len(description.memories)
    if count > limits.memories:
        raise LimitExceeded(
            f"the component has {count} linear memories, and the limit is {limits.memories}: "
            f"raise Limits(memories=…) to at least {count}",
            "memories",
            limits.memories,
        )
    bridges = (
        description.import_pages * WASM_PAGE,
        description.export_pages * WASM_PAGE,
    )
    memories = (_capacity(memory, limits.memory) for memory in description.memories)
    gc_heap = limits.gc_heap // WASM_PAGE * WASM_PAGE
    return (*bridges, *memories, *([gc_heap] if gc_heap else []))
