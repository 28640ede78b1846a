"""Writes the golden package anew: python -m tests.unit.bindgen.regenerate

Look at the difference before it is committed.
"""

from __future__ import annotations

from pathlib import Path

from hlwasm.bindgen.files import write
from hlwasm.bindgen.package import generate
from hlwasm.wit.sources import read_wit

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "golden"


def generated() -> dict[str, str]:
    """What is to be in the folder ``golden``."""
    return generate(read_wit(FOLDER / "plugin.wit"), asynchronous=True)


if __name__ == "__main__":
    for path in write(generated(), GOLDEN):
        print(path)
