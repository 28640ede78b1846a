"""What `run` and `call` share: load with progress, instantiate, take the time."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from hlwasm.cli.failures import say
from hlwasm.cli.options import display_name, environment_of, name_input, read_source
from hlwasm.cli.progress import compile_progress
from hlwasm.cli.timings import Timings

if TYPE_CHECKING:
    from hlwasm import Component, Limits, Sandbox, Wasi


class _SayHandler(logging.Handler):
    """Log records of hlwasm as lines of the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")


def set_up_logging(quiet: bool) -> None:
    """Warnings of hlwasm go to stderr, one line each."""
    logger = logging.getLogger("hlwasm")
    logger.handlers = [_SayHandler(logging.ERROR if quiet else logging.WARNING)]
    logger.propagate = False


def _binary(stream: TextIO | None) -> BinaryIO | None:
    return None if stream is None else stream.buffer


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of :func:`hlwasm.cli.options.sandbox_options`."""

    variables: Sequence[tuple[str, str | None]]
    allow_missing_imports: bool
    memory: int | None
    transfer_memory: int | None
    no_cache: bool
    quiet: bool
    timings: bool

    def limits(self) -> Limits:
        """What the sandbox may use."""
        from hlwasm import Limits

        if self.memory is None:
            return Limits()
        try:
            return Limits(memory=self.memory)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--memory") from error

    def wasi(self, arguments: Sequence[str]) -> Wasi:
        """Standard streams of this process, the given environment and arguments."""
        from hlwasm import Wasi

        try:
            return Wasi(
                args=arguments,
                env=environment_of(self.variables),
                # None where the process was started without the stream.
                stdin=_binary(sys.stdin),
                stdout=_binary(sys.stdout),
                stderr=_binary(sys.stderr),
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def load(file: str, *, no_cache: bool, quiet: bool, transfer_memory: int | None) -> Component:
    """Loads FILE, compiling it if need be and telling so."""
    import hlwasm

    set_up_logging(quiet)
    source = read_source(file)
    given = {} if transfer_memory is None else {"transfer_memory": _checked(transfer_memory)}
    with compile_progress(display_name(file), quiet) as progress:
        try:
            return hlwasm.load(source, cache=not no_cache, progress=progress, **given)
        except hlwasm.LoadError as error:
            name_input(error, file)
            raise


def _checked(transfer_memory: int) -> int:
    from hlwasm.artifact import CompileOptions

    try:
        return CompileOptions(transfer_bytes=transfer_memory).transfer_bytes
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--transfer-memory") from error


def load_timed(file: str, settings: Settings, timings: Timings) -> Component:
    """Like :func:`load`, as a step of the timings."""
    component = load(
        file,
        no_cache=settings.no_cache,
        quiet=settings.quiet,
        transfer_memory=settings.transfer_memory,
    )
    timings.step("load (cached)" if component.artifact.cached else "load (compiled)")
    return component


@contextlib.contextmanager
def sandbox_of(
    component: Component, settings: Settings, wasi: Wasi, timings: Timings
) -> Iterator[Sandbox]:
    """A sandbox that runs the component; tells timings at its end, also after an error."""
    try:
        imports = None
        if settings.allow_missing_imports:
            from hlwasm.cli.missing_imports import stand_ins

            imports = stand_ins(component.description)
        limits = settings.limits()
        with component.instantiate(imports, wasi=wasi, limits=limits) as sandbox:
            timings.step("boot and instantiate")
            yield sandbox
            timings.step("run")
        timings.step("close")
    finally:
        if settings.timings:
            timings.tell()
