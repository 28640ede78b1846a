"""What `hlwasm run` does once its options are known. It needs no click."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

# Only so that importing is one step of the timings, and no part of others.
import hlwasm.component
import hlwasm.wasi  # noqa: F401
from hlwasm.cli.exit_codes import OK
from hlwasm.cli.failures import WrongUse
from hlwasm.cli.inputs import base_name
from hlwasm.cli.session import RunOptions, load_timed, sandbox_of
from hlwasm.cli.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hlwasm.wit.model import Description

__all__ = ["RunOptions", "run_program"]


def run_program(file: str, arguments: Sequence[str], options: RunOptions) -> int:
    """Runs a program with the standard streams of this process; returns its exit code.

    Raises:
        WrongUse: it is not a program.
        HlwasmError: it cannot be loaded, or did not run to its end.
    """
    timings = Timings()
    component = load_timed(file, options, timings)
    start = _entry(file, component.description)
    wasi = options.wasi([base_name(file), *arguments])
    try:
        with sandbox_of(component, options, wasi, timings) as sandbox:
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
        WrongUse: there is none.
    """
    if any((each.interface or "").startswith("wasi:cli/run@") for each in description.exports):
        return None
    for each in description.exports:
        # A program that needs nothing of WASI is a core module like any other.
        if each.core_name == "_start" and not each.params and each.result is None:
            return each.name
    raise WrongUse(
        f"{file} is not a program: it does not export wasi:cli/run; "
        "`hlwasm inspect` shows what it exports, and `hlwasm call` calls it"
    )
