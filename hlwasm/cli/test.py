"""`hlwasm test`: tests a component against its WIT, with no code written."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from hlwasm.cli.call import shortened
from hlwasm.cli.exit_codes import FAILURE, INTERRUPTED, OK, help_text
from hlwasm.cli.failures import WrongUse
from hlwasm.cli.options import file_argument, no_cache_option, quiet_option
from hlwasm.cli.session import load
from hlwasm.text import printable

if TYPE_CHECKING:
    from hlwasm import Component
    from hlwasm.testing.differential.target import Target
    from hlwasm.testing.fuzzing.report import Progress, Report
    from hlwasm.testing.fuzzing.typed_fakes import HostCall
    from hlwasm.testing.scripts.steps import Script

_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

_EPILOG = f"""
\b
Examples:
  hlwasm test plugin.wasm
  hlwasm test plugin.wasm --function ops.divide --examples 2000
  hlwasm test plugin.wasm --wit wit/ --world plugin
  hlwasm test plugin.wasm --against plugin-1.0.wasm
  hlwasm test plugin.wasm --against wasmtime
  hlwasm test plugin.wasm --against reference:Plugin
  hlwasm test plugin.wasm --time 60 --json report.json

Each example is a sequence of calls in a fresh sandbox. Some arguments are constants of FILE's
own code. Imports are answered with generated values of their types; WASI's clocks and random
bytes are the same in each run, and others in one more run, whose results must be the same. What
fails is shown as small as it can be, with the command that shows it again.

