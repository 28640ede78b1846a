"""Runs the benchmarks: ``python -m benchmarks [SUBJECT…]``."""

from __future__ import annotations

import importlib
import json
import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_facts, noise
from benchmarks.measure import Row
from benchmarks.plot import svg

RESULTS = Path(__file__).parent / "results"
SUBJECTS = (
    "calls",
    "echo",
    "codec",
    "compute",
    "restores",
    "clones",
    "idle",
    "scaling",
    "deadlines",
    "limits",
    "cold_start",
    "warm_start",
)
_WIDTH = 140


def _table(rows: list[Row]) -> Table:
    table = Table(title="hlwasm benchmarks")
    table.add_column("name", no_wrap=True)
    for column in ("value", "± %", "baseline", "ratio", "goal"):
        table.add_column(column, justify="right")
    for row in rows:
        ratio = row.ratio
        table.add_row(
            row.name,
            f"{row.value:,.2f} {row.unit}",
            "" if row.spread is None else f"{row.spread * 100:.0f}",
            f"{row.baseline}: {row.baseline_value:,.2f}" if row.baseline_value else "",
            "" if ratio is None else f"{ratio:.3g}",
            _goal(row),
            style={None: "", True: "green", False: "red"}[row.met],
        )
    return table


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign = "≤" if row.better == "smaller" else "≥"
    return f"{sign} {row.goal:.4g}" + ("" if row.goal_of == "ratio" else f" {row.unit}")


@click.command()
@click.argument("subjects", nargs=-1, type=click.Choice(SUBJECTS))
def main(subjects: tuple[str, ...]) -> None:
    """Measures all SUBJECTS, or those that are named, and prints a table.

    The full run also writes latest.json, latest.svg and machine.json in benchmarks/results.
    """
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    rows: list[Row] = []
    load_before, noise_before = os.getloadavg()[0], noise()
    seconds: dict[str, float] = {}
    for subject in subjects or SUBJECTS:
        started = time.monotonic()
        with console.status(f"measuring {subject} …"):
            rows += importlib.import_module(f"benchmarks.{subject}").measure()
        seconds[subject] = round(time.monotonic() - started, 1)
    console.print(_table(rows))
    if not subjects:
        facts = {
            **machine_facts(),
            "load": [load_before, os.getloadavg()[0]],
            "noise": [noise_before, noise()],
            "seconds": seconds,
        }
        _write(rows, facts)
        console.print(f"written: {RESULTS}")


def _write(rows: list[Row], facts: dict[str, object]) -> None:
    RESULTS.mkdir(exist_ok=True)
    machine = f"{facts['cpu']}, {facts['cores']} cores, {facts['kvm']}"
    texts = {
        "latest.json": json.dumps([row.as_json() for row in rows], indent=1) + "\n",
        "latest.svg": svg(rows, machine),
        "machine.json": json.dumps(facts, indent=1) + "\n",
    }
    for name, text in texts.items():
        (RESULTS / name).write_text(text)


if __name__ == "__main__":
    main()
