"""Facts about the machine that the numbers were taken on."""

from __future__ import annotations

import os
import platform
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


def machine_facts() -> dict[str, object]:
    """CPU, kernel, hypervisor module and versions."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "kvm": _kvm_module(),
        "python": platform.python_version(),
        "hlwasm": hlwasm.__version__,
        "wasmtime_py": version("wasmtime"),
    }
