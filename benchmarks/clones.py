"""What a new sandbox costs, from a snapshot to its first result, and what else one could start.

The yardstick is a VM of the same size made by a bare loop over /dev/kvm.
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import wasmtime
import wasmtime.component

import hlwasm
from benchmarks.bare_kvm import BareKvm
from benchmarks.kvm_statistics import only_vcpu, page_faults_of
from benchmarks.measure import Row, Times, batch_time, in_turns, interleaved
from benchmarks.peers import (
    BENCH,
    PYTHON,
    Host,
    PythonHost,
    bare_exit,
    export_named,
    open_python,
    open_sandbox,
)
from hlwasm.codec.functions import bind_export
from hlwasm.native.library import load_library

ROUNDS = 60
# In a row, whose mean is one measurement.
CLONES = 5
CYCLES = 40
KEPT_VMS = 16


class VmPool:
    """How many VMs native_vmm keeps, for the time of a ``with`` statement.

    Args:
        kept: the most; 0 switches the pool off, so that each sandbox is a new VM.
    """

    def __init__(self, kept: int) -> None:
        self._ffi, self._lib = load_library()
        self._kept = kept

    def __enter__(self) -> VmPool:
        self._before = self._set(-1).limit
        self._set(self._kept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._set(self._before)

    def settle(self) -> None:
        """Waits until what was closed is put back or freed, which is done by another thread.

        The kernel goes on with what was freed for a while, so that a pause is made then. Where
        all is kept there is nothing to wait for, and the CPU stays awake, as for a bare exit.
        """
        pause = 0.0 if self._kept else 0.0005
        while self._set(-1).waiting:
            if pause:
                time.sleep(pause)

    def _set(self, kept: int) -> Any:
        info = self._ffi.new("hlw_vm_pool_info *")
        if self._lib.hlw_vm_pool(kept, info) < 0:
            raise RuntimeError("the VM pool cannot be set")
        return info


def _faults() -> int:
    """Page faults of this thread so far: its own, and those of the guest that need a page."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


