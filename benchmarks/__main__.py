"""Runs the benchmarks: ``python -m benchmarks [NAME…] [--quick]``."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_facts
from benchmarks.measure import Row

RESULTS = Path(__file__).parent / "results"
SUBJECTS = ("calls", "echo", "compute", "cold_start")


def _table(rows: list[Row]) -> Table:
    table = Table(title="hlwasm benchmarks (smaller is better)")
    for column in ("name", "value", "baseline", "ratio", "goal"):
        table.add_column(column, justify="left" if column in ("name", "baseline") else "right")
    for row in rows:
        ratio = row.ratio
        met = "" if row.goal is None or ratio is None else "green" if ratio <= row.goal else "red"
        table.add_row(
            row.name,
            f"{row.value:,.2f} {row.unit}",
            f"{row.baseline}: {row.baseline_value:,.2f}" if row.baseline_value else "",
            "" if ratio is None else f"{ratio:.4g}",
            "" if row.goal is None else f"≤ {row.goal:g}",
            style=met,
        )
    return table


@click.command()
@click.argument("subjects", nargs=-1, type=click.Choice(SUBJECTS))
def main(subjects: tuple[str, ...]) -> None:
    """Measures all SUBJECTS, or those that are named, and prints a table.

    The full run also writes benchmarks/results/latest.json.
    """
    console = Console()
    rows: list[Row] = []
    for subject in subjects or SUBJECTS:
        with console.status(f"measuring {subject} …"):
            rows += importlib.import_module(f"benchmarks.{subject}").measure()
    console.print(_table(rows))
    if not subjects:
        RESULTS.mkdir(exist_ok=True)
        latest = RESULTS / "latest.json"
        latest.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
        (RESULTS / "machine.json").write_text(json.dumps(machine_facts(), indent=1) + "\n")
        console.print(f"written: {latest}")


if __name__ == "__main__":
    main()
