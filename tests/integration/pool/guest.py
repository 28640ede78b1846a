"""The guest of the tests of pools, and what the tests have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import hlwasm

# State that a request could leave behind, and ways not to come to an end.
TEXT = """
(component
  (import "host" (func $host (param "value" u32) (result u32)))
  (core module $memory (memory (export "memory") 1 16)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $host (canon lower (func $host)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "host" (func $host (param i32) (result i32)))
    (global $counter (mut i32) (i32.const 0))
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
      (global.get $counter))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "exchange") (param i32 i32) (result i32)
      (i32.load (local.get 0))
      (i32.store (local.get 0) (local.get 1))
      (global.set $counter (i32.add (global.get $counter) (local.get 1))))
    (func (export "ask") (param i32) (result i32) (call $host (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "trap") unreachable)
    (func (export "spin") (loop (br 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "host" (func $host))))))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "store") (param "at" u32) (param "value" u32)
    (canon lift (core func $i "store")))
  (func (export "load") (param "at" u32) (result u32) (canon lift (core func $i "load")))
  (func (export "exchange") (param "at" u32) (param "value" u32) (result u32)
    (canon lift (core func $i "exchange")))
  (func (export "ask") (param "value" u32) (result u32) (canon lift (core func $i "ask")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "spin") (canon lift (core func $i "spin"))))
"""

IMPORTS = {"host": lambda value: value + 1}

Make = Callable[..., hlwasm.Pool]


class Gate:
    """A host function that waits until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def host(self, value: int) -> int:
        self.entered.release()
        assert self.open.wait(60)
        return value


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
