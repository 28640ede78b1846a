"""Guests of the tests of asynchronous sandboxes, and what the tests have in common."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable
from typing import TypeVar

import hlwasm
from hlwasm.sandbox import workers
from tests.machines import machines

T = TypeVar("T")

HOST_CALLS = b"""(component
  (import "fetch" (func $fetch (param "key" u32) (result u32)))
  (core func $lowered (canon lower (func $fetch)))
  (core module $m
    (import "" "fetch" (func $fetch (param i32) (result i32)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "next") (param i32) (result i32)
      (i32.add (call $fetch (local.get 0)) (i32.const 1)))
    (func (export "spin") (loop $again (br $again)))
    (func (export "trap") unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "fetch" (func $lowered))))))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add")))
  (func (export "next") (param "key" u32) (result u32) (canon lift (core func $i "next")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "trap") (canon lift (core func $i "trap"))))"""

# Sleeps for so many nanoseconds.
SLEEPER = b"""(component
  (import "wasi:io/poll@0.2.6" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable' (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "sleep") (param i64) (local $pollable i32)
      (local.set $pollable (call $subscribe (local.get 0)))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))))
  (core instance $i (instantiate $m (with "" (instance
    (export "subscribe" (func $subscribe))
    (export "block" (func $block))
    (export "drop" (func $drop))))))
  (func (export "sleep") (param "nanoseconds" u64) (canon lift (core func $i "sleep"))))"""

SMALL = hlwasm.Limits(memory=1 << 20)
# Threads that may come in a test: the pool's, which are two, or more while the machine is too
# busy to tell one that is blocked; and its referee.
THREADS = workers.THREADS_MAX + 1
# Seconds until a guest that is called has surely been entered.
ENTERED = 0.3


def forty_two(key: int) -> int:
    return 42


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """A deadline, as ``asyncio.timeout`` sets it where there is one."""
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            return await awaitable
    return await asyncio.wait_for(awaitable, seconds)


def none_more_than(before: int) -> bool:
    """Whether there are so many micro-VMs again, as soon as the last ones have been destroyed."""
    end = time.monotonic() + 10
    while machines() > before and time.monotonic() < end:
        gc.collect()
    return machines() <= before
