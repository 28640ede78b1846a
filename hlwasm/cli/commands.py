"""The group of commands, by click."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from hlwasm.cli import exit_codes
from hlwasm.cli.failures import WrongUse, debug

# Command → the line in the overview. The module of the same name has the command.
_COMMANDS = {
    "run": "Run a program in a micro-VM.",
    "call": "Call one exported function.",
    "test": "Test all exports with generated arguments.",
    "replay": "Repeat a recorded run and compare it.",
    "inspect": "Show what a component imports and exports.",
    "bindgen": "Write a typed Python package for a component or WIT.",
    "compile": "Compile to an artifact file that starts without a compiler.",
    "doctor": "Check that this machine can run micro-VMs.",
    "cache": "Show, check, prune or clear the cache of compiled artifacts.",
}

_EPILOG = f"""
\b
Examples:
  hlwasm run app.wasm --verbose input.txt
  hlwasm call calculator.wasm 'ops.add(2, 3)'
  hlwasm inspect app.wasm
  hlwasm doctor

FILE is a component, a core module (WASI preview 1 programs too), WAT text, an artifact
of `hlwasm compile`, or - for standard input. What is compiled once is kept in a cache.

{exit_codes.help_text()}

\b
Environment:
  HLWASM_CACHE_DIR  where compiled artifacts are kept (default ~/.cache/hlwasm)
  HLWASM_DEBUG=1    show Python tracebacks of errors
"""


class _LazyGroup(click.Group):
    """Imports a command's module when it is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = import_module(f"hlwasm.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        # Without importing any command.
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    import hlwasm

    click.echo(f"hlwasm {hlwasm.__version__}")
    context.exit()


@click.group(
    name="hlwasm",
    cls=_LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Run untrusted WebAssembly components, each in a micro-VM of its own."""


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. What click refuses is shown here.

    Raises:
        WrongUse, KeyboardInterrupt, …: whatever the command does.
    """
    try:
        result = cli.main(args=list(arguments), prog_name="hlwasm", standalone_mode=False)
    except click.Abort:
        # click's name for it.
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        return _show(error)
    return result if isinstance(result, int) else exit_codes.OK


def show_wrong_use(error: WrongUse, arguments: Sequence[str]) -> int:
    """Shows it as click shows what it finds itself, with the command's usage."""
    group = click.Context(cli, info_name="hlwasm")
    name = next((argument for argument in arguments if argument in _COMMANDS), "")
    command = cli.get_command(group, name)
    context = click.Context(command, group, info_name=name) if command is not None else group
    shown = click.UsageError(str(error), context)
    shown.__cause__ = error
    return _show(shown)


def _show(error: click.ClickException) -> int:
    if debug():
        traceback.print_exception(error)
    error.show()
    return error.exit_code
