"""`hlwasm run`: a program in a micro-VM."""

from __future__ import annotations

from typing import Any

import click

from hlwasm.cli.exit_codes import help_text
from hlwasm.cli.options import file_argument, missing_imports_option, sandbox_options

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
    context_settings={"allow_interspersed_args": False},
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
    from hlwasm.cli.program import RunOptions, run_program

    return run_program(file, arguments, RunOptions(**options))
