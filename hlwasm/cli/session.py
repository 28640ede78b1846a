"""What `run` and `call` share: load with progress, instantiate, take the time."""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING

from hlwasm.cli.failures import WrongUse
from hlwasm.cli.inputs import display_name, name_input, read_source
from hlwasm.cli.progress import compile_progress
from hlwasm.frozen import Frozen
from hlwasm.logs import set_up_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO, TextIO

    from hlwasm import Component, Limits, Sandbox, Wasi
    from hlwasm.cli.timings import Format, Timings
    from hlwasm.cli.warm_start import WarmStart


def set_up_logging(quiet: bool) -> None:
    """Warnings of hlwasm go to stderr, one line each."""

    def set_up() -> None:
        # Only where there is something to tell: it imports `logging`.
        from hlwasm.cli.log_lines import LogLines

        LogLines.set_up(quiet)

    set_up_with(set_up)


def _binary(stream: TextIO | None) -> BinaryIO | None:
    return None if stream is None else stream.buffer


_LARGE_CODE_BYTES = 1 << 20

# Field of Limits → the option that sets it.
LIMIT_OPTIONS = {
    "memory": "memory",
    "total_memory": "total_memory",
    "deadline": "deadline",
    "fuel": "fuel",
    "output": "max_output",
    "host_calls": "max_host_calls",
}


class RunOptions(Frozen):
    """The options of :func:`hlwasm.cli.options.sandbox_options`."""

    variables: Sequence[tuple[str, str | None]] = ()
    allow_missing_imports: bool = False
    memory: int | None = None
    total_memory: int | None = None
    deadline: float | None = None
    fuel: int | None = None
    max_output: int | None = None
    max_host_calls: int | None = None
    transfer_memory: int | None = None
    no_cache: bool = False
    quiet: bool = False
    timings: Format | None = None
    record: str | None = None

    def limits(self) -> Limits:
        """What the sandbox may use."""
        from hlwasm import Limits

        given = {
            field: value
            for field, option in LIMIT_OPTIONS.items()
            if (value := getattr(self, option)) is not None
        }
        try:
            return Limits(**given)
        except ValueError as error:
            # Messages start with the field's name.
            option = LIMIT_OPTIONS[str(error).partition(":")[0]].replace("_", "-")
            raise WrongUse(f"Invalid value for --{option}: {error}") from error

    def wasi(self, arguments: Sequence[str]) -> Wasi:
        """Standard streams of this process, the given environment and arguments."""
        from hlwasm import Wasi

        try:
            return Wasi(
                args=arguments,
                # A variable to pass on that is not set is left out.
                env={name: value for name, value in self.variables if value is not None},
                # None where the process was started without the stream.
                stdin=_binary(sys.stdin),
                stdout=_binary(sys.stdout),
                stderr=_binary(sys.stderr),
            )
        except ValueError as error:
            raise WrongUse(str(error)) from error


def load(
    file: str, *, no_cache: bool, quiet: bool, transfer_memory: int | None, fuel: bool
) -> Component:
    """Loads FILE, compiling it if need be and telling so."""
    import hlwasm
    from hlwasm.component import DEFAULT_TRANSFER_MEMORY

    set_up_logging(quiet)
    source = read_source(file)
    size = DEFAULT_TRANSFER_MEMORY if transfer_memory is None else _checked(transfer_memory)
    with compile_progress(display_name(file), quiet) as progress:
        try:
            return hlwasm.load(
                source, cache=not no_cache, progress=progress, fuel=fuel, transfer_memory=size
            )
        except hlwasm.LoadError as error:
            name_input(error, file)
            raise


def _checked(transfer_memory: int) -> int:
    from hlwasm.artifact import CompileOptions

    try:
        return CompileOptions(transfer_bytes=transfer_memory).transfer_bytes
    except ValueError as error:
        raise WrongUse(f"Invalid value for --transfer-memory: {error}") from error


def load_timed(file: str, options: RunOptions, timings: Timings) -> Component:
    """Like :func:`load`, as a step of the timings."""
    component = load(
        file,
        no_cache=options.no_cache,
        quiet=options.quiet,
        transfer_memory=options.transfer_memory,
        fuel=options.fuel is not None,
    )
    timings.step("load (cached)" if component.artifact.cached else "load (compiled)")
    return component


def _warm_start(component: Component, limits: Limits, options: RunOptions) -> WarmStart | None:
    """For components that may be worth it: a small one is instantiated before this is imported."""
    if options.no_cache or component.artifact.code_bytes < _LARGE_CODE_BYTES:
        return None
    if options.record is not None:
        return None  # it has to begin at the beginning
    from hlwasm.cli.warm_start import WarmStart

    return WarmStart(component, limits)


@contextlib.contextmanager
def sandbox_of(
    component: Component, options: RunOptions, wasi: Wasi, timings: Timings
) -> Iterator[Sandbox]:
    """A sandbox that runs the component; tells timings at its end, also after an error."""
    try:
        imports = None
        if options.allow_missing_imports:
            from hlwasm.cli.missing_imports import stand_ins

            imports = stand_ins(component.description)
        limits = options.limits()
        warm = _warm_start(component, limits, options)
        if warm is not None:
            timings.step("snapshot (cached)" if warm.found else "snapshot (none)")
        with _instantiated(component, imports, wasi, limits, options.record) as sandbox:
            timings.step("sandbox")
            timings.split(sandbox.steps())
            # See `_run_quickly`. From here on a host function may make garbage.
            gc.freeze()
            gc.enable()
            if warm is not None and warm.take(sandbox):
                timings.step("taking a snapshot")
            try:
                yield sandbox
            except Exception:
                # How a program ends is its own affair; only Ctrl-C does not wait.
                if warm is not None:
                    warm.save()
                raise
            timings.step("first call")
        timings.step("close")
        if warm is not None and warm.save():
            timings.step("saving the snapshot")
    finally:
        if options.timings:
            timings.tell(options.timings)


def _instantiated(
    component: Component, imports: Any, wasi: Wasi, limits: Limits, recording: str | None
) -> contextlib.AbstractContextManager[Sandbox]:
    if recording is None:
        return component.instantiate(imports, wasi=wasi, limits=limits)
    from hlwasm.cli.replay import recorded

    return recorded(recording, component, imports, wasi, limits)
