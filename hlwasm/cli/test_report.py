"""What `hlwasm test` tells of a report, as lines of text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hlwasm.testing.fuzzing.outcomes import Kind
from hlwasm.text import count_text

if TYPE_CHECKING:
    from hlwasm.testing.fuzzing.coverage import Coverage, FunctionCoverage
    from hlwasm.testing.fuzzing.report import Failure, Report

# What can be answered by `hlwasm call`, which shows one call as it ends.
_CALL_SHOWS = {Kind.TRAP, Kind.INVALID_DATA, Kind.FAULT}
_MOST_FRAMES = 8
_MOST_MISSED = 40
_MOST_ANSWERS = 20
_LONGEST_LINE = 2000


def report_lines(
    report: Report, file: str, against: str | None, *, coverage: bool = True
) -> Iterator[str]:
    """The whole report of a test of ``file``, compared with ``against``."""
    for failure in report.failures:
        yield from _failure(failure, file, against)
        yield ""
    if coverage:
        yield from _coverage(report.coverage)
    if report.notes:
        yield "notes"
        yield from (f"  {note}" for note in report.notes)
        yield ""
    if report.failures:
        found = count_text(len(report.failures), "failure")
    else:
        found = "no failures" if report.examples else "nothing was tested"
    ran = count_text(report.examples, "example")
    yield f"{file}: {found}, {ran} in {report.seconds:.1f} s, seed {report.seed}"


def _failure(failure: Failure, file: str, against: str | None) -> Iterator[str]:
    where = failure.function or "instantiation"
    message = failure.message.splitlines() or [""]
    yield f"FAILED {where}: {failure.kind.value}: {message[0]}"
    yield from (f"    {line}" for line in message[1:])
    yield from (f"    at {frame}" for frame in failure.backtrace[:_MOST_FRAMES])
    if failure.script is None:
        return
    for call in failure.answers[:_MOST_ANSWERS]:
        yield f"  host call  {_cut(str(call))}"
    if len(failure.answers) > _MOST_ANSWERS:
        yield f"  host call  … {len(failure.answers) - _MOST_ANSWERS} more"
    for step in failure.script.steps:
        yield f"  call       {_cut(str(step))}"
    yield f"  again by   {_cut(command_for(failure, file, against))}"
    yield f"  seen in    {count_text(failure.count, 'example')}"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_LINE:
        return text
    return f"{text[:_LONGEST_LINE]}… ({len(text)} characters; --json has all of it)"


def command_for(failure: Failure, file: str, against: str | None = None) -> str:
    """A command line that shows the failure again."""
    script = failure.script
    if script is None:
        return f"hlwasm test {shlex.quote(file)}"
    first = script.steps[0]
    alone = len(script.steps) == 1 and not failure.answers
    plain = first.function is not None and first.function.kind in ("function", "static")
    if alone and plain and not first.handles() and failure.kind in _CALL_SHOWS:
        return f"hlwasm call {shlex.quote(file)} {shlex.quote(str(first))}"
    parts = ["hlwasm", "test", file]
    if failure.kind is Kind.KEEPS_STATE:
        parts.append("--stateless")
    if failure.kind is Kind.DIFFERENT and against is not None:
        parts += ["--against", against]
    for step in script.steps:
        parts += ["--replay", str(step)]
    for call in failure.answers[:_MOST_ANSWERS]:
        parts += ["--answer", str(call)]
    return shlex.join(parts)


def _coverage(coverage: Coverage) -> Iterator[str]:
    functions = coverage.functions
    width = max([len(each.name) for each in functions] + [0])
    for side, title in (("export", "exports"), ("import", "imports that were called")):
        rows = [each for each in functions if each.side == side]
        if not rows:
            continue
        yield f"{title:<{width + 2}}  {'calls':>7}  cases reached"
        for row in rows:
            of = f"{row.reached} of {len(row.points)}" if row.points else "-"
            more = " and more, not counted" if row.cut else ""
            yield f"  {row.name:<{width}}  {row.calls:>7}  {of}{more}"
        yield ""
    missed = [f"{each.name}  {point}" for each in functions for point in _missed(each)]
    if missed:
        yield "never reached"
        yield from (f"  {line}" for line in missed[:_MOST_MISSED])
        if len(missed) > _MOST_MISSED:
            yield f"  … {len(missed) - _MOST_MISSED} more"
        yield ""


def _missed(row: FunctionCoverage) -> Iterator[str]:
    """The points that were not reached, but for those inside of one that was not."""
    if not row.calls:
        yield "never returned"
        return
    missed = row.missed
    outer = {f"{point}(" for point in missed}
    for point in missed:
        # `result: some(red)` is inside of `result: some`.
        if not any(point[: at + 1] in outer for at, c in enumerate(point) if c == "("):
            yield point
