"""What `hlwasm run` costs from a cold process with everything cached, and where it goes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import wasmtime

from benchmarks.measure import Row

HELLO = Path(__file__).parent / "components" / "hello.wat"
ROUNDS = 15

# The same program in wasmtime-py, from a compiled module on disk.
PEER = """
import sys, wasmtime
engine = wasmtime.Engine()
module = wasmtime.Module.deserialize_file(engine, sys.argv[1])
linker = wasmtime.Linker(engine)
linker.define_wasi()
store = wasmtime.Store(engine)
config = wasmtime.WasiConfig()
config.inherit_stdout()
store.set_wasi(config)
try:
    linker.instantiate(store, module).exports(store)["_start"](store)
except wasmtime.ExitTrap as ended:
    sys.exit(ended.code)
"""


def _seconds(command: list[str]) -> float:
    import time

    started = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True).stdout
    assert output == b"hello\n", output
    return time.perf_counter() - started


def _timings() -> dict[str, float]:
    """The split that `hlwasm run --timings` reports, in microseconds."""
    command = [sys.executable, "-m", "hlwasm", "run", "--timings=json", str(HELLO)]
    done = subprocess.run(command, check=True, capture_output=True)
    return dict(json.loads(done.stderr.splitlines()[-1]))


def measure() -> list[Row]:
    """Cold start of a hello program."""
    ours = [sys.executable, "-m", "hlwasm", "run", str(HELLO)]
    _seconds(ours)  # fills the cache
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "hello.cwasm"
        engine = wasmtime.Engine()
        compiled.write_bytes(wasmtime.Module(engine, HELLO.read_text()).serialize())
        theirs = [sys.executable, "-c", PEER, str(compiled)]
        python = [sys.executable, "-c", "print('hello')"]
        times = [[_seconds(each) * 1e6 for each in (ours, theirs, python)] for _ in range(ROUNDS)]
    mine, other, bare = (statistics.median(side) for side in zip(*times, strict=True))
    splits = [_timings() for _ in range(ROUNDS)]
    rows = [
        Row("run.cold", mine, "µs", "python with wasmtime-py, compiled module", other, 1.0),
        Row("run.cold.python_itself", bare, "µs"),
    ]
    for phase in splits[0]:
        rows.append(Row(f"run.cold.{phase}", statistics.median(s[phase] for s in splits), "µs"))
    return rows