{help_text()}
"""


@click.command(epilog=_EPILOG)
@file_argument
@click.option(
    "--wit",
    metavar="PATH",
    help="First compare FILE with a world of this WIT (text, folder or package in binary form).",
)
@click.option("--world", metavar="NAME", help="The world, where the WIT has several.")
@click.option("--conformance-only", is_flag=True, help="Compare with --wit, and run nothing.")
@click.option(
    "--function",
    "names",
    metavar="NAME",
    multiple=True,
    help="Test this function or interface only. Repeatable.",
)
@click.option(
    "--examples", metavar="N", type=click.IntRange(min=1), default=100, show_default=True,
    help="How many examples for each function.",
)  # fmt: skip
@click.option(
    "--seed", metavar="S", type=int, default=0, show_default=True,
    help="The same examples for the same number.",
)  # fmt: skip
@click.option(
    "--deadline", metavar="SECONDS", type=click.FloatRange(min=0.001), default=1.0,
    show_default=True, help="CPU time that a call may take.",
)  # fmt: skip
@click.option(
    "--time", "seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True),
    help="Stop after so much time.",
)  # fmt: skip
@click.option(
    "--allow-chance",
    "chance",
    type=click.Choice(["random", "clock"]),
    multiple=True,
    help="Results may depend on random bytes, or on the time. Repeatable.",
)
@click.option(
    "--stateless",
    is_flag=True,
    help="A call must be answered like the same one before it.",
)
@click.option(
    "--against",
    metavar="OTHER",
    help="Also call another component, wasmtime, or a Python module:object, and compare.",
)
@click.option(
    "--replay",
    "lines",
    metavar="STEP",
    multiple=True,
    help="Run these calls, as a report shows them, and nothing else. Repeatable, in order.",
)
@click.option(
    "--answer",
    "answers",
    metavar="ANSWER",
    multiple=True,
    help="With --replay: answer a host call so. Repeatable, in order.",
)
@click.option(
    "--json", "json_file", metavar="OUT",
    help="Write a report for programs to OUT. If that is -, the one for people goes to stderr.",
)  # fmt: skip
@no_cache_option
@quiet_option
def command(
    file: str,
    wit: str | None,
    world: str | None,
    conformance_only: bool,
    names: Sequence[str],
    examples: int,
    seed: int,
    deadline: float,
    seconds: float | None,
    chance: Sequence[str],
    stateless: bool,
    against: str | None,
    lines: Sequence[str],
    answers: Sequence[str],
    json_file: str | None,
    no_cache: bool,
    quiet: bool,
) -> int:
    """Test every function that FILE exports with generated arguments.

    Reports traps, calls that do not end, invalid results, results that differ from run to run,
    and which cases of the interface were reached.
    """
    if answers and not lines:
        raise WrongUse("--answer is for --replay")
    if wit is None and (world is not None or conformance_only):
        raise WrongUse("--world and --conformance-only need --wit")
    if conformance_only and json_file is not None:
        raise WrongUse("--json is a report of a test, and --conformance-only runs none")
    json_output = _opened(json_file)
    component = load(file, no_cache=no_cache, quiet=quiet, transfer_memory=None, fuel=False)
    people = sys.stderr if json_output is sys.stdout else sys.stdout
    conforms = True
    if wit is not None:
        conforms = _conforms(component, wit, world, file, people)
        if conformance_only:
            return OK if conforms else FAILURE
        click.echo(file=people)
    fuzzer = _fuzzer()
    from hlwasm.cli.test_report import report_lines

    sources = tuple({"random": "random bytes", "clock": "clock"}[each] for each in chance)
    options: dict[str, Any] = {
        "deadline": deadline,
        "chance": sources,
        "stateless": stateless,
    }
    try:
        report = options["report"] = fuzzer.new_report(component, seed, *names)
    except LookupError as error:
        raise WrongUse(shortened(printable(str(error.args[0])))) from error
    interrupted = False
    if against is not None:
        options["against"] = target = _target(component, file, against, deadline, no_cache)
    try:
        if lines:
            script, given = _script(component, lines, answers)
            fuzzer.rerun(component, script, given, **options)
        else:
            with _interruptible() as check, _progress(quiet) as show:

                def tell(now: Progress) -> None:
                    check()
                    show(now)

                fuzzer.fuzz(
                    component,
                    *names,
                    examples=examples,
                    seed=seed,
                    seconds=seconds,
                    progress=tell,
                    **options,
                )
    except KeyboardInterrupt:
        interrupted = True
        report.notes.append("interrupted")
    finally:
        if against is not None:
            target.close()
    # What was asked for is no measure of what the calls that were replayed reached.
    for line in report_lines(report, file, against, coverage=not lines):
        click.echo(printable(line), file=people)
    if json_output is not None:
        _write_json(report, json_output)
    if interrupted:
        return INTERRUPTED
    # What was not tested has not passed.
    return OK if conforms and report.passed and report.examples else FAILURE


def _target(component: Component, file: str, other: str, seconds: float, no_cache: bool) -> Target:
    """What ``--against`` names."""
    from hlwasm.testing.differential.compare import target_of
    from hlwasm.testing.differential.wasmtime_process import WasmtimeProcess
    from hlwasm.testing.fuzzing.runner import InstantiationFailed, limits_of

    limits = limits_of(seconds)
    if other == "wasmtime":
        if file == "-":
            raise WrongUse("--against wasmtime reads FILE once more, so it cannot be -")
        return WasmtimeProcess(component, Path(file).read_bytes(), limits)
    if _OBJECT.fullmatch(other) and not Path(other).exists():
        return target_of(component, _python_object(other), limits, other)
    second = load(other, no_cache=no_cache, quiet=True, transfer_memory=None, fuel=False)
    try:
        return target_of(component, second, limits)
    except InstantiationFailed as error:
        raise WrongUse(f"{other} cannot be instantiated: {error.__cause__}") from error


def _python_object(name: str) -> Any:
    from importlib import import_module

    module_name, _, path = name.partition(":")
    # As `python -m` does; the console script does not.
    sys.path.insert(0, "")
    try:
        found: Any = import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise WrongUse(f"--against {name}: {error}") from error
    # An interface may be a class, whose methods need an object.
    return found() if isinstance(found, type) else found


def _conforms(component: Component, wit: str, world: str | None, file: str, output: TextIO) -> bool:
    from hlwasm.testing.conforming import conformance

    report = conformance(component, wit, world)
    click.echo(printable(f"{file}: {report}"), file=output)
    return report.conforms


def _fuzzer() -> Any:
    try:
        from hlwasm.testing.fuzzing import fuzzer
    except ImportError as error:
        raise WrongUse(str(error)) from error
    return fuzzer


def _script(
    component: Component, lines: Sequence[str], answers: Sequence[str]
) -> tuple[Script, Sequence[HostCall]]:
    from hlwasm.testing.fuzzing.typed_fakes import parse_answer
    from hlwasm.testing.scripts.steps import parse_script
    from hlwasm.wit.wave import WaveError

    try:
        description = component.description
        return parse_script(description, lines), [parse_answer(description, x) for x in answers]
    except WaveError as error:
        raise WrongUse(printable(str(error))) from error


def _opened(json_file: str | None) -> TextIO | None:
    """Where the report for programs goes; opened before the test, which may take hours."""
    if json_file is None or json_file == "-":
        return None if json_file is None else sys.stdout
    return Path(json_file).open("w", encoding="utf-8")


def _write_json(report: Report, output: TextIO) -> None:
    from hlwasm.testing.fuzzing.report_json import report_json

    json.dump(report_json(report), output, indent=2)
    output.write("\n")
    output.flush()


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C ends the test where the yielded function is called next, a second one at once.

    An exception out of a signal handler can get lost in a destructor, and between two examples
    there are many.
    """
    interrupted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            signal.default_int_handler(number, frame)
        interrupted = True

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Shows how far the test is, on a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def tell(now: Progress) -> None:
            failures = f"  {now.failures} failed" if now.failures else ""
            text = printable(now.function) + failures
            bar.update(task, description=text, completed=now.done, total=now.total)

        yield tell
