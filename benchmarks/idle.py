"""What a thousand idle sandboxes of a Python component cost in memory, each.

Measured in a process of its own, which starts small and ends with all of them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.peers import PythonHost, open_python

SANDBOXES = 1000
# A VM, its vCPU, and one to spare; the rest of the process.
DESCRIPTORS = 4 * SANDBOXES + 200

# Kernel memory that /proc/meminfo has a line for; arrays of memslots are in VmallocUsed.
_COUNTED = ("Slab", "KernelStack", "PageTables", "SecPageTables", "VmallocUsed", "Percpu")


def _kib(path: str) -> dict[str, int]:
    """The lines of a file like /proc/meminfo, in KiB."""
    lines = (line.split() for line in Path(path).read_text().splitlines() if " kB" in line)
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _memory() -> dict[str, int]:
    """KiB of this process, of what the machine has left, and of the kernel's counted parts."""
    machine = _kib("/proc/meminfo")
    return {
        "process": _kib("/proc/self/smaps_rollup")["Pss"],
        "used": machine["MemTotal"] - machine["MemAvailable"],
        "counted": sum(machine.get(name, 0) for name in _COUNTED),
    }


def _child() -> None:
    """Prints, as JSON, memory before, with idle sandboxes, and after a call of each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open_python() as sandbox:
        for _ in range(2):
            sandbox.exports.summary()
        snapshot = sandbox.snapshot()
    # What is made once: generated code, and the part of the snapshot that calls read.
    with snapshot.instantiate(imports=PythonHost) as first:
        first.exports.summary()
    steps = [_memory()]
    sandboxes = []
    try:
        for _ in range(SANDBOXES):
            sandboxes.append(snapshot.instantiate(imports=PythonHost))
        steps.append(_memory())
        for sandbox in sandboxes:
            sandbox.exports.summary()
        steps.append(_memory())
    finally:
        for sandbox in sandboxes:
            sandbox.close()
    print(json.dumps(steps))


def measure() -> list[Row]:
    """Memory of the process and of the kernel for each of a thousand sandboxes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise RuntimeError(f"{DESCRIPTORS} open files are needed, and the limit is {hard}")
    command = [sys.executable, "-m", "benchmarks.idle"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    steps: list[dict[str, int]] = json.loads(done.stdout)
    before, fresh, called = steps

    def each(after: dict[str, int], what: str) -> float:
        return (after[what] - before[what]) / SANDBOXES

    return [
        Row("idle.python_kib", each(called, "process"), "KiB", goal=512, goal_of="value"),
        Row("idle.python_kib.before_call", each(fresh, "process"), "KiB"),
        Row("idle.kernel_kib", each(called, "used") - each(called, "process"), "KiB"),
        Row("idle.kernel_kib.counted", each(called, "counted"), "KiB"),
    ]


if __name__ == "__main__":
    _child()
