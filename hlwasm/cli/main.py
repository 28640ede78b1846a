"""The one place where command lines begin and where exceptions end."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from hlwasm.cli import exit_codes
from hlwasm.cli.failures import WrongUse, report, say

if TYPE_CHECKING:
    from collections.abc import Sequence

# Options of `run` that take no value: the field of RunOptions and its value.
_FLAGS: dict[str, tuple[str, Any]] = {
    "-q": ("quiet", True),
    "--quiet": ("quiet", True),
    "--no-cache": ("no_cache", True),
    "--timings": ("timings", "text"),
    "--timings-json": ("timings", "json"),
}


def run_command_line(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Tells errors on stderr, never raises them."""
    try:
        code = _run_quickly(arguments)
        if code is None:
            from hlwasm.cli.commands import run_command

            code = run_command(arguments)
        return _flush(code)
    except WrongUse as error:
        from hlwasm.cli.commands import show_wrong_use

        return show_wrong_use(error, arguments)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else exit_codes.INTERNAL
    except BrokenPipeError:
        return _closed_output()
    except BaseException as error:
        return report(error)


def _run_quickly(arguments: Sequence[str]) -> int | None:
    """Runs ``run [FLAGS] FILE [ARGS]``; None where it is anything else.

    Importing click takes longer than Python's own start and all that a micro-VM needs, and
    in this, the commonest command line, it would have nothing to do.
    """
    if arguments[:1] != ["run"]:
        return None
    given: dict[str, Any] = {}
    for position, argument in enumerate(arguments[1:], 1):
        if argument in _FLAGS:
            name, value = _FLAGS[argument]
            given[name] = value
        elif argument.startswith("-"):
            return None
        else:
            # Next to nothing of what is made before the program runs is garbage; looking for
            # it takes longer than booting the micro-VM.
            gc.disable()
            from hlwasm.cli.program import RunOptions, run_program

            return run_program(argument, arguments[position + 1 :], RunOptions(**given))
    return None


def _flush(code: int) -> int:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        return _closed_output()
    except OSError as error:
        say(f"cannot write to standard output: {error.strerror}")
        return code or exit_codes.FAILURE
    return code


def _closed_output() -> int:
    """The reader of our output went away, `head` for example: no reason for a message."""
    # Python flushes stdout once more at its end, and would complain.
    sys.stdout = None
    return exit_codes.FAILURE
