"""The main job, on a sample: load a component, call it with Python values, serve its import.

Run by ``make demo``.
"""

from __future__ import annotations

import time
from pathlib import Path

import hlwasm

CALCULATOR = Path(__file__).parent.parent / "components" / "build" / "calculator.wasm"


def main() -> None:
    component = hlwasm.load(CALCULATOR)
    print(f"loaded {component.name}; its world:\n\n{component.wit}")

    steps: list[str] = []
    started = time.perf_counter()
    # The world imports one function, log; the component has no other way out.
    with component.instantiate(imports={"log": steps.append}) as sandbox:
        booted = time.perf_counter()
        ops = sandbox.exports.ops
        print(f"a micro-VM of its own, ready in {(booted - started) * 1e3:.1f} ms")
        print(f"ops.add(2, 3)            -> {ops.add(2, 3)}")
        print(f"ops.total([5, 7, 30])    -> {ops.total([5, 7, 30])}, which logged {steps}")
        try:
            ops.divide(1, 0)
        except hlwasm.Err as error:
            print(f"ops.divide(1, 0)         -> raised {error.value!r}")
        try:
            ops.add(2, 2**31)
        except hlwasm.WitValueError as error:
            print(f"ops.add(2, 2**31)        -> {error}")

        count = 10_000
        started = time.perf_counter()
        for _ in range(count):
            ops.add(2, 3)
        each = (time.perf_counter() - started) / count
        print(f"{count} calls, each with one VM exit: {each * 1e6:.1f} µs a call")


if __name__ == "__main__":
    main()
