"""What tests of recordings have in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hlwasm
from hlwasm.testing import Replayed, record_async, replay, replay_async

# Asks the host for numbers.
_ASKING = """(component
  (import "ask" (func $ask (param "number" f64) (result f64)))
  (core func $lowered (canon lower (func $ask)))
  (core module $m
    (import "" "ask" (func $ask (param f64) (result f64)))
    (func (export "both") (param f64) (result f64)
      (f64.add (call $ask (local.get 0)) (call $ask {second})))
    (func (export "trap") (drop (call $ask (f64.const 0))) unreachable)
    (func (export "twice") (param f64) (result f64) (call $ask (call $ask (local.get 0)))))
  (core instance $i (instantiate $m (with "" (instance (export "ask" (func $lowered))))))
  (func (export "both") (param "number" f64) (result f64) (canon lift (core func $i "both")))
  (func (export "twice") (param "number" f64) (result f64) (canon lift (core func $i "twice")))
  (func (export "trap") (canon lift (core func $i "trap"))))"""


def asking(second: str = "(f64.const 2)") -> hlwasm.Component:
    return hlwasm.load(_ASKING.format(second=second).encode(), cache=False)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, edited: list[str]) -> None:
    """Writes a recording of these lines, and the last one."""
    path.write_text("".join(f"{line}\n" for line in [*edited, f'{{"end": {len(edited)}}}']))


def replay_both(path: Path, component: hlwasm.Component, **options: Any) -> Replayed:
    """Replays in a sandbox of either kind, which must do the same."""
    done = replay(path, component, **options)
    assert asyncio.run(replay_async(path, component, **options)) == done
    return done


def record_with(
    path: Path, component: hlwasm.Component, imports: Any, use: Callable[..., Any], **options: Any
) -> None:
    """Records what a coroutine function does with an asynchronous sandbox."""

    async def main() -> None:
        async with record_async(path, component, imports, **options) as sandbox:
            await use(sandbox)

    asyncio.run(main())
