"""`hlwasm cache`: the cache of compiled artifacts."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from hlwasm.cli.exit_codes import FAILURE, OK
from hlwasm.cli.options import json_option, parse_size
from hlwasm.text import count_text, printable, size_text

if TYPE_CHECKING:
    from hlwasm.artifact.cache import Entry

_EPILOG = """
\b
Examples:
  hlwasm cache                    where it is, and how large
  hlwasm cache verify             read every entry, remove damaged ones
  hlwasm cache prune --limit 500M
  hlwasm cache clear

It holds artifacts, and snapshots from which large programs start: their memory as it is
right after they are instantiated. It is in HLWASM_CACHE_DIR, else in XDG_CACHE_HOME/hlwasm,
else in ~/.cache/hlwasm.
The least recently used entries go when it grows over 2 GiB. Removing entries never
harms what runs.
"""


@click.group(name="cache", epilog=_EPILOG, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Show, check, prune or clear the cache of compiled artifacts and snapshots."""
    return int(context.invoke(info, as_json=False)) if context.invoked_subcommand is None else OK


@command.command()
@json_option
def info(as_json: bool) -> int:
    """Show where the cache is and what it holds."""
    from hlwasm.artifact import Cache

    cache = Cache()
    entries = cache.entries()
    total = sum(entry.size for entry in entries)
    if as_json:
        report = {
            "directory": str(cache.root),
            "bytes": total,
            "limit_bytes": cache.limit_bytes,
            "entries": [
                {
                    "key": each.key,
                    "kind": each.kind,
                    "bytes": each.size,
                    "last_used": each.used,
                }
                for each in entries
            ],
        }
        json.dump(report, sys.stdout, indent=2)
        click.echo()
        return OK
    click.echo(f"directory  {printable(str(cache.root))}")
    click.echo(f"entries    {len(entries)}")
    click.echo(f"size       {size_text(total)} of {size_text(cache.limit_bytes)}")
    for entry in reversed(entries):
        age = _age_text(time.time() - entry.used)
        size = size_text(entry.size)
        click.echo(f"  {printable(entry.key[:16])}  {entry.kind:8}  {size:>12}  used {age}")
    return OK


@command.command()
def clear() -> int:
    """Remove all entries."""
    from hlwasm.artifact import Cache

    cache = Cache()
    _tell_removed(cache.clear())
    left = cache.entries()
    if left:
        click.echo(f"{count_text(len(left), 'entry')} could not be removed", err=True)
        return FAILURE
    return OK


@command.command()
@click.option(
    "--limit",
    metavar="SIZE",
    callback=parse_size,
    help="Size that may stay; 2G unless given. The least recently used entries go first.",
)
def prune(limit: int | None) -> int:
    """Remove the least recently used entries beyond a size."""
    from hlwasm.artifact import Cache

    _tell_removed(Cache().prune(limit))
    return OK


@command.command()
def verify() -> int:
    """Read every entry whole and remove damaged ones."""
    from hlwasm.artifact import Cache

    good = bad = 0
    for entry, problem in Cache().verify():
        if problem is None:
            good += 1
        else:
            bad += 1
            click.echo(printable(f"removed {entry.path.name}: {problem}"), err=True)
    click.echo(f"{count_text(good, 'entry')} good, {bad} damaged")
    return FAILURE if bad else OK


def _tell_removed(entries: list[Entry]) -> None:
    total = sum(entry.size for entry in entries)
    click.echo(f"removed {count_text(len(entries), 'entry')}, {size_text(total)}")


def _age_text(seconds: float) -> str:
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{count_text(int(seconds // length), name)} ago"
    return "just now"
