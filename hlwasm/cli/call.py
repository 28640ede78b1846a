"""`hlwasm call`: one call of an exported function, values as WAVE text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlwasm.cli.exit_codes import FAILURE, OK, help_text
from hlwasm.cli.failures import say
from hlwasm.cli.options import file_argument, sandbox_options
from hlwasm.cli.session import RunOptions, load_timed, sandbox_of
from hlwasm.cli.timings import Timings
from hlwasm.text import printable

if TYPE_CHECKING:
    from hlwasm import Err, Sandbox
    from hlwasm.wit.model import Description, Function

_MESSAGE_LIMIT = 800

_EPILOG = f"""
\b
Examples:
  hlwasm call calculator.wasm 'ops.add(2, 3)'
  hlwasm call shapes.wasm 'area({{kind: circle, radius: 1.5}})'
  hlwasm call text.wasm 'demo:text/lines@1.0.0#join(["a", "b"], some(", "))'
  hlwasm call counter.wasm 'next()' --timings

The function is named as in WIT or as in Python; its interface may be left out where that
is unambiguous. Values are WAVE text: 1, -2.5, true, 'c', "text", [1, 2], (1, "a"),
{{field: 1}}, a-case, a-case(1), some(1), none, ok(1), err("e"), {{flag-a, flag-b}}.
The result is written as WAVE text too. If the function returns an error, it is written
to stderr and the exit code is 1.

{help_text()}
"""


@click.command(epilog=_EPILOG)
@sandbox_options
@file_argument
@click.argument("call", metavar="CALL")
def command(file: str, call: str, **options: Any) -> int:
    """Call an exported function of FILE and write its result.

    CALL is the function with its arguments, such as 'ops.add(2, 3)'; quote it for the
    shell. Each CALL starts from a fresh sandbox, in which imports other than WASI's are
    not provided: calling one is an error.
    """
    # One cannot give an import on the command line; one that is called fails by its name.
    settings = RunOptions(**options, allow_missing_imports=True)
    timings = Timings()
    component = load_timed(file, settings, timings)
    description = component.description
    function, arguments = _parse(description, call)
    wasi = settings.wasi([Path(file).name])
    with sandbox_of(component, settings, wasi, timings) as sandbox:
        return _call(sandbox, description, function, arguments)


def _parse(description: Description, call: str) -> tuple[Function, list[Any]]:
    from hlwasm.wit.wave import WaveError, parse_call
    from hlwasm.wit.wave.calls import find_function

    try:
        function = find_function(description, call.partition("(")[0].strip())
    except LookupError as error:
        raise click.UsageError(shortened(printable(str(error.args[0])))) from error
    if function.kind in ("method", "constructor"):
        raise click.UsageError(
            f"{printable(function.name)} belongs to a resource, which one call cannot keep: "
            "use Python for it"
        )
    try:
        return parse_call(description, call)
    except WaveError as error:
        raise click.UsageError(printable(str(error))) from error


def shortened(message: str) -> str:
    """A message that ends with a list; a component may export hundreds of functions."""
    if len(message) <= _MESSAGE_LIMIT:
        return message
    return message[:_MESSAGE_LIMIT].rpartition(",")[0] + ", …; see `hlwasm inspect`"


def _call(
    sandbox: Sandbox, description: Description, function: Function, arguments: list[Any]
) -> int:
    from hlwasm.errors import Err
    from hlwasm.wit.wave import format_value

    exports = sandbox.exports
    owner = exports if function.interface is None else exports[function.interface]
    try:
        value = owner[function.name](*arguments)
    except Err as error:
        say(f"the function returned an error{_error_text(description, function, error)}")
        return FAILURE
    ok = _arms(description, function)[0] if _is_result(description, function) else function.result
    if ok is not None:
        # WAVE escapes what is not printable.
        sys.stdout.write(format_value(description, ok, value) + "\n")
    return OK


def _is_result(description: Description, function: Function) -> bool:
    from hlwasm.wit.model import Result

    return isinstance(function.result, int) and isinstance(
        description.types[function.result], Result
    )


def _arms(description: Description, function: Function) -> tuple[Any, Any]:
    """The types of the result's two arms."""
    assert isinstance(function.result, int)
    result = description.types[function.result]
    return getattr(result, "ok", None), getattr(result, "err", None)


def _error_text(description: Description, function: Function, error: Err[Any]) -> str:
    from hlwasm.wit.wave import format_value

    kind = _arms(description, function)[1]
    return "" if kind is None else f": {format_value(description, kind, error.value)}"
