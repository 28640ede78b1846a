"""A whole function by the plain codec: parameters and results at their places.

The generated codecs fall back to these four for what they cannot do fast.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, cast

from hlwasm.codec.checks import bad_guest_data, memory_full, wrong_type
from hlwasm.codec.layout import align_up
from hlwasm.codec.reference import Lifting, Lowering, Reference
from hlwasm.errors import ArtifactError, Err, GuestDataError
from hlwasm.wit.model import Function, Own, Result
from hlwasm.wit.names import (
    NotAWitName,
    identifier,
    parse_function_name,
    parse_interface_name,
    python_function_name,
    snake_case,
    upper_camel_case,
)
from hlwasm.wit.values import Ok

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hlwasm.codec.context import CallContext, Context, Loan

# Offsets in a transfer memory; host_guest_abi/src/transfer.rs says more.
CURSOR = 60
DATA = 64
# Blocks that either side allocates start at multiples of this.
BLOCK_ALIGN = 16


def reference_of(function: Function) -> Reference:
    """The plain codec of the function's description, made once."""
    cache = function.description.cache
    found = cache.get(Reference)
    if found is None:
        found = cache[Reference] = Reference(function.description)
    assert isinstance(found, Reference)
    return found


def label_of(function: Function) -> str:
    """How messages name the function: ``ops.add``, ``streams.InputStream.read``."""
    name = parse_function_name(function.name)
    parts = [python_function_name(function.name)]
    if name.resource is not None and name.kind != "constructor":
        parts.insert(0, upper_camel_case(name.resource))
    if function.interface is not None:
        parts.insert(0, python_name(parse_interface_name(function.interface).name))
    return ".".join(parts)


def python_name(name: str) -> str:
    """Snake case, also of names that are no WIT names."""
    try:
        return snake_case(name)
    except NotAWitName:
        return identifier(name)


def parameter_names(function: Function) -> list[str]:
    """The Python names of the parameters.

    Raises:
        ArtifactError: two are the same, so the names cannot be WIT's.
    """
    names = [python_name(each.name) for each in function.params]
    # Names that start with an underscore belong to generated code.
    names = ["p" + name if name.startswith("_") else name for name in names]
    if len(set(names)) < len(names):
        raise ArtifactError(f"{function.name}: two parameters have the same Python name")
    return names


class PlainFunction:
    """The plain codec of one function.

    Attributes:
        label: how messages name the function.
        names: Python names of the parameters.
        fallible: the result is a ``result``, whose error arm is an exception in Python.
        first_free: exports: where payload of parameters starts.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.reference = reference_of(function)
        self.reference.layout.check(function)
        self.label = label_of(function)
        self.names = parameter_names(function)
        self.types = [each.type for each in function.params]
        self.offsets = self.reference.layout.record(self.types).offsets
        self.paths = [f"{self.label}: parameter {name}" for name in self.names]
        self.result_path = f"{self.label}: result"
        result = function.result
        type_ = function.description.types[result] if isinstance(result, int) else None
        self.fallible = isinstance(type_, Result)
        self.first_free = align_up(
            max(function.end_offset, DATA + function.params_size), BLOCK_ALIGN
        )

    # Exports

    def call(self, context: CallContext, arguments: Sequence[Any]) -> Any:
        """One guest call, from beginning to end."""
        context.begin()
        try:
            self.lower_params(context, arguments)
            context.invoke(self.function.index)
            return self.lift_result(context)
        finally:
            context.end()

    def lower_params(
        self,
        context: Context,
        arguments: Sequence[Any],
        handles: Sequence[int | None] = (),
    ) -> None:
        """Writes the parameters' record at 64, payload behind it, and the cursor.

        ``handles`` has, by position, those of owned resources that are converted already.
        """
        state = Lowering(context.export_memory, self.first_free, context.resources)
        for index, handle in enumerate(handles):
            if handle is not None:
                own = cast(Own, self.function.description.types[cast(int, self.types[index])])
                state.given.append((own.resource, arguments[index], handle))
        try:
            self._lower_params(state, arguments, handles)
        except BaseException:
            state.take_back()
            raise

    def _lower_params(
        self, state: Lowering, arguments: Sequence[Any], handles: Sequence[int | None]
    ) -> None:
        memory = state.memory
        if self.first_free > len(memory):
            raise memory_full(self.label, len(memory))
        memory[DATA : DATA + self.function.params_size] = bytes(self.function.params_size)
        for index, value in enumerate(arguments):
            offset = DATA + self.offsets[index]
            handle = handles[index] if handles else None
            if handle is not None:
                struct.pack_into("<I", memory, offset, handle)
            else:
                self.reference.lower(state, self.types[index], offset, value, self.paths[index])
        struct.pack_into("<I", memory, CURSOR, state.cursor)

    def lift_result(self, context: Context, loan: Loan | None = None) -> Any:
        """Reads the result of an export; as views where there is a loan.

        Raises:
            Err: the function returned the error arm of its result.
            GuestDataError: the bytes are no valid value; the context is poisoned.
        """
        result = self.function.result
        if result is None:
            return None
        memory, offset, path = context.export_memory, self.function.result_offset, self.result_path
        state = Lifting(memory, len(memory), context.resources)
        try:
            if offset + self.reference.layout.shape(result).size > len(memory):
                raise bad_guest_data(path, "it lies beyond the transfer memory")
            # What an exception carries outlives any view.
            if loan is not None and not (self.fallible and memory[offset]):
                state.memory, state.view = loan.memory, loan.view
            value = self.reference.lift(state, result, offset, path)
        except GuestDataError as error:
            state.put_back()
            context.poison(error)
            raise
        if self.fallible:
            if isinstance(value, Err):
                raise value
            return value.value
        return value

    # Imports

    def lift_params(self, context: Context, pointer: int) -> list[Any]:
        """Reads the arguments of a host call from the record at ``pointer``.

        Raises:
            GuestDataError: the pointer or the bytes are not valid.
        """
        if not self.types:
            return []
        memory = context.import_memory
        function = self.function
        if pointer % function.params_align or not (
            0 <= pointer <= len(memory) - function.params_size
        ):
            raise bad_guest_data(self.label, f"bad address of the parameters: {pointer}")
        state = Lifting(memory, len(memory), context.resources)
        try:
            arguments = [
                self.reference.lift(state, ref, pointer + offset, path)
                for ref, offset, path in zip(self.types, self.offsets, self.paths, strict=True)
            ]
            if context.count_bytes is not None:
                context.count_bytes(function.params_size + len(memory) - state.budget)
        except BaseException:
            state.put_back()
            raise
        return arguments

    def lower_result(self, context: Context, value: Any) -> int:
        """Writes a host function's result at the cursor; returns its address.

        For a fallible function ``value`` is Ok, Err or the bare success payload.
        """
        result = self.function.result
        if result is None:
            self.check_no_result(value)
            return 0
        memory = context.import_memory
        if self.fallible and not isinstance(value, (Ok, Err)):
            value = Ok(value)
        (cursor,) = struct.unpack_from("<I", memory, CURSOR)
        state = Lowering(memory, cursor, context.resources)
        size = self.reference.layout.shape(result).size
        try:
            pointer = state.allocate(size, BLOCK_ALIGN, self.result_path)
            self.reference.lower(state, result, pointer, value, self.result_path)
            if context.count_bytes is not None:
                context.count_bytes(state.cursor - pointer)
        except BaseException:
            state.take_back()
            raise
        return pointer

    def check_no_result(self, value: Any) -> None:
        """A function without result must return None: anything else is a mistake."""
        if value is not None:
            raise wrong_type(self.result_path, "None (the function has no result)", value)
