"""A report of fuzzing for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hlwasm.testing.fuzzing.report import Failure, Report


def report_json(report: Report) -> dict[str, Any]:
    """The report as what JSON can hold; calls, answers and values are WAVE text."""
    return {
        "seed": report.seed,
        "examples": report.examples,
        "seconds": round(report.seconds, 3),
        "complete": report.complete,
        "passed": report.passed,
        "failures": [_failure(each) for each in report.failures],
        "coverage": [
            {
                "function": each.name,
                "side": each.side,
                "calls": each.calls,
                "points": each.points,
                "cut": each.cut,
            }
            for each in report.coverage.functions
        ],
        "notes": report.notes,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    script = failure.script
    return {
        "kind": failure.kind.value,
        "function": failure.function,
        "message": failure.message,
        "backtrace": list(failure.backtrace),
        "calls": [] if script is None else [str(step) for step in script.steps],
        "answers": [str(call) for call in failure.answers],
        "count": failure.count,
    }
