"""Whether code runs as fast in a micro-VM as in this process."""

from __future__ import annotations

import io
import tempfile
from functools import partial
from pathlib import Path

import wasmtime

import hlwasm
from benchmarks.measure import Row, Times, interleaved
from benchmarks.peers import WasmtimePeer, open_sandbox

CPYTHON = Path(__file__).parent.parent / "components" / "build" / "cpython.wasm"

# Times itself, so that start-up is not part of it.
PROGRAM = """
import time
started = time.perf_counter()
total = 0
for i in range(300_000):
    total += i * i % 7
print(time.perf_counter() - started)
"""
ROUNDS = 9


def _cpython_in_vm(component: hlwasm.Component) -> float:
    output = io.BytesIO()
    wasi = hlwasm.Wasi(args=["python", "-c", PROGRAM], stdout=output, stderr=output)
    with component.instantiate(wasi=wasi) as sandbox:
        assert sandbox.run() == 0, output.getvalue().decode()
    return float(output.getvalue()) * 1e6


class _CPythonInProcess:
    """The same core module under wasmtime-py."""

    def __init__(self) -> None:
        self._engine = wasmtime.Engine()
        self._module = wasmtime.Module.from_file(self._engine, str(CPYTHON))
        self._linker = wasmtime.Linker(self._engine)
        self._linker.define_wasi()

    def run(self) -> float:
        store = wasmtime.Store(self._engine)
        config = wasmtime.WasiConfig()
        config.argv = ["python", "-c", PROGRAM]
        with tempfile.NamedTemporaryFile() as output:
            config.stdout_file = output.name
            store.set_wasi(config)
            instance = self._linker.instantiate(store, self._module)
            start = instance.exports(store)["_start"]
            assert isinstance(start, wasmtime.Func)
            try:
                start(store)
            except wasmtime.ExitTrap as ended:
                assert ended.code == 0
            return float(Path(output.name).read_text()) * 1e6


def _cpython() -> Row:
    component, peer = hlwasm.load(CPYTHON), _CPythonInProcess()
    pairs = [(_cpython_in_vm(component), peer.run()) for _ in range(ROUNDS)]
    ours, theirs = (Times.of(side) for side in zip(*pairs, strict=True))
    return Row.of("compute.cpython", ours, "wasmtime-py", theirs, 1.05)


def measure() -> list[Row]:
    """Sieve, matrix product, and a loop in CPython."""
    peer = WasmtimePeer()
    rows = []
    with open_sandbox() as sandbox:
        for name, rounds in (("sieve", 10), ("matmul", 20)):
            ours, theirs = sandbox.exports[name], peer.function(name)
            assert ours(1) == theirs(1)
            mine, other = interleaved(
                [partial(ours, rounds), partial(theirs, rounds)],
                count=1,
                batches=31,
            )
            rows.append(Row.of(f"compute.{name}", mine, "wasmtime-py", other, 1.05))
    rows.append(_cpython())
    return rows
