"""Resources whose ends are coroutines, of the host and of the guest."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox.guest_resources import AsyncGuestResource

pytestmark = pytest.mark.hypervisor

# A guest resource whose destructor calls the host, and a host resource that is opened and dropped.
RESOURCES = b"""(component
  (import "files" (instance $files
    (export "file" (type $file (sub resource)))
    (export "open" (func (result (own $file))))))
  (import "dropped" (func $dropped (param "value" u32)))
  (alias export $files "file" (type $file))
  (core func $open (canon lower (func $files "open")))
  (core func $close (canon resource.drop $file))
  (core func $tell (canon lower (func $dropped)))
  (core module $m
    (import "" "open" (func $open (result i32)))
    (import "" "close" (func $close (param i32)))
    (import "" "tell" (func $tell (param i32)))
    (func (export "touch") (call $close (call $open)))
    (func (export "keep") (drop (call $open)))
    (func (export "destroy") (param i32) (call $tell (local.get 0)))
    (func (export "value") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "open" (func $open)) (export "close" (func $close)) (export "tell" (func $tell))))))
  (type $counter (resource (rep i32) (dtor (func $i "destroy"))))
  (core func $new (canon resource.new $counter))
  (func $make (param "value" u32) (result (own $counter)) (canon lift (core func $new)))
  (func $value (param "self" (borrow $counter)) (result u32)
    (canon lift (core func $i "value")))
  (component $Counters
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "value" u32) (result (own $counter))))
    (import "value" (func $value (param "self" (borrow $counter)) (result u32)))
    (export $counter' "counter" (type $counter))
    (export "[constructor]counter" (func $make)
      (func (param "value" u32) (result (own $counter'))))
    (export "[method]counter.value" (func $value)
      (func (param "self" (borrow $counter')) (result u32))))
  (instance $counters (instantiate $Counters
    (with "counter" (type $counter)) (with "make" (func $make)) (with "value" (func $value))))
  (export "demo:test/counters" (instance $counters))
  (func (export "touch") (canon lift (core func $i "touch")))
  (func (export "keep") (canon lift (core func $i "keep"))))"""


class Files:
    """Host resources that are closed asynchronously, and what happened to resources."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.files = self

    def open(self) -> Files:
        self.log.append("open")
        return self

    async def close(self) -> None:
        await asyncio.sleep(0)
        assert asyncio.current_task() is not None
        self.log.append("close")

    async def dropped(self, value: int) -> None:
        await asyncio.sleep(0)
        self.log.append(value)


def test_resources_of_the_host_are_closed_in_the_event_loop() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            await sandbox.exports.touch()
            assert host.log == ["open", "close"]
            await sandbox.exports.keep()
            assert host.log == ["open", "close", "open"]
        assert host.log == ["open", "close", "open", "close"]

    asyncio.run(main())


def test_resources_of_the_guest() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            new = sandbox.exports.counters.Counter
            counter = await new(7)
            assert AsyncGuestResource in type(counter).__mro__
            assert await counter.value() == 7
            await counter.drop()
            await counter.drop()
            assert host.log == [7]
            async with await new(value=8) as counter:
                assert await counter.value() == 8
            assert host.log == [7, 8]
            # Garbage goes before the next call.
            counter = await new(9)
            del counter
            gc.collect()
            assert host.log == [7, 8]
            assert await (await new(10)).value() == 10
            assert host.log[:3] == [7, 8, 9]
            late = await new(11)
        await late.drop()  # it went with the sandbox
        assert 11 not in host.log

    asyncio.run(main())


def test_saving_and_restoring_wait_for_host_coroutines() -> None:
    async def main() -> None:
        host = Files()
        async with hlwasm.load(RESOURCES, cache=False).instantiate_async(host) as sandbox:
            counter = await sandbox.exports.counters.Counter(5)
            del counter
            gc.collect()
            # Drops the garbage, whose destructor calls a host coroutine.
            snapshot = await sandbox.snapshot()
            assert host.log == [5]
            await sandbox.exports.keep()
            # Closes what was opened since.
            await sandbox.restore(snapshot)
            assert host.log == [5, "open", "close"]

    asyncio.run(main())
