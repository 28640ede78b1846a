"""`hlwasm run`: a program in a micro-VM."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlwasm.cli.exit_codes import OK, help_text
from hlwasm.cli.options import file_argument, missing_imports_option, sandbox_options
from hlwasm.cli.session import Settings, load_timed, sandbox_of
from hlwasm.cli.timings import Timings

if TYPE_CHECKING:
    from hlwasm.wit.model import Description

_EPILOG = f"""
\b
Examples:
  hlwasm run hello.wasm
  hlwasm run grep.wasm -i error < app.log
  hlwasm run -e TZ=UTC -e HOME --memory 1G python.wasm -c 'print(1 + 1)'
  zcat app.wasm.gz | hlwasm run - --its-own-option

The program reads and writes the standard streams of this process. It sees no files, no
network, and of the environment only what --env grants.

{help_text()}
"""


@click.command(
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@sandbox_options
@missing_imports_option
@file_argument
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
def command(file: str, arguments: tuple[str, ...], **options: Any) -> int:
    """Run the program FILE with ARGS, and end with its exit code.

    FILE is a WASI program: a component that exports wasi:cli/run, or a WASI preview 1
    core module with _start. Options of hlwasm go before FILE; whatever follows it is the
    program's own and is not looked at.
    """
    settings = Settings(**options)
    timings = Timings()
    component = load_timed(file, settings, timings)
    start = _entry(file, component.description)
    wasi = settings.wasi([Path(file).name, *arguments])
    try:
        with sandbox_of(component, settings, wasi, timings) as sandbox:
            if start is None:
                return sandbox.run() & 0xFF
            sandbox.exports[start]()
            return OK
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()


def _entry(file: str, description: Description) -> str | None:
    """The function that starts the program; None where it is that of ``wasi:cli/run``.

    Raises:
        UsageError: there is none.
    """
    if any((each.interface or "").startswith("wasi:cli/run@") for each in description.exports):
        return None
    for each in description.exports:
        # A program that needs nothing of WASI is a core module like any other.
        if each.core_name == "_start" and not each.params and each.result is None:
            return each.name
    raise click.UsageError(
        f"{file} is not a program: it does not export wasi:cli/run; "
        "`hlwasm inspect` shows what it exports, and `hlwasm call` calls it"
    )
