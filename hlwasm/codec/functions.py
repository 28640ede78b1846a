"""Binding a function to a sandbox: the callables that users and guests meet.

Code is generated when a function is first used, and kept with the description, so that
further sandboxes of the same component only bind it.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from hlwasm.codec.context import CallContext
from hlwasm.codec.generated import FunctionGenerator, GeneratedCode
from hlwasm.codec.plain import PlainFunction, label_of, parameter_names
from hlwasm.codec.source import Source
from hlwasm.errors import Err
from hlwasm.wit.model import Function, List
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import function_text

# Host functions are served by the plain codec this often before code is generated: most
# of WASI's run a few times at start-up only, and generating costs more than that.
_PLAIN_HOST_CALLS = 4


class _ExportCode:
    """What all sandboxes share of one exported function."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.label = label_of(function)
        self.name = self.label.rpartition(".")[2]
        self.names = parameter_names(function)
        self.generated: GeneratedCode | None = None
        self._stub: CodeType | None = None
        types = python_types(function.description)
        self.annotations = {
            name: types.annotation(param.type)
            for name, param in zip(self.names, function.params, strict=True)
        }
        self.annotations["return"] = types.annotation(types.success(function.result))
        signature = function_text(function.description, function)
        self.docs = f"{function.docs}\n\n{signature}" if function.docs else signature

    def generate(self) -> GeneratedCode:
        """The function's code, generated at the first call of this."""
        if self.generated is None:
            self.generated = FunctionGenerator(PlainFunction(self.function)).export(self.name)
        return self.generated

    def stub(self) -> CodeType:
        """Code with the same signature that has the real code put in its place."""
        if self._stub is None:
            source = Source()
            names = ", ".join(self.names)
            with source.block(f"def {self.name}({names}):"):
                source.line(f"return _generate()({names})")
            filename = f"<hlwasm stub: {self.label}>"
            self._stub = source.compile(self.name, filename, self.function.description)
        return self._stub


def bind_export(function: Function, context: CallContext) -> Callable[..., Any]:
    """Makes the Python function that calls a guest function.

    The callable takes the parameters by position or by name. It raises WitTypeError and
    WitValueError for arguments that do not fit, Err for the error arm of a result,
    GuestDataError for a result that is not valid, and whatever ``context`` raises.
    """
    cache, key = function.description.cache, ("export", function.index)
    found = cache.get(key)
    if found is None:
        found = cache[key] = _ExportCode(function)
    shared: _ExportCode = found
    if shared.generated is not None:
        call = shared.generated.bind(shared.generated.namespace(context))
    else:
        namespace: dict[str, Any] = {"__builtins__": builtins.__dict__}
        call = stub = FunctionType(shared.stub(), namespace, shared.name)

        def generate() -> FunctionType:
            generated = shared.generate()
            namespace.update(generated.namespace(context))
            stub.__code__ = generated.code
            return stub

        namespace["_generate"] = generate
    call.__qualname__ = shared.label
    call.__module__ = "hlwasm.exports"
    call.__doc__ = shared.docs
    call.__annotations__ = dict(shared.annotations)
    return call


def bind_import(
    function: Function, context: CallContext, implementation: Callable[..., Any]
) -> Callable[[int], int]:
    """Makes the server of a host function: address of the parameters → of the result.

    It raises GuestDataError for bad parameters, WitTypeError and WitValueError for a
    result that does not fit, and whatever ``implementation`` raises (an Err only where the
    function's type has no error arm).
    """
    cache, key = function.description.cache, ("import", function.index)
    generated: GeneratedCode | None = cache.get(key)
    if generated is not None:
        return _bind_server(generated, context, implementation)
    plain = PlainFunction(function)
    fast: Callable[[int], int] | None = None
    calls_left = 0 if _has_loops(function) else _PLAIN_HOST_CALLS

    def serve(pointer: int) -> int:
        nonlocal fast, calls_left
        if fast is not None:
            return fast(pointer)
        if calls_left <= 0:
            code = cache.get(key)
            if code is None:
                code = cache[key] = FunctionGenerator(plain).import_()
            fast = _bind_server(code, context, implementation)
            return fast(pointer)
        calls_left -= 1
        arguments = plain.lift_params(context, pointer)
        try:
            value = implementation(*arguments)
        except Err as error:
            if not plain.fallible:
                raise
            value = error
        return plain.lower_result(context, value)

    return serve


def _bind_server(
    generated: GeneratedCode, context: CallContext, implementation: Callable[..., Any]
) -> Callable[[int], int]:
    namespace = generated.namespace(context)
    namespace["_implementation"] = implementation
    return generated.bind(namespace)


def _has_loops(function: Function) -> bool:
    """Whether values may have many parts, which the plain codec is slow at."""
    types = function.description.types
    refs = [param.type for param in function.params]
    if function.result is not None:
        refs.append(function.result)
    return any(
        isinstance(ref, int) and isinstance(type_ := types[ref], List) and type_.element != "u8"
        for ref in refs
    )