class _Saved:
    """A snapshot, of which each round makes a sandbox for one call.

    Args:
        sandbox: what is saved; closed then.
        imports: for the new sandboxes.
        function: what is called.
        arguments: its arguments.
    """

    def __init__(
        self, sandbox: hlwasm.Sandbox, imports: Any, function: str, *arguments: int
    ) -> None:
        self._imports, self._arguments = imports, arguments
        self._function = export_named(sandbox, function)
        with sandbox:
            for _ in range(2):
                self._call(sandbox)
            self._snapshot = sandbox.snapshot()
        configuration = sandbox.component.configuration(sandbox.limits)
        # One slot has it all; see ARCHITECTURE.md.
        artifact = -(-configuration.artifact_bytes // 4096) * 4096
        memory = configuration.ram_bytes + sum(configuration.window_bytes)
        self.slot_bytes = memory + artifact

    def _call(self, sandbox: hlwasm.Sandbox) -> None:
        sandbox.exports[self._function.name](*self._arguments)

    def clone(self, pool: VmPool) -> float:
        """Microseconds from the snapshot to the first result."""
        took = 0
        for _ in range(CLONES):
            started = time.perf_counter_ns()
            sandbox = self._snapshot.instantiate(imports=self._imports)
            self._call(sandbox)
            took += time.perf_counter_ns() - started
            sandbox.close()
            # Freeing a VM keeps a CPU busy and the kernel's locks with it.
            pool.settle()
        return took / CLONES / 1e3

    def parts(self, pool: VmPool) -> list[float]:
        """What :meth:`clone` consists of: microseconds of making the VM, of Python before the
        call, of the first call and of one more; page faults of the first call, the guest's
        and this thread's.
        """
        found = []
        for _ in range(CLONES):
            begun = time.perf_counter_ns()
            sandbox = self._snapshot.instantiate(imports=self._imports)
            made = (time.perf_counter_ns() - begun) / 1e3
            vm = dict(sandbox.steps())["VM creation"] * 1e6
            vcpu = only_vcpu()
            guest, host = page_faults_of(vcpu), _faults()
            first = batch_time(partial(self._call, sandbox), 1)
            guest, host = page_faults_of(vcpu) - guest, _faults() - host
            following = batch_time(partial(self._call, sandbox), 1)
            found.append((vm, made - vm, first, following, guest, host))
            sandbox.close()
            pool.settle()
        return [sum(values) / CLONES for values in zip(*found, strict=True)]

    def binding(self) -> float:
        """Microseconds of making the Python function that calls, where the guest has run."""
        with self._snapshot.instantiate(imports=self._imports) as sandbox:
            bind = partial(bind_export, self._function, sandbox._loop)
            call = bind()
            anew, again = interleaved(
                [lambda: bind()(*self._arguments), lambda: call(*self._arguments)],
                count=10,
                batches=100,
            )
        return anew.value - again.value

    def cycle(self) -> float:
        """Microseconds of making, calling and closing, where nobody waits for what follows."""
        started = time.perf_counter_ns()
        for _ in range(CYCLES):
            with self._snapshot.instantiate(imports=self._imports) as sandbox:
                self._call(sandbox)
        return (time.perf_counter_ns() - started) / CYCLES / 1e3


def _small_imports(root: Any) -> None:
    with root.add_instance("host") as host:
        host.add_func("add", lambda _store, a, b: a + b)


def _python_imports(root: Any) -> None:
    """Those of the Python component; the function that is called uses none of them."""

    def unused(*_: object) -> None:
        raise NotImplementedError

    root.add_func("now", unused)
    with root.add_instance("demo:inventory/journal@1.0.0") as journal:
        journal.add_resource("page", wasmtime.component.ResourceType.host(1), unused)
        journal.add_func("[constructor]page", unused)
        journal.add_func("[method]page.write", unused)
    with root.add_instance("demo:inventory/supplier@1.0.0") as supplier:
        supplier.add_func("price", unused)


class _InProcess:
    """The same component by wasmtime-py, compiled already, without isolation.

    Args:
        source: the component.
        define: defines its imports.
        function: what is called.
        arguments: its arguments.
    """

    def __init__(
        self, source: bytes | str, define: Callable[[Any], None], function: str, *arguments: int
    ) -> None:
        self._engine = wasmtime.Engine()
        self._component = wasmtime.component.Component(self._engine, source)
        self._linker = wasmtime.component.Linker(self._engine)
        self._linker.add_wasip2()
        with self._linker.root() as root:
            define(root)
        self._function, self._arguments = function, arguments

    def clone(self) -> float:
        """Microseconds from the compiled component to the first result."""
        started = time.perf_counter_ns()
        for _ in range(CLONES):
            store = wasmtime.Store(self._engine)
            store.set_wasi(wasmtime.WasiConfig())
            instance = self._linker.instantiate(store, self._component)
            index = instance.get_export_index(store, self._function)
            assert index is not None
            function = instance.get_func(store, index)
            assert function is not None
            function(store, *self._arguments)
        return (time.perf_counter_ns() - started) / CLONES / 1e3


def _boots(bare: BareKvm) -> float:
    """Microseconds of a bare VM."""
    return sum(bare.boot() for _ in range(CLONES)) / CLONES


def _spawn(*command: str) -> float:
    """Microseconds of a whole process."""
    started = time.perf_counter_ns()
    subprocess.run(command, check=True)
    return (time.perf_counter_ns() - started) / 1e3


def _components() -> list[tuple[str, _Saved, _InProcess, float]]:
    """Name, ours, theirs, and the goal against a bare VM."""
    small = _Saved(open_sandbox(), {"host": Host}, "add", 2, 3)
    python = _Saved(open_python(), PythonHost, "summary")
    return [
        ("small", small, _InProcess(BENCH.read_text(), _small_imports, "add", 2, 3), 1.5),
        ("python", python, _InProcess(PYTHON.read_bytes(), _python_imports, "summary"), 3),
    ]


def _new_vms(name: str, ours: _Saved, theirs: _InProcess, goal: float) -> tuple[list[Row], Times]:
    bare = BareKvm(ours.slot_bytes)
    with VmPool(0) as pool:
        clone, floor, peer = in_turns(
            [partial(ours.clone, pool), partial(_boots, bare), theirs.clone], ROUNDS
        )
        rounds = [ours.parts(pool) for _ in range(ROUNDS)]
        binding = ours.binding()
    bare.close()
    vm, python, first, following, faults, host = map(Times.of, zip(*rounds, strict=True))
    each_fault = (first.value - following.value - binding) / faults.value
    prefix = f"clone.{name}"
    rows = [
        Row.of(prefix, clone, "one bare VM", floor, goal),
        Row.of(f"{prefix}.in_process", clone, "wasmtime-py, instantiate and call", peer),
        Row.of(f"{prefix}.vm", vm, "one bare VM", floor),
        Row.of(f"{prefix}.python", python),
        Row.of(f"{prefix}.first_call", first, "the next call", following),
        Row(f"{prefix}.first_call.binding", binding),
        Row(f"{prefix}.first_call.faults", faults.value, "faults"),
        Row(f"{prefix}.first_call.host_faults", host.value, "faults"),
        Row(f"{prefix}.first_call.each_fault", each_fault),
    ]
    return rows, clone


def measure() -> list[Row]:
    """Clones in new VMs and in kept ones, beside wasmtime-py and processes."""
    # As for codecs: what other benchmarks of this program have left alive is not for the
    # collector to look through while these are measured.
    gc.collect()
    gc.freeze()
    try:
        return _measure()
    finally:
        gc.unfreeze()


def _measure() -> list[Row]:
    components = _components()
    rows = []
    small = Times(0, 0)
    for name, ours, theirs, goal in components:
        more, clone = _new_vms(name, ours, theirs, goal)
        rows += more
        small = clone if name == "small" else small
    with open_sandbox() as sandbox, VmPool(KEPT_VMS) as pool:
        for name, ours, _, _ in components:
            exits, pooled, cycle = in_turns(
                [partial(bare_exit, sandbox), partial(ours.clone, pool), ours.cycle], ROUNDS
            )
            allowed = 4.0 if name == "small" else None
            rows.append(Row.of(f"pool.{name}", pooled, "one bare exit", exits, allowed))
            rows.append(Row.of(f"pool.{name}.cycle", cycle, "one bare exit", exits))
    process, python = in_turns(
        [partial(_spawn, "/bin/true"), partial(_spawn, sys.executable, "-c", "pass")], ROUNDS
    )
    rows.append(Row.of("clone.small.process", small, "/bin/true as a process", process))
    rows.append(Row.of("clone.small.python_process", small, "python -c pass", python))
    return rows
