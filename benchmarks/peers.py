"""Both sides of each comparison: a component in a micro-VM, and in wasmtime-py."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import wasmtime
import wasmtime.component

import hlwasm
from hlwasm.native import _abi
from hlwasm.wit.model import Function

BENCH = Path(__file__).parent / "components" / "bench.wat"
# Python and a program of a few classes in one component, made by componentize-py.
PYTHON = Path(__file__).parent.parent / "components" / "build" / "inventory_py.wasm"
_EXITS = 100


class Host:
    """The import of bench.wat."""

    @staticmethod
    def add(a: int, b: int) -> int:
        return a + b


class _Page:
    def __init__(self, title: str) -> None:
        self.title = title

    def write(self, level: object, line: str) -> int:
        return 0


class PythonHost:
    """The imports of the Python component, which the functions called here do not use."""

    journal = SimpleNamespace(Page=_Page)
    supplier = SimpleNamespace(price=lambda name, category: 0)

    @staticmethod
    def now() -> int:
        return 0


def open_sandbox(limits: hlwasm.Limits | None = None) -> hlwasm.Sandbox:
    """bench.wat in a micro-VM."""
    return hlwasm.load(BENCH).instantiate(imports={"host": Host}, limits=limits)


def open_python() -> hlwasm.Sandbox:
    """The Python component in a micro-VM."""
    return hlwasm.load(PYTHON).instantiate(imports=PythonHost)


class WasmtimePeer:
    """bench.wat in this process, by wasmtime-py."""

    def __init__(self) -> None:
        engine = wasmtime.Engine()
        component = wasmtime.component.Component(engine, BENCH.read_text())
        linker = wasmtime.component.Linker(engine)
        with linker.root() as root, root.add_instance("host") as host:
            host.add_func("add", lambda _store, a, b: a + b)
        self.store = wasmtime.Store(engine)
        self._instance = linker.instantiate(self.store, component)

    def function(self, name: str) -> Callable[..., Any]:
        """An export, taking its arguments without the store."""
        return _without_store(self.store, self._instance, name)


def peer_functions(source: str | bytes, interface: str) -> Callable[[str], Callable[..., Any]]:
    """Functions of an exported interface by their WIT names, run by wasmtime-py.

    Args:
        source: a component that calls no import of its own.
        interface: WIT name of the interface.
    """
    engine = wasmtime.Engine()
    component = wasmtime.component.Component(engine, source)
    linker = wasmtime.component.Linker(engine)
    linker.define_unknown_imports_as_traps(component)
    store = wasmtime.Store(engine)
    instance = linker.instantiate(store, component)
    within = instance.get_export_index(store, interface)
    return lambda name: _without_store(store, instance, name, within)


def _without_store(
    store: wasmtime.Store,
    instance: wasmtime.component.Instance,
    name: str,
    within: wasmtime.component.ExportIndex | None = None,
) -> Callable[..., Any]:
    index = instance.get_export_index(store, name, within)
    assert index is not None
    function = instance.get_func(store, index)
    assert function is not None
    return lambda *arguments: function(store, *arguments)


def bare_exits(sandbox: hlwasm.Sandbox, count: int) -> None:
    """Makes the guest leave and re-enter ``count`` times, doing nothing else."""
    sandbox._loop.command(_abi.COMMAND_EXITS, count)


def bare_exit(sandbox: hlwasm.Sandbox) -> float:
    """Microseconds of one bare exit, over a hundred."""
    started = time.perf_counter_ns()
    bare_exits(sandbox, _EXITS)
    between = time.perf_counter_ns()
    bare_exits(sandbox, 0)
    ended = time.perf_counter_ns()
    return ((between - started) - (ended - between)) / _EXITS / 1e3


def repeat_in_guest(sandbox: hlwasm.Sandbox, index: int, count: int, payload: int = 0) -> None:
    """Makes the guest run ``call-index`` ``count`` times on the parameters of the last call,
    which have so many bytes of payload.
    """
    cursor = _abi.TRANSFER_DATA + 64 + payload
    sandbox._loop.command(_abi.COMMAND_REPEAT_CALL, index, count, cursor)


def export_named(sandbox: hlwasm.Sandbox, name: str) -> Function:
    """An exported function, by its WIT name."""
    return next(f for f in sandbox.component.description.exports if f.name == name)
