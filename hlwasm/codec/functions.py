"""Binding a function to a sandbox: the callables that users and guests meet.

Code is generated for a function that is used repeatedly, and kept with the description, so
that further sandboxes of the same component only bind it. Before that the plain codec does
the work: the generator takes longer to import and to run than a call that is made once.
"""

from __future__ import annotations

import builtins
from functools import cached_property
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from hlwasm.codec.plain import PlainFunction, label_of, parameter_names
from hlwasm.errors import Err
from hlwasm.wit.model import Function, List, TypeRef
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import function_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hlwasm.codec.context import AsyncCallContext, CallContext
    from hlwasm.codec.generated import GeneratedCode

# How often the plain codec does the work before code is generated. A program's `run` is
# called once, and most of WASI's functions a few times when it starts; those that return
# lists (of arguments, variables, directories) once.
_PLAIN_GUEST_CALLS = 1
_PLAIN_HOST_CALLS = 4
_PLAIN_HOST_LISTS = 1


class _Annotation(str):
    """A type in words, for signatures: most of their classes are never made."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _ExportCode:
    """What all sandboxes share of one exported function."""

    def __init__(self, function: Function, asynchronous: bool) -> None:
        self.function = function
        self.asynchronous = asynchronous
        self.label = label_of(function)
        self.name = self.label.rpartition(".")[2]
        self.names = parameter_names(function)
        self.plain = PlainFunction(function)
        self.generated: GeneratedCode | None = None
        # Of all sandboxes together.
        self.plain_calls = 0
        self._stub: CodeType | None = None
        types = python_types(function.description)
        self.annotations = {
            name: _Annotation(types.annotation(param.type))
            for name, param in zip(self.names, function.params, strict=True)
        }
        self.annotations["return"] = _Annotation(types.annotation(types.success(function.result)))
        signature = function_text(function.description, function)
        self.docs = f"{function.docs}\n\n{signature}" if function.docs else signature

    def generate(self) -> GeneratedCode:
        """The function's code, generated at the first call of this."""
        if self.generated is None:
            from hlwasm.codec.generated import FunctionGenerator

            self.generated = FunctionGenerator(self.plain, self.asynchronous).export(self.name)
        return self.generated

    @cached_property
    def generated_views(self) -> GeneratedCode:
        """The code of the function that returns a loan, and its result as views."""
        from hlwasm.codec.generated import FunctionGenerator

        return FunctionGenerator(self.plain, self.asynchronous).export(self.name, views=True)

    def stub(self) -> CodeType:
        """Code with the same signature, until the generated code takes its place."""
        if self._stub is None:
            names = ", ".join(self.names)
            scope: dict[str, FunctionType] = {}
            # Not by compile(), which spends 1 ms on making the classes of syntax trees.
            asynchronous, wait = ("async ", "await ") if self.asynchronous else ("", "")
            text = f"{asynchronous}def {self.name}({names}): return {wait}_present()({names})"
            exec(text, {}, scope)
            code = scope[self.name].__code__
            self._stub = code.replace(co_filename=f"<hlwasm stub: {self.label}>")
        return self._stub


class BoundExport:
    """An exported function in a sandbox; its callable has this as ``__hlwasm_export__``.

    Attributes:
        asynchronous: the callable is a coroutine function.
    """

    def __init__(self, shared: _ExportCode, context: CallContext | AsyncCallContext) -> None:
        self.asynchronous = shared.asynchronous
        self._shared = shared
        self._context = context

    @cached_property
    def lend(self) -> Callable[..., Any]:
        """The same function, returning a loan and the result as views; it may be asynchronous."""
        generated = self._shared.generated_views
        return generated.bind(generated.namespace(self._context))


def bind_export(function: Function, context: CallContext) -> Callable[..., Any]:
    """Makes the Python function that calls a guest function.

    The callable takes the parameters by position or by name. It raises WitTypeError and
    WitValueError for arguments that do not fit, Err for the error arm of a result,
    GuestDataError for a result that is not valid, and whatever ``context`` raises.
    """
    shared = _export_code(function, asynchronous=False)

    def plain_call(*arguments: Any) -> Any:
        return shared.plain.call(context, arguments)

    plain_calls = _PLAIN_GUEST_CALLS
    if _takes_lists(function) or _is_list(function, function.result):
        plain_calls = 0
    return _bind_export(shared, context, plain_call, plain_calls)


