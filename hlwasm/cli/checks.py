"""The checks of `hlwasm doctor`, each independent of the others as far as possible."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hlwasm.errors import HlwasmError, NoHypervisorFound

# Names in /proc/cpuinfo of what artifacts and the guest runtime use (x86-64-v3).
# pni is SSE3, abm is LZCNT.
_CPU_FLAGS = {"pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16", "fma", "avx", "avx2"}
_CPU_FLAGS |= {"f16c", "bmi1", "bmi2", "abm", "movbe", "xsave"}

_SELF_TEST = b"""(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add"))))
"""
_CALLS = 200


@dataclass(frozen=True, slots=True)
class Check:
    """What was found; ``hints`` say what to do about it."""

    name: str
    ok: bool
    detail: str
    hints: tuple[str, ...] = ()


def examine() -> tuple[list[Check], dict[str, float]]:
    """Runs all checks; also returns the timings of the self-test in seconds."""
    checks = [_guarded(name, check) for name, check in _CHECKS]
    timings: dict[str, float] = {}
    checks.append(_guarded("self-test", lambda: _self_test(timings)))
    return checks, timings


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """A check that fails in an unforeseen way is a finding, not the end."""
    try:
        return check()
    except Exception as error:
        hints = error.hints if isinstance(error, NoHypervisorFound) else ()
        first = str(error).partition("\n")[0]
        detail = first if isinstance(error, HlwasmError) else f"{type(error).__name__}: {first}"
        return Check(name, False, detail, hints)


def _python() -> Check:
    detail = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    return Check("python", True, detail)


def _machine() -> Check:
    detail = f"{platform.system()} {platform.release()} on {platform.machine()}"
    ok = platform.system() == "Linux" and platform.machine() == "x86_64"
    return Check("machine", ok, detail, () if ok else ("hlwasm runs on Linux on x86-64",))


def _cpu() -> Check:
    flags: set[str] = set()
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            flags = set(value.split())
            break
        if name.strip() == "model name":
            model = value.strip()
    cores = len(os.sched_getaffinity(0))
    missing = sorted(_CPU_FLAGS - flags)
    if missing:
        hints = ("hlwasm needs a CPU of level x86-64-v3: Intel since Haswell, AMD since Excavator",)
        return Check("cpu", False, f"{model}: lacks {', '.join(missing)}", hints)
    return Check("cpu", True, f"{model}, {cores} usable, x86-64-v3")


def _native() -> Check:
    from hlwasm import __version__
    from hlwasm.native.library import native_version

    return Check("hlwasm", True, f"{__version__}, native {native_version()}")


def _compiler() -> Check:
    from importlib.metadata import PackageNotFoundError, version

    from hlwasm.artifact.fingerprint import WASMTIME_MAJOR

    wanted = f"pip install 'wasmtime=={WASMTIME_MAJOR}.*'"
    try:
        found = version("wasmtime")
    except PackageNotFoundError:
        return Check("compiler", False, "wasmtime is not installed", (wanted,))
    if found.partition(".")[0] != str(WASMTIME_MAJOR):
        return Check("compiler", False, f"wasmtime {found}", (wanted,))
    return Check("compiler", True, f"wasmtime {found}")


def _hypervisor() -> Check:
    from hlwasm.native.library import query_hypervisor
    from hlwasm.native.status import DEVICE, hypervisor_hints

    info = query_hypervisor()
    if info.device:
        detail = f"{DEVICE}: {os.strerror(info.device)}"
        return Check("hypervisor", False, detail, hypervisor_hints())
    lacking = [
        name for name in ("sync_regs", "readonly_mem", "immediate_exit") if not getattr(info, name)
    ]
    if lacking:
        hints = ("a newer kernel has it: hlwasm needs Linux 5.4 or later",)
        return Check("hypervisor", False, f"{DEVICE} lacks {', '.join(lacking)}", hints)
    return Check("hypervisor", True, f"{DEVICE} is usable, KVM API {info.api_version}")


def _cache() -> Check:
    from hlwasm.artifact import Cache
    from hlwasm.text import count_text, size_text

    cache = Cache()
    if not cache.prepare():
        hints = ("components are compiled at each start; set HLWASM_CACHE_DIR to change that",)
        return Check("cache", False, f"{cache.root} cannot be written", hints)
    entries = cache.entries()
    size = size_text(sum(entry.size for entry in entries))
    return Check("cache", True, f"{cache.root}: {count_text(len(entries), 'entry')}, {size}")


def _self_test(timings: dict[str, float]) -> Check:
    import hlwasm

    began = time.perf_counter()
    component = hlwasm.load(_SELF_TEST, cache=False)
    timings["compile"] = time.perf_counter() - began
    began = time.perf_counter()
    with component.instantiate() as sandbox:
        timings["boot"] = time.perf_counter() - began
        add = sandbox.exports.add
        result = add(2, 3)
        timings["to first result"] = time.perf_counter() - began
        if result != 5:
            return Check("self-test", False, f"2 + 3 was {result!r} in the micro-VM")
        calls = []
        for number in range(_CALLS):
            began = time.perf_counter()
            add(number, 1)
            calls.append(time.perf_counter() - began)
        timings["call, median"] = statistics.median(calls)
    return Check("self-test", True, "a component ran in a micro-VM")


_CHECKS: tuple[tuple[str, Callable[[], Check]], ...] = (
    ("python", _python),
    ("machine", _machine),
    ("cpu", _cpu),
    ("hlwasm", _native),
    ("compiler", _compiler),
    ("hypervisor", _hypervisor),
    ("cache", _cache),
)
