"""From an exception to one clear line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys

from hlwasm import errors
from hlwasm.cli import exit_codes
from hlwasm.text import printable


class WrongUse(Exception):
    """A command line that makes no sense, which shows only when the command runs."""


# The first class that fits decides.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.LoadError, exit_codes.LOAD),
    (errors.CheckFailed, exit_codes.FAILURE),
    (errors.RecordingError, exit_codes.LOAD),
    (errors.LinkError, exit_codes.LINK),
    (errors.UnsupportedImport, exit_codes.LINK),
    (errors.NoHypervisorFound, exit_codes.NO_HYPERVISOR),
    (errors.DeadlineExceeded, exit_codes.DEADLINE),
    (errors.LimitExceeded, exit_codes.LIMIT),
    (errors.Trap, exit_codes.TRAP),
    (errors.ConversionError, exit_codes.USAGE),
    (errors.HlwasmError, exit_codes.INTERNAL),
    (KeyboardInterrupt, exit_codes.INTERRUPTED),
    (OSError, exit_codes.LOAD),
)


def debug() -> bool:
    """Whether the user wants Python's tracebacks."""
    return os.environ.get("HLWASM_DEBUG", "") not in ("", "0")


def exit_code_of(error: BaseException) -> int:
    """The exit code for an exception that ends a command."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return exit_codes.INTERNAL


def message_of(error: BaseException) -> str:
    """What to tell; the first line says it all, others are frames or hints."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, errors.Trap):
        return f"trap: {error}"
    if isinstance(error, (errors.GuestFault, errors.NativeError)):
        return f"internal error: {error}"
    if isinstance(error, errors.LinkError):
        return (
            f"{error}\n"
            "  give them in Python: hlwasm.load(FILE).instantiate(imports={…}),\n"
            "  or run without them: --allow-missing-imports"
        )
    if isinstance(error, errors.LimitExceeded):
        return _with_option(str(error), error.limit)
    if isinstance(error, errors.InvalidWit):
        return str(error).replace("choose one: ", "choose one with --world: ")
    if isinstance(error, errors.HlwasmError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    detail = str(error).partition("\n")[0]
    return (
        f"internal error: {type(error).__name__}: {detail}\n"
        "  - set HLWASM_DEBUG=1 for the traceback, and please report it"
    )


def _with_option(message: str, limit: str) -> str:
    """Names the option that sets a limit, where there is one, in place of the field."""
    from hlwasm.cli.session import LIMIT_OPTIONS

    option = LIMIT_OPTIONS.get(limit)
    if option is None:
        return message
    return message.replace(f"Limits({limit}=…)", f"--{option.replace('_', '-')}")


def say(message: str) -> None:
    """Writes a line of hlwasm's own to stderr; a closed stderr is no reason to fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"hlwasm: {printable(message)}", file=sys.stderr, flush=True)


def report(error: BaseException) -> int:
    """Tells what happened and returns the exit code."""
    if debug():
        import traceback

        traceback.print_exception(error)
    say(message_of(error))
    return exit_code_of(error)