def bind_async_export(function: Function, context: AsyncCallContext) -> Callable[..., Any]:
    """Makes the coroutine function that calls a guest function; otherwise as
    :func:`bind_export`. Always generated: a plain codec that awaits would be one more.
    """
    shared = _export_code(function, asynchronous=True)
    return _bind_export(shared, context, None, 0)


def _export_code(function: Function, asynchronous: bool) -> _ExportCode:
    cache, key = function.description.cache, ("export", function.index, asynchronous)
    found = cache.get(key)
    if found is None:
        found = cache[key] = _ExportCode(function, asynchronous)
    assert isinstance(found, _ExportCode)
    return found


def _bind_export(
    shared: _ExportCode,
    context: CallContext | AsyncCallContext,
    plain_call: Callable[..., Any] | None,
    plain_calls: int,
) -> Callable[..., Any]:
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

        def present() -> Callable[..., Any]:
            shared.plain_calls += 1
            return plain_call if plain_call and shared.plain_calls <= plain_calls else generate()

        namespace["_present"] = present
        namespace["_generate"] = generate
    _introduce(call, shared)
    call.__dict__["__hlwasm_export__"] = BoundExport(shared, context)
    return call


def introduce_export(call: Any, function: Function) -> None:
    """Lets a function that passes its arguments on to an export look like it to help()."""
    shared = _export_code(function, asynchronous=False)
    # What inspect takes the signature from; it is never called.
    call.__wrapped__ = FunctionType(shared.stub(), {}, shared.name)
    _introduce(call.__wrapped__, shared)
    _introduce(call, shared)


def _introduce(call: Any, shared: _ExportCode) -> None:
    call.__name__ = shared.name
    call.__qualname__ = shared.label
    call.__module__ = "hlwasm.exports"
    call.__doc__ = shared.docs
    call.__annotations__ = dict(shared.annotations)


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
    calls_left = _PLAIN_HOST_CALLS
    if _is_list(function, function.result):
        calls_left = _PLAIN_HOST_LISTS
    if _takes_lists(function):
        calls_left = 0

    def serve(pointer: int) -> int:
        nonlocal fast, calls_left
        if fast is not None:
            return fast(pointer)
        if calls_left <= 0:
            code = cache.get(key)
            if code is None:
                from hlwasm.codec.generated import FunctionGenerator

                code = cache[key] = FunctionGenerator(plain).import_()
            server: Callable[[int], int] = _bind_server(code, context, implementation)
            fast = server
            return server(pointer)
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


def bind_async_import(
    function: Function, context: AsyncCallContext, implementation: Callable[..., Any]
) -> Callable[[int], Awaitable[int]]:
    """Makes the server of a host function that may be asynchronous; otherwise as
    :func:`bind_import`. What ``implementation`` returns is awaited where it can be.
    """
    cache, key = function.description.cache, ("import", function.index, True)
    code = cache.get(key)
    if code is None:
        from hlwasm.codec.generated import FunctionGenerator

        code = cache[key] = FunctionGenerator(PlainFunction(function), asynchronous=True).import_()
    return _bind_server(code, context, implementation)


def _bind_server(
    generated: GeneratedCode,
    context: CallContext | AsyncCallContext,
    implementation: Callable[..., Any],
) -> Callable[[int], Any]:
    namespace = generated.namespace(context)
    namespace["_implementation"] = implementation
    return generated.bind(namespace)


def _takes_lists(function: Function) -> bool:
    return any(_is_list(function, param.type) for param in function.params)


def _is_list(function: Function, ref: TypeRef | None) -> bool:
    """Whether values may have many parts, which the plain codec is slow at."""
    type_ = function.description.types[ref] if isinstance(ref, int) else None
    return isinstance(type_, List) and type_.element != "u8"
