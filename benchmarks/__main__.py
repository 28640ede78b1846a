"""Runs the benchmarks: ``python -m benchmarks [SUBJECT…]``."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_facts
from benchmarks.measure import Row

RESULTS = Path(__file__).parent / "results"
SUBJECTS = ("calls", "echo", "compute", "cold_start")
_WIDTH = 120


def _table(rows: list[Row]) -> Table:
    table = Table(title="hlwasm benchmarks (smaller is better)")
    table.add_column("name", no_wrap=True)
    for column in ("value", "± %", "baseline", "ratio", "goal"):
        table.add_column(column, justify="right")
    for row in rows:
        ratio = row.ratio
        met = "" if row.goal is None or ratio is None else "green" if ratio <= row.goal else "red"
        table.add_row(
            row.name,
            f"{row.value:,.2f} {row.unit}",
            "" if row.spread is None else f"{row.spread * 100:.0f}",
            f"{row.baseline}: {row.baseline_value:,.2f}" if row.baseline_value else "",
            "" if ratio is None else f"{ratio:.3g}",
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
    if not console.is_terminal:
        console.width = _WIDTH
    rows: list[Row] = []
    load_before = os.getloadavg()[0]
    for subject in subjects or SUBJECTS:
        with console.status(f"measuring {subject} …"):
            rows += importlib.import_module(f"benchmarks.{subject}").measure()
    console.print(_table(rows))
    if not subjects:
        RESULTS.mkdir(exist_ok=True)
        latest = RESULTS / "latest.json"
        latest.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
        facts = {**machine_facts(), "load": [load_before, os.getloadavg()[0]]}
        (RESULTS / "machine.json").write_text(json.dumps(facts, indent=1) + "\n")
        console.print(f"written: {latest}")


if __name__ == "__main__":
    main()
