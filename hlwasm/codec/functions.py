"""Binding a function to a sandbox: the callables that users and guests meet."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from hlwasm.codec.context import CallContext
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import Err, GuestDataError
from hlwasm.wit.model import Function


def bind_export(function: Function, context: CallContext) -> Callable[..., Any]:
    """Makes the Python function that calls a guest function.

    The callable takes the parameters by position or by name. It raises WitTypeError and
    WitValueError for arguments that do not fit, Err for the error arm of a result, and
    whatever ``context`` raises.
    """
    plain = PlainFunction(function)
    signature = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in plain.names]
    )

    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).args
        context.begin()
        try:
            plain.lower_params(context, arguments)
            context.invoke(function.index)
            try:
                return plain.lift_result(context)
            except GuestDataError as error:
                context.poison(error)
                raise
        finally:
            context.end()

    call.__name__ = call.__qualname__ = plain.label.rpartition(".")[2]
    call.__doc__ = function.docs
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def bind_import(
    function: Function, context: CallContext, implementation: Callable[..., Any]
) -> Callable[[int], int]:
    """Makes the server of a host function: address of the parameters → of the result.

    It raises GuestDataError for bad parameters, WitTypeError and WitValueError for a
    result that does not fit, and whatever ``implementation`` raises (an Err only where the
    function's type has no error arm).
    """
    plain = PlainFunction(function)

    def serve(pointer: int) -> int:
        arguments = plain.lift_params(context, pointer)
        try:
            value = implementation(*arguments)
        except Err as error:
            if not plain.fallible:
                raise
            value = error
        return plain.lower_result(context, value)

    return serve
