"""`hlwasm inspect`: what a component is, wants and offers, without running it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hlwasm.cli.exit_codes import OK
from hlwasm.cli.failures import WrongUse
from hlwasm.cli.inputs import display_name, name_input, read_source
from hlwasm.cli.options import file_argument, json_option, quiet_option
from hlwasm.cli.providers import UNSUPPORTED, USER, WASI, provider_of
from hlwasm.cli.session import set_up_logging
from hlwasm.text import count_text, printable, size_text

if TYPE_CHECKING:
    from hlwasm.artifact import Outline
    from hlwasm.wit.model import Description, Function

_EPILOG = """
\b
Examples:
  hlwasm inspect app.wasm
  hlwasm inspect app.wasm --wit > world.wit
  hlwasm inspect app.wasm --json | jq .imports

Nothing is run and nothing is compiled. Imports that are to be given are given in Python:
hlwasm.load(FILE).instantiate(imports={…}).
"""

_PROVIDERS = {
    WASI: "served by hlwasm",
    UNSUPPORTED: "not served yet: calling it ends the program",
    USER: "to be given: imports={…}",
}


@click.command(epilog=_EPILOG)
@file_argument
@click.option(
    "--wit",
    "only_wit",
    is_flag=True,
    help="Write the world as WIT and nothing else; that of a WIT package, too.",
)
@json_option
@quiet_option
def command(file: str, only_wit: bool, as_json: bool, quiet: bool) -> int:
    """Show what the component, core module or artifact FILE imports and exports."""
    from hlwasm.artifact import Cache, describe
    from hlwasm.errors import LoadError, UnsupportedItem
    from hlwasm.native.library import is_wit_package
    from hlwasm.wit.model import Description
    from hlwasm.wit.sources import package_text

    if only_wit and as_json:
        raise WrongUse("--wit and --json are two forms of output: give one")
    set_up_logging(quiet)
    source = read_source(file)
    try:
        outline = describe(source, cache=Cache())
        description = Description.from_json(outline.description)
    except UnsupportedItem as error:
        if only_wit and is_wit_package(error):
            click.echo(printable(package_text(source).rstrip("\n")))
            return OK
        name_input(error, file)
        raise
    except LoadError as error:
        name_input(error, file)
        raise
    if as_json:
        json.dump(_as_json(file, outline, description), sys.stdout, indent=2)
        click.echo()
    elif only_wit:
        click.echo(printable(description.wit.rstrip("\n")))
    else:
        for line in _report(file, outline, description):
            click.echo(printable(line))
    return OK


def _by_interface(functions: tuple[Function, ...]) -> dict[str | None, list[Function]]:
    groups: dict[str | None, list[Function]] = {}
    for function in functions:
        groups.setdefault(function.interface, []).append(function)
    return groups


def _report(file: str, outline: Outline, description: Description) -> Iterator[str]:
    from hlwasm.wit.type_text import function_text

    yield f"{display_name(file)}: {_kind_text(outline, description)}"
    yield from (f"  {name:<10} {value}" for name, value in _facts(outline, description))
    imports = _by_interface(description.imports)
    yield ""
    yield "imports" if imports else "imports nothing"
    for interface, functions in imports.items():
        provider = provider_of(interface)
        yield f"  {interface or 'the world itself'}  [{_PROVIDERS[provider]}]"
        if provider == USER:
            yield from (f"    {function_text(description, each)}" for each in functions)
    exports = _by_interface(description.exports)
    yield ""
    yield "exports" if exports else "exports nothing"
    for interface, functions in exports.items():
        yield f"  {interface or 'the world itself'}"
        yield from (f"    {function_text(description, each)}" for each in functions)
    if description.skipped:
        yield ""
        yield "left out"
        yield from (f"  {each.name}: {each.reason}" for each in description.skipped)
    yield ""
    yield description.wit.rstrip("\n")


def _kind_text(outline: Outline, description: Description) -> str:
    kinds = {
        "component": "a component",
        "command": "a WASI preview 1 program",
        "reactor": "a WASI preview 1 library",
        "module": "a core module",
    }
    kind = kinds[description.source_kind]
    return f"an artifact of {kind}" if outline.is_artifact else kind


def _facts(outline: Outline, description: Description) -> Iterator[tuple[str, str]]:
    yield "input", f"{size_text(outline.source_bytes)}, SHA-256 {outline.source_sha256}"
    if outline.code_bytes is None:
        yield "compiled", "not yet"
    else:
        yield "compiled", size_text(outline.code_bytes)
    if outline.metadata is not None:
        yield "made by", f"{outline.metadata.native}, wasmtime {outline.metadata.wasmtime}"
        if outline.metadata.fuel:
            yield "fuel", "counted, for run --fuel"
    starts = sum(memory.minimum_pages for memory in description.memories) << 16
    memories = count_text(len(description.memories), "linear memory")
    yield "memory", f"{memories}, {size_text(starts)} at the start"


def _as_json(file: str, outline: Outline, description: Description) -> dict[str, Any]:
    from hlwasm.wit.type_text import function_text

    def groups(functions: tuple[Function, ...]) -> list[dict[str, Any]]:
        return [
            {
                "interface": interface,
                "functions": [
                    {"name": each.name, "wit": function_text(description, each)} for each in members
                ],
            }
            for interface, members in _by_interface(functions).items()
        ]

    imports = groups(description.imports)
    for group in imports:
        group["provider"] = provider_of(group["interface"])
    return {
        "file": file,
        "kind": description.source_kind,
        "is_artifact": outline.is_artifact,
        "world": description.world,
        "wit": description.wit,
        "source_bytes": outline.source_bytes,
        "source_sha256": outline.source_sha256,
        "code_bytes": outline.code_bytes,
        "memories": [memory.as_dict() for memory in description.memories],
        "imports": imports,
        "exports": groups(description.exports),
        "skipped": [each.as_dict() for each in description.skipped],
        "artifact": None if outline.metadata is None else outline.metadata.as_dict(),
    }
