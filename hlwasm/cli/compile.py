"""`hlwasm compile`: an artifact file that starts without a compiler."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlwasm.cli.exit_codes import OK
from hlwasm.cli.failures import say
from hlwasm.cli.options import (
    file_argument,
    no_cache_option,
    quiet_option,
    transfer_memory_option,
)
from hlwasm.cli.session import load
from hlwasm.text import size_text
from hlwasm.whole_files import whole_file

if TYPE_CHECKING:
    from hlwasm.artifact import Artifact

_EPILOG = """
\b
Examples:
  hlwasm compile app.wasm                      writes app.cwasm
  hlwasm compile app.wasm -o /srv/app.cwasm
  hlwasm run /srv/app.cwasm

An artifact holds machine code for x86-64 CPUs of level v3 (AVX2), and runs with the
version of hlwasm that made it and others that say so. It is not a .cwasm file of
wasmtime's own.
"""


@click.command(epilog=_EPILOG)
@file_argument
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Where to write; FILE with the suffix .cwasm unless given. - is standard output.",
)
@transfer_memory_option
@click.option("--fuel", is_flag=True, help="Compile code that counts its work, for run --fuel.")
@no_cache_option
@quiet_option
def command(
    file: str,
    output: str | None,
    transfer_memory: int | None,
    fuel: bool,
    no_cache: bool,
    quiet: bool,
) -> int:
    """Compile FILE to an artifact file, which then can be used in its place."""
    target = _target(file, output)
    component = load(
        file, no_cache=no_cache, quiet=quiet, transfer_memory=transfer_memory, fuel=fuel
    )
    artifact = component.artifact
    if target is None:
        _copy(artifact, sys.stdout.buffer.fileno())
        return OK
    _write(artifact, target)
    if not quiet:
        say(f"wrote {target}, {size_text(artifact.file_bytes)}")
    return OK


def _target(file: str, output: str | None) -> Path | None:
    """Where to write; None is standard output."""
    if output == "-" or (output is None and file == "-"):
        if sys.stdout.isatty():
            raise click.UsageError("an artifact is not for terminals: give a file with -o")
        return None
    if output is not None:
        return Path(output)
    target = Path(file).with_suffix(".cwasm")
    if target == Path(file):
        raise click.UsageError(f"{file} would be written over itself: give another file with -o")
    return target


def _copy(artifact: Artifact, target: int) -> None:
    offset, size = 0, artifact.file_bytes
    while offset < size:
        # sendfile neither needs nor moves the source's position.
        sent = os.sendfile(target, artifact.fd, offset, size - offset)
        if sent == 0:
            raise OSError("the artifact became shorter while it was copied")
        offset += sent


def _write(artifact: Artifact, target: Path) -> None:
    """Puts the file there; a sandbox that runs the old one is safe."""
    with whole_file(target) as fd:
        _copy(artifact, fd)
