"""Instantiating a component again: in one process, and by starting the program again."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hlwasm
from benchmarks.cold_start import ENVIRONMENT
from benchmarks.measure import Row, Times, interleaved
from benchmarks.peers import BENCH, Host, bare_exits, open_sandbox
from components.build import build

ROUNDS = 21


def _instantiating(component: hlwasm.Component, imports: Any) -> Callable[[], object]:
    def work() -> None:
        component.instantiate(imports).close()

    return work


def _in_process() -> list[Row]:
    imports = {"host": Host}
    anew, again = hlwasm.load(BENCH, reuse=False), hlwasm.load(BENCH)

    def calling(component: hlwasm.Component) -> Callable[[], object]:
        def work() -> None:
            with component.instantiate(imports) as sandbox:
                sandbox.exports.add(2, 3)

        return work

    with open_sandbox() as sandbox:
        snapshot = sandbox.snapshot()

        def clone() -> None:
            with snapshot.instantiate(imports) as copy:
                copy.exports.add(2, 3)

        works = [calling(anew), calling(again), clone, lambda: bare_exits(sandbox, 100)]
        boot, reused, cloned, exits = interleaved(works, count=50, batches=ROUNDS, warm_up=4)
    exit_ = Times(exits.value / 100, exits.spread)
    path = build("inventory_py")
    large = [hlwasm.load(path, reuse=False), hlwasm.load(path)]
    python = [_instantiating(each, _stand_ins(each)) for each in large]
    python_boot, python_reused = interleaved(python, count=5, batches=ROUNDS, warm_up=4)
    return [
        Row.of("instantiate.small", reused, "with reuse=False", boot),
        Row.of("instantiate.small_in_exits", reused, "bare exit", exit_),
        Row.of("clone.small_in_exits", cloned, "bare exit", exit_),
        Row.of("instantiate.python", python_reused, "with reuse=False", python_boot),
    ]


def _stand_ins(component: hlwasm.Component) -> Any:
    from hlwasm.cli.missing_imports import stand_ins

    return stand_ins(component.description)


def _run(arguments: list[str], cache: str) -> float:
    """Microseconds of a whole process."""
    command = [sys.executable, "-m", "hlwasm", *arguments]
    started = time.perf_counter_ns()
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        env={**ENVIRONMENT, "HLWASM_CACHE_DIR": cache},
    )  # fmt: skip
    return (time.perf_counter_ns() - started) / 1e3


@contextlib.contextmanager
def _without(cache: Path) -> Iterator[None]:
    """Hides what the cache has besides artifacts, and keeps it from being made again."""
    names = ("snapshots", "sources.json")
    # On a fast machine no snapshot is worth keeping.
    hidden = [name for name in names if (cache / name).exists()]
    for name in hidden:
        (cache / name).rename(cache / f"{name}.hidden")
    (cache / "snapshots").write_text("in the way")
    (cache / "sources.json").mkdir()
    try:
        yield
    finally:
        (cache / "snapshots").unlink()
        (cache / "sources.json").rmdir()
        for name in hidden:
            (cache / f"{name}.hidden").rename(cache / name)


def _programs() -> list[Row]:
    """Large programs, with and without what the run before left in the cache."""
    rows = []
    calls = {
        "cpython": ["run", str(build("cpython")), "-S", "-c", "pass"],
        "python": ["call", str(build("inventory_py")), "summary()"],
    }
    for name, arguments in calls.items():
        with tempfile.TemporaryDirectory() as cache:
            _run(arguments, cache)
            time.sleep(2.1)
            _run(arguments, cache)
            warm: list[float] = []
            cold: list[float] = []
            for _ in range(ROUNDS):
                warm.append(_run(arguments, cache))
                with _without(Path(cache)):
                    cold.append(_run(arguments, cache))
        rows.append(
            Row.of(f"warm.{name}", Times.of(warm), "artifact cached only", Times.of(cold), 1.0)
        )
    return rows


def measure() -> list[Row]:
    """Both."""
    return _in_process() + _programs()


if __name__ == "__main__":
    print(json.dumps([row.as_json() for row in measure()], indent=1))
