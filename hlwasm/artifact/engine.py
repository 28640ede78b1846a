"""The compiler and its configuration. Imported in the worker process only."""

from __future__ import annotations

import ctypes
import re
from importlib.metadata import PackageNotFoundError, version

import wasmtime
from wasmtime import _ffi as ffi

from hlwasm.artifact.files import write_at
from hlwasm.artifact.fingerprint import CPU_FEATURES, TARGET, WASMTIME_MAJOR
from hlwasm.errors import CompileError, InvalidWasm, LoadError, UnsupportedItem

# wasmtime's defaults for 64-bit hosts, which are also the guest's: with 4 GiB reserved
# and guards on both sides compiled code needs no bounds checks.
_MEMORY_RESERVATION = 1 << 32
_MEMORY_GUARD = 32 << 20


def check_wasmtime() -> str:
    """Version of the installed compiler.

    Raises:
        CompileError: its artifacts do not run in this hlwasm's guest.
    """
    try:
        installed = version("wasmtime")
    except PackageNotFoundError:
        installed = "of unknown version"
    if installed.partition(".")[0] != str(WASMTIME_MAJOR):
        raise CompileError(
            f"wasmtime {installed} is installed, and this hlwasm needs {WASMTIME_MAJOR}.x: "
            f"pip install 'wasmtime=={WASMTIME_MAJOR}.*'"
        )
    return installed


def _engine(fuel: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    config.target = TARGET
    # Only these: an unknown flag would abort the process.
    for feature in CPU_FEATURES:
        config.cranelift_flag_enable(f"has_{feature}")
    # The guest has one thread and no async.
    config.wasm_threads = False
    ffi.wasmtime_config_concurrency_support_set(config.ptr(), False)
    ffi.wasmtime_config_wasm_component_model_map_set(config.ptr(), True)
    config.epoch_interruption = False
    config.consume_fuel = fuel
    config.memory_reservation = _MEMORY_RESERVATION
    config.memory_guard_size = _MEMORY_GUARD
    # Nobody unwinds the guest's stack with DWARF.
    config.native_unwind_info = False
    return wasmtime.Engine(config)


def compile_component(component: bytes, *, fuel: bool, output: int) -> int:
    """Compiles a composed component into a file, from its start.

    Returns:
        The length of the code.

    Raises:
        InvalidWasm, UnsupportedItem, CompileError: the compiler refused it.
        OSError: writing failed.
    """
    engine = _engine(fuel)
    compiled = ctypes.POINTER(ffi.wasmtime_component_t)()
    # Straight from and to C memory: the wrappers of wasmtime-py copy twice.
    data = ctypes.cast(ctypes.c_char_p(component), ctypes.POINTER(ctypes.c_uint8))
    error = ffi.wasmtime_component_new(engine.ptr(), data, len(component), ctypes.byref(compiled))
    if error:
        raise classify(str(wasmtime.WasmtimeError._from_ptr(error)))
    serialized = ffi.wasm_byte_vec_t()
    error = ffi.wasmtime_component_serialize(compiled, ctypes.byref(serialized))
    if error:
        raise classify(str(wasmtime.WasmtimeError._from_ptr(error)))
    length = int(serialized.size)
    code = (ctypes.c_uint8 * length).from_address(ctypes.addressof(serialized.data.contents))
    return write_at(output, memoryview(code).cast("B"), 0)


_CAUSE = re.compile(r"^\s*(?:\d+:\s*)?(.*\S)\s*$")
_UNSUPPORTED = re.compile(
    r"not enabled|not (?:yet )?supported|unsupported|not (?:yet )?implemented"
    r"|requires? the .* (?:feature|proposal)|(?:feature|proposal) is disabled|must be enabled",
    re.IGNORECASE,
)
_INVALID = re.compile(
    r"invalid|malformed|type mismatch|unexpected|unknown|out of bounds|\bat offset\b|parse",
    re.IGNORECASE,
)


def one_line(text: str) -> str:
    """The causes of wasmtime's multi-line message, outermost first, without repeats."""
    causes: list[str] = []
    for line in text.splitlines():
        found = _CAUSE.match(line)
        if found is None or line.strip() == "Caused by:":
            continue
        if line.strip().startswith("Stack backtrace"):
            break
        if not any(found[1] in earlier for earlier in causes):
            causes.append(found[1])
    return ": ".join(causes) or "the compiler gave no reason"


def classify(text: str) -> LoadError:
    """The exception for a message of wasmtime."""
    line = one_line(text)
    if _UNSUPPORTED.search(line):
        return UnsupportedItem(line)
    if _INVALID.search(line):
        return InvalidWasm(line)
    return CompileError(line)
