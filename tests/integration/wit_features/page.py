"""The tables of docs/wit-features.md."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "wit-features.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[2:]]
    return [[cell.strip().replace(r"\|", "|") for cell in row] for row in cells]


def code(cell: str) -> list[str]:
    """The parts of a cell in code style."""
    return re.findall(r"`([^`]+)`", cell)


def first_cell(row: list[str]) -> str:
    """What a row is about, as plain text."""
    return row[0].replace("`", "")
