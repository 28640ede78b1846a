"""The package ``wasi:cli``."""

from __future__ import annotations

from typing import NoReturn

from hlwasm.errors import Err, ProgramExit
from hlwasm.wasi.interface import Interface
from hlwasm.wasi.stdio import is_terminal
from hlwasm.wasi.streams import InputStream, OutputStream


class Environment(Interface):
    """``wasi:cli/environment``."""

    __slots__ = ()

    def get_environment(self) -> list[tuple[str, str]]:
        """Names and values of the environment variables."""
        return list(self._host.config.env.items())

    def get_arguments(self) -> list[str]:
        """The program's arguments, its own name first."""
        return list(self._host.config.args)

    def initial_cwd(self) -> str | None:
        """The program decides."""
        return None


class Exit(Interface):
    """``wasi:cli/exit``."""

    __slots__ = ()

    def exit(self, status: object) -> NoReturn:
        """Ends the program: 0 for ``Ok``, 1 for ``Err``."""
        raise ProgramExit(1 if isinstance(status, Err) else 0)

    def exit_with_code(self, status_code: int) -> NoReturn:
        """Ends the program with an exit code of its own; so do programs of preview 1."""
        raise ProgramExit(status_code)


class Stdin(Interface):
    """``wasi:cli/stdin``."""

    __slots__ = ()

    def get_stdin(self) -> InputStream:
        """The one standard input."""
        return self._host.stdin


class Stdout(Interface):
    """``wasi:cli/stdout``."""

    __slots__ = ()

    def get_stdout(self) -> OutputStream:
        """The one standard output."""
        return self._host.stdout


class Stderr(Interface):
    """``wasi:cli/stderr``."""

    __slots__ = ()

    def get_stderr(self) -> OutputStream:
        """The one standard error."""
        return self._host.stderr


class Terminal:
    """The resources ``terminal-input`` and ``terminal-output``, which have no methods."""

    __slots__ = ()

    def close(self) -> None:
        """The guest dropped it."""


class TerminalStdin(Interface):
    """``wasi:cli/terminal-stdin``."""

    __slots__ = ()

    def get_terminal_stdin(self) -> Terminal | None:
        """The terminal that standard input is, if it is one."""
        return _terminal(self._host.config.stdin)


class TerminalStdout(Interface):
    """``wasi:cli/terminal-stdout``."""

    __slots__ = ()

    def get_terminal_stdout(self) -> Terminal | None:
        """The terminal that standard output is, if it is one."""
        return _terminal(self._host.config.stdout)


class TerminalStderr(Interface):
    """``wasi:cli/terminal-stderr``."""

    __slots__ = ()

    def get_terminal_stderr(self) -> Terminal | None:
        """The terminal that standard error is, if it is one."""
        return _terminal(self._host.config.stderr)


def _terminal(grant: object) -> Terminal | None:
    return Terminal() if is_terminal(grant) else None
