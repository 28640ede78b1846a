"""What a start from a cold process costs with everything cached, and where it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import wasmtime
import wasmtime.component

from benchmarks.measure import Row, Times
from benchmarks.peers import BENCH

HELLO = BENCH.with_name("hello.wat")
ROUNDS = 31

# Without variables that change how Python starts: PYTHONDONTWRITEBYTECODE, for one, would
# have it compile all of hlwasm at every start.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

# hello.wat by wasmtime-py, from a compiled module on disk.
THEIR_PROGRAM = """
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

# add of bench.wat: from a cold process to the result.
OUR_CALL = """
import sys, hlwasm
component = hlwasm.load(sys.argv[1])
with component.instantiate(imports={"host": {"add": lambda a, b: a + b}}) as sandbox:
    print(sandbox.exports.add(2, 3))
"""
THEIR_CALL = """
import sys, wasmtime, wasmtime.component
engine = wasmtime.Engine()
component = wasmtime.component.Component.deserialize_file(engine, sys.argv[1])
linker = wasmtime.component.Linker(engine)
with linker.root() as root, root.add_instance("host") as host:
    host.add_func("add", lambda _store, a, b: a + b)
store = wasmtime.Store(engine)
instance = linker.instantiate(store, component)
add = instance.get_func(store, instance.get_export_index(store, "add"))
print(add(store, 2, 3))
"""


def _run(*arguments: str, output: bytes) -> float:
    """Microseconds of a whole process."""
    started = time.perf_counter_ns()
    done = subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    took = (time.perf_counter_ns() - started) / 1e3
    assert done.stdout == output, done.stdout
    return took


def _split() -> dict[str, float]:
    """Microseconds of each step of ``hlwasm run``."""
    command = [sys.executable, "-m", "hlwasm", "run", "--timings-json", str(HELLO)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    took = time.perf_counter() - started
    seconds = json.loads(done.stderr.splitlines()[-1])
    python = seconds.pop("python_started_at") - started
    known = python + sum(seconds.values())
    steps = {"python_start": python, **seconds, "python_end": took - known}
    return {name.lower(): value * 1e6 for name, value in steps.items()}


def measure() -> list[Row]:
    """Cold start of a program and of a call."""
    with tempfile.TemporaryDirectory() as folder:
        engine = wasmtime.Engine()
        module, component = Path(folder) / "hello.cwasm", Path(folder) / "bench.cwasm"
        module.write_bytes(wasmtime.Module(engine, HELLO.read_text()).serialize())
        component.write_bytes(wasmtime.component.Component(engine, BENCH.read_text()).serialize())
        commands = [
            (("-m", "hlwasm", "run", str(HELLO)), b"hello\n"),
            (("-c", THEIR_PROGRAM, str(module)), b"hello\n"),
            (("-c", OUR_CALL, str(BENCH)), b"5\n"),
            (("-c", THEIR_CALL, str(component)), b"5\n"),
            (("-c", "print('hello')"), b"hello\n"),
        ]
        times: list[list[float]] = [[] for _ in commands]
        splits = []
        # The first round fills the caches, Python's and ours.
        for number in range(ROUNDS + 1):
            for (arguments, output), found in zip(commands, times, strict=True):
                took = _run(*arguments, output=output)
                if number:
                    found.append(took)
            if number:
                splits.append(_split())
    run, their_run, call, their_call, python = map(Times.of, times)
    rows = [
        Row.of("run.cold", run, "python with wasmtime-py, compiled module", their_run, 1.0),
        Row.of("run.cold.python_itself", python),
    ]
    for step in splits[0]:
        rows.append(Row.of(f"run.cold.{step}", Times.of([each[step] for each in splits])))
    rows.append(
        Row.of("call.cold", call, "python with wasmtime-py, compiled component", their_call)
    )
    return rows
