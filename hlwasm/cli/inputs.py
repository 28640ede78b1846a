"""FILE on the command line: where it comes from, and what messages call it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hlwasm.cli.failures import WrongUse

if TYPE_CHECKING:
    from hlwasm.errors import LoadError


def read_source(file: str) -> str | bytes:
    """What ``hlwasm.load`` takes: the path, or for ``-`` all of standard input.

    Raises:
        WrongUse: standard input is a terminal or closed.
    """
    if file != "-":
        return file
    if sys.stdin is None or sys.stdin.isatty():
        raise WrongUse("FILE is -, but nothing is piped into standard input")
    return sys.stdin.buffer.read()


def base_name(file: str) -> str:
    """The last part of the path."""
    return file.rstrip("/").rpartition("/")[2]


def display_name(file: str) -> str:
    """What to call FILE in messages."""
    return "standard input" if file == "-" else file


def name_input(error: LoadError, file: str) -> None:
    """Puts FILE in front of the message, in place of what the library calls it."""
    name = "<bytes>" if file == "-" else base_name(file)
    message = str(error.args[0]) if error.args else ""
    error.args = (f"{display_name(file)}: {message.removeprefix(f'{name}: ')}", *error.args[1:])
