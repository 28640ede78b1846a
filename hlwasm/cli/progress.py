"""Tells on stderr that a compile is running, if it takes long enough to wonder."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hlwasm.text import size_text

if TYPE_CHECKING:
    from hlwasm.artifact import Progress

# rich takes longer to import than a small component to compile.
_SHOW_AFTER_SECONDS = 0.4
_TELL_AFTER_SECONDS = 2.0


@contextlib.contextmanager
def compile_progress(file: str, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Yields the callback for ``hlwasm.load``; None where nothing is to be told."""
    if quiet or sys.stderr is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        yield (_Spinner if sys.stderr.isatty() else _OneLine)(file, stack)


class _Spinner:
    """On a terminal: a line that is gone when the compile is done."""

    def __init__(self, file: str, stack: contextlib.ExitStack) -> None:
        self._file = file
        self._stack = stack
        self._status: Any = None

    def __call__(self, progress: Progress) -> None:
        if progress.elapsed < _SHOW_AFTER_SECONDS:
            return
        from rich.text import Text

        # Text, not markup: a file name may look like markup.
        line = Text(f"{self._file}: {progress.phase.value} ")
        line.append(f"{size_text(progress.source_bytes)}, {progress.elapsed:.0f} s", style="dim")
        if self._status is None:
            from rich.console import Console

            status = Console(stderr=True).status(line, spinner="dots")
            self._status = self._stack.enter_context(status)
        else:
            self._status.update(line)


class _OneLine:
    """In a log: one line, and only for a long compile."""

    def __init__(self, file: str, stack: contextlib.ExitStack) -> None:
        self._file = file
        self._told = False

    def __call__(self, progress: Progress) -> None:
        if not self._told and progress.elapsed >= _TELL_AFTER_SECONDS:
            self._told = True
            size = size_text(progress.source_bytes)
            print(f"hlwasm: {self._file}: {progress.phase.value} {size} …", file=sys.stderr)
