"""`hlwasm bindgen`: a typed Python package for the world of a component, or of WIT."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlwasm.cli.exit_codes import FAILURE, OK
from hlwasm.cli.failures import WrongUse, say
from hlwasm.cli.inputs import name_input, read_source
from hlwasm.cli.options import quiet_option
from hlwasm.cli.session import set_up_logging
from hlwasm.text import count_text, printable

if TYPE_CHECKING:
    from hlwasm.wit.model import Description

_EPILOG = """
\b
Examples:
  hlwasm bindgen calculator.wasm -o calculator
  hlwasm bindgen wit/ --world plugin -o plugin
  hlwasm bindgen package.wasm --world plugin -o plugin
  hlwasm bindgen wit/ --world plugin -o plugin --check

\b
What it makes is used so:
  import calculator
  with calculator.load("calculator.wasm").instantiate(Host()) as plugin:
      plugin.exports.ops.add(2, 3)

The output depends on FILE alone, so it can be kept under version control; --check tells in
CI whether it is up to date. Python files in DIR that were generated for what FILE has no
more are removed, and no others. Type checkers (mypy --strict, pyright strict) accept it.
"""


@click.command(epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False),
    help="The package's folder, whose name is the package's; made where it is missing.",
)
@click.option("--world", metavar="NAME", help="Which world of the WIT, if there are several.")
@click.option(
    "--async", "asynchronous", is_flag=True, help="Also write types for hlwasm.AsyncSandbox."
)
@click.option(
    "--wasi", is_flag=True, help="Also write protocols of WASI's interfaces, to replace them by."
)
@click.option(
    "--check",
    is_flag=True,
    help=f"Write nothing; show what differs in DIR, and exit with {FAILURE} if anything does.",
)
@click.option("--force", is_flag=True, help="Write over files that were not generated, too.")
@quiet_option
def command(
    file: str,
    output: str,
    world: str | None,
    asynchronous: bool,
    wasi: bool,
    check: bool,
    force: bool,
    quiet: bool,
) -> int:
    """Write a typed Python package for the world of FILE.

    FILE is a component (or core module, WAT text, artifact), a WIT file or WIT package in binary
    form, or a folder of WIT.
    """
    from hlwasm.bindgen.files import NotGenerated, differences, write
    from hlwasm.bindgen.package import generate

    folder = _package_folder(output)
    set_up_logging(quiet)
    files = generate(_description(file, world), wasi=wasi, asynchronous=asynchronous)
    if check:
        lines = differences(files, folder)
        for line in lines:
            click.echo(printable(line))
        return FAILURE if lines else OK
    try:
        changed = write(files, folder, force=force)
    except NotGenerated as error:
        raise WrongUse(f"{error}: give another folder, or --force to write over it") from error
    if not quiet:
        say(f"{folder}: {count_text(len(files), 'file')}, {len(changed)} changed")
    return OK


def _package_folder(output: str) -> Path:
    if not output:
        # To pathlib it is the current folder.
        raise WrongUse("-o '': give the package's folder, whose name is the package's")
    folder = Path(output)
    name = folder.absolute().name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise WrongUse(
            f"-o {folder}: the folder's name is the package's, and {name!r} cannot be imported: "
            "give a folder whose name is one of Python's, with _ for -"
        )
    return folder


def _description(file: str, world: str | None) -> Description:
    from hlwasm.errors import LoadError, UnsupportedItem

    if file != "-" and (Path(file).is_dir() or file.endswith(".wit")):
        from hlwasm.wit.sources import read_wit

        return read_wit(file, world)
    from hlwasm.artifact import Cache, describe
    from hlwasm.native.library import is_wit_package
    from hlwasm.wit.model import Description

    source = read_source(file)
    try:
        outline = describe(source, cache=Cache())
    except UnsupportedItem as error:
        if is_wit_package(error):
            return _description_of_package(source, world)
        name_input(error, file)
        raise
    except LoadError as error:
        name_input(error, file)
        raise
    if world is not None:
        raise WrongUse("--world is for WIT; a component has one world")
    return Description.from_json(outline.description)


def _description_of_package(source: str | bytes, world: str | None) -> Description:
    from hlwasm.wit.sources import parse_wit, read_wit

    if isinstance(source, str):
        return read_wit(source, world)
    return parse_wit(source, world)
