"""Guests that take all that they can get: memory, and time while others work."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

import pytest

import hlwasm
from tests.security.test_leaks import Usage
from tests.stateful import IMPORTS, TEXT

pytestmark = pytest.mark.hypervisor

MIB = 1 << 20
OTHERS = 100


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


def test_memory_that_is_taken_is_given_back(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(memory=64 * MIB)
    with component.instantiate(IMPORTS, limits=limits) as sandbox:
        snapshot = sandbox.snapshot()
        exports = sandbox.exports

        def exhaust() -> None:
            while exports.grow(16) != -1:
                pass
            while exports.grow(1) != -1:
                pass
            assert exports.size() == 64 * MIB >> 16
            for page in range(0, 64 * MIB, 4096):
                exports.store(page, page + 1)
            assert exports.load(64 * MIB - 4096) == 64 * MIB - 4095

        exhaust()
        taken = Usage.now()
        sandbox.restore(snapshot)
        given_back = taken.memory_kib - Usage.now().memory_kib
        assert given_back > 50 << 10, f"{given_back} KiB"
        assert exports.size() == 1
        assert exports.count() == 1


@pytest.mark.toolchain("node")
def test_a_python_that_takes_all_memory(cpython_wasm: Path) -> None:
    code = """
kept = []
try:
    while True:
        kept.append(bytearray(b"x") * (1 << 20))
except MemoryError:
    size = len(kept)
    del kept
    print("exhausted", 20 < size < 128)
while True:
    kept = [kept] if "kept" in dir() else []
    kept.append("y" * (1 << 22))
    kept = kept + [list(range(1 << 18))]
"""
    component = hlwasm.load(cpython_wasm)
    output, errors = io.BytesIO(), io.BytesIO()
    wasi = hlwasm.Wasi(args=("python", "-c", code), stdout=output, stderr=errors)
    limits = hlwasm.Limits(memory=128 * MIB, deadline=60)
    with component.instantiate(wasi=wasi, limits=limits) as sandbox:
        snapshot = sandbox.snapshot()
        assert sandbox.run() == 1
        assert output.getvalue() == b"exhausted True\n"
        assert b"MemoryError" in errors.getvalue()
        sandbox.restore(snapshot)
        assert sandbox.status is hlwasm.Status.READY


def test_threads_work_while_a_guest_spins(component: hlwasm.Component) -> None:
    with component.instantiate(IMPORTS) as spinning:
        snapshot = spinning.snapshot()
        ends: list[BaseException] = []

        def spin() -> None:
            try:
                spinning.exports.spin()
            except hlwasm.Cancelled as error:
                ends.append(error)

        results: list[tuple[int, int]] = []

        def work(number: int) -> None:
            with snapshot.instantiate(IMPORTS) as own:
                for value in range(20):
                    own.exports.store(8, number * 1000 + value)
                    assert own.exports.load(8) == number * 1000 + value
                results.append((number, own.exports.count()))

        spinner = threading.Thread(target=spin)
        spinner.start()
        workers = [threading.Thread(target=work, args=(number,)) for number in range(OTHERS)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join(60)
        assert spinning.status is hlwasm.Status.RUNNING
        spinning.cancel()
        spinner.join(10)
        assert len(ends) == 1
        assert sorted(results) == [(number, 1) for number in range(OTHERS)]
        spinning.restore(snapshot)
        assert spinning.exports.count() == 1


def test_tasks_work_while_guests_spin(component: hlwasm.Component) -> None:
    """More of those that spin than there are threads to run them."""

    async def main() -> None:
        async with component.instantiate_async(IMPORTS) as first:
            snapshot = await first.snapshot()

        async def spin() -> None:
            async with snapshot.instantiate_async(IMPORTS) as own:
                await own.exports.spin()

        async def work(number: int) -> int:
            async with snapshot.instantiate_async(IMPORTS) as own:
                for value in range(3):
                    await own.exports.store(8, number + value)
                    assert await own.exports.load(8) == number + value
                result: int = await own.exports.count()
                return number + result

        spinners = [asyncio.create_task(spin()) for _ in range(4)]
        await asyncio.sleep(0.05)
        results = await asyncio.wait_for(asyncio.gather(*map(work, range(OTHERS))), 120)
        assert results == [number + 1 for number in range(OTHERS)]
        for task in spinners:
            assert not task.done()
            task.cancel()
        ends = await asyncio.gather(*spinners, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    asyncio.run(main())
