"""Checks that Python values are WIT values, by the slow codec and a memory of no sandbox."""

from __future__ import annotations

from typing import Any

from hlwasm.codec.layout import align_up
from hlwasm.codec.reference import Lifting, Lowering, Reference
from hlwasm.errors import TransferLimitExceeded, WitTypeError
from hlwasm.testing.scripts.steps import callee_text
from hlwasm.wit.model import Description, Function

_FIRST_MEMORY = 1 << 16
_LARGEST_MEMORY = 1 << 28


class CanonicalValues:
    """Python values as codecs lift them: what is as good as a WIT value becomes one."""

    def __init__(self, description: Description) -> None:
        self._reference = Reference(description)

    def canonical(self, function: Function, value: Any) -> Any:
        """The result of a function as the component's own would look.

        Raises:
            ConversionError: the value does not fit the type.
        """
        if function.result is None:
            if value is not None:
                raise WitTypeError(f"{callee_text(function)}: it has no result, but got {value!r}")
            return None
        label = f"{callee_text(function)}: result"
        size = _FIRST_MEMORY
        while True:
            try:
                return self._through(memoryview(bytearray(size)), function.result, value, label)
            except TransferLimitExceeded:
                size *= 16
                if size > _LARGEST_MEMORY:
                    raise

    def _through(self, memory: memoryview, ref: Any, value: Any, label: str) -> Any:
        resources = _Objects()
        shape = self._reference.layout.shape(ref)
        lowering = Lowering(memory, align_up(shape.size, 16), resources)
        self._reference.lower(lowering, ref, 0, value, label)
        return self._reference.lift(Lifting(memory, len(memory), resources), ref, 0, label)


class _Objects:
    """Any object stands for a resource; its handle is its place in a list."""

    def __init__(self) -> None:
        self._objects: list[Any] = []

    def lower_own(self, type_index: int, value: Any) -> int:
        self._objects.append(value)
        return len(self._objects) - 1

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        pass

    put_back = take_back
    lower_borrow = lower_own

    def lift_own(self, type_index: int, handle: int) -> Any:
        return self._objects[handle]

    lift_borrow = lift_own
