"""Arguments and options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """``256M``, ``1.5GiB`` or a number of bytes; units are powers of 1024."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is not a size such as 256M, 1.5G or 65536")
    return int(float(match[1]) * _FACTORS[match[2].lower()])


def parse_variables(
    _: click.Context, __: click.Parameter, values: Sequence[str]
) -> list[tuple[str, str | None]]:
    """``NAME=VALUE``, or ``NAME`` for the value that this process has."""
    found = []
    for value in values:
        name, equals, given = value.partition("=")
        if not name:
            raise click.BadParameter(f"{value!r} does not name a variable")
        found.append((name, given if equals else os.environ.get(name)))
    return found


file_argument = click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))

no_cache_option = click.option(
    "--no-cache", is_flag=True, help="Compile anew, and keep nothing in the cache."
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="No progress and no warnings; errors are still told."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
transfer_memory_option = click.option(
    "--transfer-memory",
    metavar="SIZE",
    callback=parse_size,
    help="Room for the values of one call, each way; 64M unless given.",
)


fuel_option = click.option(
    "--fuel",
    metavar="UNITS",
    type=click.IntRange(min=0),
    help="Let it execute about so many instructions, always the same number. Runs slower.",
)
missing_imports_option = click.option(
    "--allow-missing-imports",
    is_flag=True,
    help="Run although something is imported that nobody provides; calling it is an error.",
)


def limit_options(function: F) -> F:
    """Options that say what a component may use."""
    for option in (
        transfer_memory_option,
        click.option(
            "--max-host-calls",
            metavar="COUNT",
            type=click.IntRange(min=0),
            help="Let it call the host so often; unlimited unless given.",
        ),
        click.option(
            "--max-output",
            metavar="SIZE",
            callback=parse_size,
            help="Let it write so much to standard output and error; unlimited unless given.",
        ),
        fuel_option,
        click.option(
            "--deadline",
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            help="End it after so much time, waits included, with exit code 124.",
        ),
        click.option(
            "--total-memory",
            metavar="SIZE",
            callback=parse_size,
            help="Largest size of all linear memories together; 1G, or --memory, unless given.",
        ),
        click.option(
            "--memory",
            metavar="SIZE",
            callback=parse_size,
            help="Largest size of each linear memory; 256M unless given.",
        ),
    ):
        function = option(function)
    return function


def sandbox_options(function: F) -> F:
    """Options of commands that run a component."""
    for option in (
        click.option(
            "--timings-json", "timings", flag_value="json", help="The same as one line of JSON."
        ),
        click.option(
            "--timings",
            "timings",
            flag_value="text",
            help="Tell on stderr what took how long, from the start.",
        ),
        quiet_option,
        no_cache_option,
        click.option(
            "--record",
            metavar="RECORDING",
            type=click.Path(dir_okay=False),
            help="Write all calls to and from the component down, for `hlwasm replay`.",
        ),
        limit_options,
        click.option(
            "-e",
            "--env",
            "variables",
            metavar="NAME[=VALUE]",
            multiple=True,
            callback=parse_variables,
            help="Set an environment variable of the program, or pass one on. Repeatable.",
        ),
    ):
        function = option(function)
    return function
