"""The generated code of one function, with the objects that it refers to."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any, cast

from hlwasm.codec.checks import bad_guest_data
from hlwasm.codec.complexity import Complexity
from hlwasm.codec.context import AsyncCallContext, CallContext
from hlwasm.codec.fast_values import Unusual
from hlwasm.codec.lift import LiftEmitter
from hlwasm.codec.lower import LowerEmitter
from hlwasm.codec.plain import CURSOR, DATA, PlainFunction
from hlwasm.codec.source import Leaf, Source
from hlwasm.errors import Err, GuestDataError
from hlwasm.frozen import Frozen
from hlwasm.wit.model import Own, Result, TypeRef
from hlwasm.wit.values import Ok

_numbers = itertools.count(1)


def _inner_name(name: str) -> str:
    """What a parameter is called inside: generated code needs the builtins."""
    return f"_argument_{name}" if hasattr(builtins, name) else name


def _unusual() -> None:
    """``raise`` as an expression."""
    raise Unusual


class GeneratedCode(Frozen):
    """A compiled function; binding gives it the globals of one sandbox.

    Attributes:
        code: the function's code; all its names but parameters are globals.
        constants: the globals that are the same for every sandbox.
        text: the source.
    """

    code: CodeType
    constants: dict[str, Any]
    text: str

    def namespace(self, context: CallContext | AsyncCallContext) -> dict[str, Any]:
        """The globals for one sandbox."""
        resources = context.resources
        return {
            **self.constants,
            "__builtins__": builtins.__dict__,
            "_context": context,
            "_begin": context.begin,
            "_invoke": context.invoke,
            "_end": context.end,
            "_lower_own": resources.lower_own,
            "_lower_borrow": resources.lower_borrow,
            "_lift_own": resources.lift_own,
            "_lift_borrow": resources.lift_borrow,
            "_count_bytes": context.count_bytes,
        }

    def bind(self, namespace: dict[str, Any]) -> FunctionType:
        """A function of this code with these globals."""
        return FunctionType(self.code, namespace, self.code.co_name)


class FunctionGenerator:
    """Generates the code of one function.

    Whatever is too large for generated code, or owns resources in places other than a
    parameter or the result itself, is left to the plain codec: an owned resource is
    converted once, so nothing may fail and be done again after its conversion.

    Args:
        plain: the function's plain codec.
        asynchronous: generates a coroutine function, for an ``AsyncCallContext``.
    """

    def __init__(self, plain: PlainFunction, asynchronous: bool = False) -> None:
        self._plain = plain
        self._asynchronous = asynchronous
        self._views = False
        self._def = "async def" if asynchronous else "def"
        self._await = "await " if asynchronous else ""
        self._function = plain.function
        self._reference = plain.reference
        cache = plain.function.description.cache
        complexity = cache.get(Complexity)
        if complexity is None:
            complexity = cache[Complexity] = Complexity(plain.reference)
        self._complexity: Complexity = complexity
        self._types = plain.function.description.types
        self._source = Source()
        self._names = [_inner_name(name) for name in plain.names]

    # Exports

    def export(self, name: str, views: bool = False) -> GeneratedCode:
        """The Python function that calls this guest function.

        Args:
            name: the function's.
            views: return a loan and the result, with views of the memory for strings and lists
                of numbers.
        """
        source, function = self._source, self._function
        self._views = views
        with source.block(f"{self._def} {name}({', '.join(self._names)}):"):
            source.line(f"{self._await}_begin()")
            with source.block("try:"):
                source.line("_memory = _context.export_memory")
                self._export_params()
                source.line(f"{self._await}_invoke({function.index})")
                if views:
                    source.line("_loan = _context.lend()")
                    source.line("_memory, _view = _loan.memory, _loan.view")
                self._export_result()
            with source.block("finally:"):
                source.line("_end()")
        return self._compile(name)

    def _export_params(self) -> None:
        source, plain = self._source, self._plain
        arguments = f"({', '.join(self._names)}{',' if self._names else ''})"
        own = [self._is_own(ref) for ref in plain.types]
        if not self._fast(plain.types):
            source.line(f"_lower_plain(_context, {arguments})")
            return
        handles = [
            f"_{name}_handle" if o else "None" for name, o in zip(self._names, own, strict=True)
        ]
        used = [handle for handle in handles if handle != "None"]
        if used:
            source.line(" = ".join(used) + " = None")
        with source.block("try:"):
            emitter = LowerEmitter(
                source, self._reference, self._complexity, plain.first_free, bool(used)
            )
            self._size_if_lists(plain.types)
            leaves: list[Leaf] = []
            conversions: list[str] = []
            for index, (ref, name) in enumerate(zip(plain.types, self._names, strict=True)):
                offset = DATA + plain.offsets[index]
                if own[index]:
                    leaves.append(Leaf(offset, "I", handles[index]))
                    resource = cast(Own, self._types[cast(int, ref)]).resource
                    conversions.append(f"{handles[index]} = _lower_own({resource}, {name})")
                else:
                    leaves += emitter.value(ref, name, offset)
            for conversion in conversions:
                source.line(conversion)
            cursor = Leaf(CURSOR, "I", str(emitter.cursor))
            emitter.pack([cursor, *leaves], CURSOR, DATA + self._function.params_size, CURSOR)
        self._slow_flag()
        with source.block("if _slow:"):
            known = f", ({', '.join(handles)},)" if used else ""
            source.line(f"_lower_plain(_context, {arguments}{known})")

    def _export_result(self) -> None:
        source, plain, function = self._source, self._plain, self._function
        result = function.result
        if result is None:
            self._return("None")
            return
        own = self._is_own(result)
        if own:
            unpack = source.struct("<I", "unpack_from")
            handle = f"{unpack}(_memory, {function.result_offset})[0]"
            self._lift_own_or_poison(cast(int, result), handle, plain.result_path)
            return
        if plain.fallible:
            self._fallible_export_result(cast(int, result))
            return
        if self._fast([result]):
            with source.block("try:"):
                offset = function.result_offset
                self._return(self._lift_record([result], "_memory", offset, self._views)[0])
            with source.block("except Exception:"):
                source.line("pass")
        self._return_plain()

    def _return(self, value: str) -> None:
        self._source.line(f"return _loan, {value}" if self._views else f"return {value}")

    def _return_plain(self) -> None:
        self._return(f"_lift_plain(_context{', _loan' if self._views else ''})")

    def _fallible_export_result(self, ref: int) -> None:
        source = self._source
        type_ = cast(Result, self._types[ref])
        arms = (type_.ok, type_.err)
        own = type_.ok if type_.ok is not None and self._is_own(type_.ok) else None
        offset = self._function.result_offset
        payload = offset + self._reference.layout.payload(arms)[0]
        source.line("_failed = None")
        with source.block("try:"):
            source.line(f"_tag = _memory[{offset}]")
            for number, arm in enumerate(arms):
                with source.block(f"{'if' if number == 0 else 'elif'} _tag == {number}:"):
                    value = "None"
                    if arm is not None and arm == own and number == 0:
                        unpack = source.struct("<I", "unpack_from")
                        value = f"{unpack}(_memory, {payload})[0]"
                    elif arm is not None and not self._fast([arm]):
                        source.line("raise _Unusual")
                        continue
                    elif arm is not None:
                        # What an exception carries outlives any view.
                        views = self._views and number == 0
                        value = self._lift_record([arm], "_memory", payload, views)[0]
                    source.line(f"_result = {value}")
                    source.line(f"_failed = {number == 1}")
        with source.block("except Exception:"):
            source.line("pass")
        with source.block("if _failed is None:"):
            self._return_plain()
        with source.block("if _failed:"):
            source.line("raise _Err(_result)")
        if own is not None:
            self._lift_own_or_poison(cast(int, own), "_result", f"{self._plain.result_path}.ok")
        else:
            self._return("_result")

    def _lift_own_or_poison(self, ref: int, handle: str, path: str) -> None:
        source = self._source
        resource = cast(Own, self._types[ref]).resource
        with source.block("try:"):
            self._return(f"_lift_own({resource}, {handle})")
        with source.block("except _GuestDataError as _error:"):
            source.line(f"_error = {self._located(path)}")
            source.line("_context.poison(_error)")
            source.line("raise _error from None")

    def _located(self, path: str) -> str:
        """An expression for ``_error``, which the resources raised, with its place."""
        return f"_bad_guest_data({self._source.constant('path', path, path)}, str(_error))"

    # Imports

    def import_(self) -> GeneratedCode:
        """The server of this host function: address of the parameters → of the result."""
        source, plain = self._source, self._plain
        with source.block(f"{self._def} serve(_pointer):"):
            source.line("_memory = _context.import_memory")
            self._import_params()
            if plain.fallible:
                with source.block("try:"):
                    self._call_implementation()
                with source.block("except _Err as _error:"):
                    source.line("_value = _error")
            else:
                self._call_implementation()
            self._import_result()
        return self._compile("serve")

    def _call_implementation(self) -> None:
        source = self._source
        source.line(f"_value = _implementation({self._arguments()})")
        if self._asynchronous:
            # Only here: most sandboxes are synchronous, and inspect takes long to import.
            from inspect import isawaitable

            with source.block(f"if {source.constant('isawaitable', isawaitable)}(_value):"):
                source.line("_value = await _value")

    def _import_params(self) -> None:
        source, plain = self._source, self._plain
        if not plain.names:
            return
        names = self._arguments()
        # Of several owned resources the first are to be put back if a later one is not valid.
        if not self._fast(plain.types) or sum(map(self._is_own, plain.types)) > 1:
            source.line(f"{names}, = _lift_params_plain(_context, _pointer)")
            return
        with source.block("try:"):
            mask = self._function.params_align - 1
            source.require(f"_pointer < 0 or _pointer & {mask}" if mask else "_pointer < 0")
            values = self._lift_record(plain.types, "_memory", "_pointer")
            for name, value in zip(plain.names, values, strict=True):
                source.line(f"_argument_{name} = {value}")
        self._slow_flag()
        with source.block("if _slow:"):
            source.line(f"{names}, = _lift_params_plain(_context, _pointer)")
        with source.block("else:"):
            used = " + _used" if self._has_payload(plain.types) else ""
            self._count(f"{self._function.params_size}{used}")
            if any(self._is_own(ref) for ref in plain.types):
                for name, ref, path in zip(plain.names, plain.types, plain.paths, strict=True):
                    if self._is_own(ref):
                        resource = cast(Own, self._types[cast(int, ref)]).resource
                        argument = f"_argument_{name}"
                        with source.block("try:"):
                            source.line(f"{argument} = _lift_own({resource}, {argument})")
                        with source.block("except _GuestDataError as _error:"):
                            source.line(f"raise {self._located(path)} from None")

    def _import_result(self) -> None:
        source, plain = self._source, self._plain
        result = self._function.result
        if result is None:
            with source.block("if _value is not None:"):
                source.line("_check_no_result(_value)")
            source.line("return 0")
            return
        arms: tuple[TypeRef | None, ...] = (result,)
        if plain.fallible:
            type_ = cast(Result, self._types[cast(int, result)])
            arms = (type_.ok, type_.err)
        present = [arm for arm in arms if arm is not None]
        if plain.fallible or self._fast(present):
            shape = self._reference.layout.shape(result)
            with source.block("try:"):
                self._size_if_lists(present)
                word = source.struct("<I", "unpack_from")
                source.line(f"_result = {word}(_memory, {CURSOR})[0] + 15 & -16")
                source.line(f"_cursor = _result + {shape.size}")
                if plain.fallible:
                    self._fallible_import_result(arms, shape.size)
                else:
                    self._lower_arm(None, result, "_value", 0, shape.size)
            with source.block("except Exception:"):
                source.line("pass")
            with source.block("else:"):
                self._count("_cursor - _result")
                source.line("return _result")
        source.line("return _lower_result_plain(_context, _value)")

    def _fallible_import_result(self, arms: tuple[TypeRef | None, ...], size: int) -> None:
        source = self._source
        payload = self._reference.layout.payload(arms)[0]
        with source.block("if isinstance(_value, _Err):"):
            source.line("_payload = _value.value")
            self._lower_arm(1, arms[1], "_payload", payload, size)
        with source.block("else:"):
            source.line("_payload = _value.value if type(_value) is _Ok else _value")
            self._lower_arm(0, arms[0], "_payload", payload, size)

    def _lower_arm(
        self, tag: int | None, arm: TypeRef | None, value: str, offset: int, size: int
    ) -> None:
        source = self._source
        emitter = LowerEmitter(source, self._reference, self._complexity, "_cursor")
        leaves = [] if tag is None else [Leaf(0, "B", str(tag))]
        if arm is None:
            source.require(f"{value} is not None")
        elif not self._fast([arm]):
            source.line("raise _Unusual")
            return
        elif self._is_own(arm):
            resource = cast(Own, self._types[cast(int, arm)]).resource
            # The record must fit before the resource is given away.
            source.require("_cursor > len(_memory)")
            source.line(f"_handle = _lower_own({resource}, {value})")
            leaves.append(Leaf(offset, "I", "_handle"))
        else:
            leaves += emitter.value(arm, value, offset)
        emitter.pack(leaves, 0, size, "_result")

    # Shared

    def _count(self, size: str) -> None:
        """Counts bytes that the host has read or written for this host call."""
        self._source.line(f"if _count_bytes is not None: _count_bytes({size})")

    def _has_payload(self, refs: Sequence[TypeRef]) -> bool:
        return any(self._complexity.has_payload(ref) for ref in refs)

    def _arguments(self) -> str:
        return ", ".join(f"_argument_{name}" for name in self._plain.names)

    def _is_own(self, ref: TypeRef) -> bool:
        return isinstance(ref, int) and isinstance(self._types[ref], Own)

    def _fast(self, refs: Sequence[TypeRef]) -> bool:
        """Whether these are for generated code, as members of one record."""
        inline = [ref for ref in refs if not self._is_own(ref)]
        return self._complexity.generated(inline) and not any(
            self._reference.owns(ref) for ref in inline
        )

    def _size_if_lists(self, refs: Sequence[TypeRef]) -> None:
        if any(self._complexity.list_depth(ref) for ref in refs):
            self._source.line("_size = len(_memory)")

    def _slow_flag(self) -> None:
        source = self._source
        with source.block("except Exception:"):
            source.line("_slow = True")
        with source.block("else:"):
            source.line("_slow = False")

    def _lift_record(
        self, refs: Sequence[TypeRef], memory: str, at: int | str, views: bool = False
    ) -> list[str]:
        """Lifts the members of a record; an owned resource is left as its handle."""
        source = self._source
        if self._has_payload(refs):
            source.line("_size = len(_memory)")
            source.line("_used = 0")
        emitter = LiftEmitter(source, self._reference, self._complexity, views)
        leaves: list[Leaf] = []
        # Handles of owned resources are read as plain numbers here.
        plain_refs: list[TypeRef] = ["u32" if self._is_own(ref) else ref for ref in refs]
        builds = emitter.record(plain_refs, 0, leaves)
        emitter.unpack(leaves, 0, memory, at)
        return [build() for build in builds]

    def _compile(self, name: str) -> GeneratedCode:
        source, plain = self._source, self._plain
        constants = {
            **source.constants,
            "_Unusual": Unusual,
            "_unusual": _unusual,
            "_Err": Err,
            "_Ok": Ok,
            "_GuestDataError": GuestDataError,
            "_bad_guest_data": bad_guest_data,
            "_lower_plain": plain.lower_params,
            "_lift_plain": plain.lift_result,
            "_lift_params_plain": plain.lift_params,
            "_lower_result_plain": plain.lower_result,
            "_check_no_result": plain.check_no_result,
        }
        filename = f"<hlwasm codec {next(_numbers)}: {plain.label}>"
        code = source.compile(name, filename, self._function.description)
        if name != "serve" and self._names != plain.names:
            # Parameters named like a builtin are called something else inside.
            inner = code.co_varnames[len(self._names) :]
            code = code.replace(co_varnames=(*plain.names, *inner))
        return GeneratedCode(code, constants, "\n".join(source.lines))
