"""Facts about the machine that the numbers were taken on."""

from __future__ import annotations

import os
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path

import hlwasm


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _kvm_module() -> str:
    names = ("kvm_intel", "kvm_amd", "kvm_pvm")
    loaded = [name for name in names if (Path("/sys/module") / name).exists()]
    return ", ".join(loaded) or "unknown"


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _cpu_flag(name: str) -> bool:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return name in line.split()
    return False


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def noise() -> float:
    """How much the same short work differs in time: 95th percentile ÷ lower quartile.

    1.0 on a machine that does nothing else. Work of about a millisecond, for half a second.
    """
    times = []
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        started = time.perf_counter_ns()
        sum(range(30_000))
        times.append(time.perf_counter_ns() - started)
    times.sort()
    return round(times[len(times) * 95 // 100] / times[len(times) // 4], 2)


def machine_facts() -> dict[str, object]:
    """CPU, kernel, hypervisor module and versions."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads_of_core_0": _text("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list"),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        # Then exits pass through another hypervisor.
        "is_virtual": _cpu_flag("hypervisor"),
        "memory_mib": _memory_mib(),
        "huge_pages": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "kernel": platform.release(),
        "kvm": _kvm_module(),
        "python": platform.python_version(),
        "hlwasm": hlwasm.__version__,
        "wasmtime_py": version("wasmtime"),
    }
