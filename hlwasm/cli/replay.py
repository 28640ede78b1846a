"""`hlwasm replay`: a recorded run once more, compared with what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hlwasm.cli.exit_codes import OK, help_text
from hlwasm.cli.options import file_argument, limit_options, no_cache_option, quiet_option
from hlwasm.cli.session import RunOptions, load
from hlwasm.text import count_text

if TYPE_CHECKING:
    from hlwasm import Component, Limits, Sandbox, Wasi

_EPILOG = f"""
\b
Examples:
  hlwasm run --record grep.jsonl grep.wasm -i error < app.log
  hlwasm replay grep.jsonl grep.wasm

The component is answered as it was answered then: it reads no input and no clock, and what it
writes goes nowhere. Where it asks or returns something else, the first difference is shown, and
the exit code is 1.

{help_text()}
"""


@click.command(epilog=_EPILOG)
@quiet_option
@no_cache_option
@limit_options
@click.argument("recording", metavar="RECORDING", type=click.Path())
@file_argument
def command(recording: str, file: str, quiet: bool, no_cache: bool, **limits: Any) -> int:
    """Make the calls of RECORDING to FILE again, and check that all goes the same way.

    RECORDING is what --record of `hlwasm run` or `hlwasm call` wrote, or hlwasm.testing.record.
    FILE may be another build of the same component.
    """
    from hlwasm.testing.recording import replay

    options = RunOptions(**limits)
    component = load(
        file,
        no_cache=no_cache,
        quiet=quiet,
        transfer_memory=options.transfer_memory,
        fuel=options.fuel is not None,
    )
    done = replay(recording, component, limits=options.limits())
    if not quiet:
        calls = count_text(done.calls, "call")
        click.echo(f"{calls}, {count_text(done.host_calls, 'host call')}: as recorded")
    return OK


@contextmanager
def recorded(
    path: str, component: Component, imports: Any, wasi: Wasi, limits: Limits
) -> Iterator[Sandbox]:
    """A sandbox that is recorded; how its program ends is part of the recording."""
    from hlwasm.errors import HlwasmError, RecordingError
    from hlwasm.testing.recording import record

    end: HlwasmError | None = None
    with record(path, component, imports, wasi=wasi, limits=limits) as sandbox:
        try:
            yield sandbox
        except RecordingError:
            raise
        except HlwasmError as error:
            end = error
    if end is not None:
        raise end
