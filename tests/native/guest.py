"""Drives the guest runtime through the C ABI, without the layers above it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import wasmtime

from hlwasm.artifact.engine import compile_component
from hlwasm.errors import Frame
from hlwasm.native import _abi
from hlwasm.native.handles import Configuration, Counters, NativeSandbox
from hlwasm.native.reports import parse_report
from tests.native.composed import BRIDGE_PAGES

MIB = 1 << 20
BRIDGE_BYTES = BRIDGE_PAGES * _abi.TRANSFER_WASM_PAGE_BYTES

HostFunction = Callable[[int, int], int]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    kind: int
    status: int
    values: tuple[int, int]
    message: str = ""
    frames: tuple[Frame, ...] = ()

    @property
    def trap(self) -> int | None:
        """The ``TRAP_`` code, if it trapped."""
        return self.values[0] if self.status == _abi.STATUS_TRAP else None

    @property
    def ok(self) -> bool:
        return self.status == _abi.STATUS_OK


class Refused(Exception):
    """A host function fails."""


class Guest:
    """One sandbox, commanded directly."""

    def __init__(self, native: NativeSandbox) -> None:
        self.native = native
        self.logs: list[tuple[int, str]] = []

    def run(self, command: int, *arguments: int, host: HostFunction | None = None) -> Ended:
        """Runs a command to its end, answering host calls with ``host``."""
        native = self.native
        lib = native.lib
        kind = native.command(command, *arguments)
        while True:
            exit_ = native.exit
            if kind == lib.HLW_EXIT_HOST_CALL:
                assert host is not None, "unexpected host call"
                try:
                    answer = (0, host(exit_.value0, exit_.value1))
                except Refused:
                    answer = (1, 0)
                kind = lib.hlw_answer(native.pointer, *answer)
            elif kind == lib.HLW_EXIT_LOG:
                self.logs.append((exit_.value0, native.text()))
                kind = lib.hlw_resume(native.pointer)
            else:
                break
        assert kind >= 0, f"the VMM failed: {kind}"
        message, frames = parse_report(native.text())
        failed = kind == lib.HLW_EXIT_FAILED
        status = exit_.code if failed else _abi.STATUS_OK if kind == lib.HLW_EXIT_DONE else -1
        return Ended(kind, status, (exit_.value0, exit_.value1), message, frames)

    def load(self, fuel: bool = False) -> Ended:
        return self.run(_abi.COMMAND_LOAD, _abi.ARTIFACT, self.native.artifact_bytes, fuel)

    def instantiate(
        self,
        calls: int = 1,
        *,
        import_pages: int = BRIDGE_PAGES,
        export_pages: int = BRIDGE_PAGES,
        tables: int = 100_000,
        fuel: int = 0,
        host: HostFunction | None = None,
    ) -> Ended:
        return self.run(
            _abi.COMMAND_INSTANTIATE, calls, import_pages, export_pages, tables, fuel, host=host
        )

    def call(self, index: int = 0, host: HostFunction | None = None) -> Ended:
        return self.run(_abi.COMMAND_CALL, index, host=host)

    def counters(self) -> Counters:
        return self.native.counters()

    @contextmanager
    def exits(self, expected: int) -> Iterator[None]:
        """Checks how many exits the block causes."""
        before = self.counters().exits
        yield
        assert self.counters().exits - before == expected


@lru_cache(maxsize=64)
def artifact(wat: str, fuel: bool = False) -> int:
    """Descriptor of the artifact compiled from WAT; stays open."""
    file = os.memfd_create("artifact")
    compile_component(bytes(wasmtime.wat2wasm(wat)), fuel=fuel, output=file)
    return file


def artifact_of_bytes(data: bytes) -> int:
    """Descriptor of an artifact with these bytes."""
    file = os.memfd_create("artifact")
    os.write(file, data)
    return file


@contextmanager
def guest(
    source: str | int | None,
    *,
    windows: Sequence[int] = (BRIDGE_BYTES, BRIDGE_BYTES, MIB, MIB),
    ram: int = 64 * MIB,
) -> Iterator[Guest]:
    """A booted guest with an artifact: WAT, or a descriptor."""
    file = artifact(source) if isinstance(source, str) else source
    native = NativeSandbox(
        Configuration(
            window_bytes=windows,
            ram_bytes=ram,
            artifact_fd=-1 if file is None else file,
            artifact_bytes=0 if file is None else os.fstat(file).st_size,
        )
    )
    try:
        yield Guest(native)
    finally:
        native.close()


@contextmanager
def running(
    wat: str,
    *,
    calls: int = 1,
    import_pages: int = BRIDGE_PAGES,
    host: HostFunction | None = None,
    windows: Sequence[int] = (BRIDGE_BYTES, BRIDGE_BYTES, MIB, MIB),
    ram: int = 64 * MIB,
) -> Iterator[Guest]:
    """A guest with a component loaded and instantiated."""
    with guest(wat, windows=windows, ram=ram) as it:
        loaded = it.load()
        assert loaded.ok, loaded
        made = it.instantiate(calls, import_pages=import_pages, host=host)
        assert made.ok, made
        yield it
