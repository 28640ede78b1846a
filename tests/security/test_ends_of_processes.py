"""Processes that end, or are interrupted, while sandboxes are at work."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scale import scaled

pytestmark = pytest.mark.hypervisor

ROOT = Path(__file__).parents[2]
PATIENCE = 30

PRELUDE = """
import sys, threading, time
import hlwasm
from tests.stateful import TEXT
IMPORTS = {"observe": lambda value: None}
component = hlwasm.load(TEXT.encode())
def spin(sandbox):
    try:
        sandbox.exports.spin()
    except hlwasm.HlwasmError:
        pass
"""

LIVE = {
    "a sandbox": """
sandbox = component.instantiate(IMPORTS)
sandbox.exports.count()
""",
    "sandboxes, snapshots and kept VMs": """
sandboxes = [component.instantiate(IMPORTS) for _ in range(5)]
snapshots = [sandbox.snapshot() for sandbox in sandboxes]
more = [snapshot.instantiate(IMPORTS) for snapshot in snapshots]
for sandbox in sandboxes[::2]:
    sandbox.close()
""",
    "a sandbox that refers to itself": """
class Host:
    def observe(self, value): pass
host = Host()
host.sandbox = component.instantiate(host)
host.sandbox.exports.count()
component.cycle = host
""",
    "armed deadlines": """
limits = hlwasm.Limits(deadline=1000, cpu_time=1000)
sandboxes = [component.instantiate(IMPORTS, limits=limits) for _ in range(3)]
for sandbox in sandboxes:
    sandbox.exports.count()
threading.Thread(target=spin, args=(sandboxes[0],), daemon=True).start()
time.sleep(0.1)
""",
    "guests that spin in daemon threads": """
sandboxes = [component.instantiate(IMPORTS) for _ in range(3)]
for sandbox in sandboxes:
    threading.Thread(target=spin, args=(sandbox,), daemon=True).start()
time.sleep(0.1)
""",
    "guests that call the host in daemon threads": """
def work():
    with component.instantiate(IMPORTS) as sandbox:
        snapshot = sandbox.snapshot()
        while True:
            sandbox.exports.count()
            sandbox.restore(snapshot)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
    "threads that make and drop sandboxes": """
def work():
    with component.instantiate(IMPORTS) as sandbox:
        snapshot = sandbox.snapshot()
    while True:
        with snapshot.instantiate(IMPORTS) as sandbox:
            sandbox.exports.count()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
    "asynchronous sandboxes": """
import asyncio
kept = []
async def main():
    sandbox = await component.instantiate_async(IMPORTS)
    kept.append(sandbox)
    await sandbox.exports.count()
    task = asyncio.create_task(sandbox.exports.spin())
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, hlwasm.HlwasmError):
        pass
    kept.append(await component.instantiate_async(IMPORTS))
asyncio.run(main())
""",
    "an event loop in a daemon thread": """
import asyncio
async def main():
    async with component.instantiate_async(IMPORTS) as sandbox:
        await sandbox.exports.spin()
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.2)
""",
}

ENDS = {"of itself": "", "by sys.exit": "sys.exit(7)", "by an exception": "raise SystemExit(9)"}
CODES = {"of itself": 0, "by sys.exit": 7, "by an exception": 9}


def start(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("live", LIVE)
def test_the_interpreter_ends_with_live_sandboxes(live: str) -> None:
    ends = ENDS if live == "a sandbox" else {"by sys.exit": ENDS["by sys.exit"]}
    for end, statement in ends.items():
        with start(f"{LIVE[live]}\nprint('end', flush=True)\n{statement}") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"end\n", process.communicate()[1].decode()
            began = time.monotonic()
            output = process.communicate(timeout=PATIENCE)
            assert time.monotonic() - began < 10
        assert output == (b"", b"")
        assert process.returncode == CODES[end]


INTERRUPTED = (
    PRELUDE
    + """
import os, signal
with component.instantiate(IMPORTS, limits=hlwasm.Limits(deadline=10)) as first:
    first.exports.store(0, 42)
    base = first.snapshot()

def whole(sandbox):
    \"\"\"It works, or says that it does not, and a restore brings it back.\"\"\"
    if sandbox.status is hlwasm.Status.READY:
        assert sandbox.exports.load(0) == 42, "wrong result"
    else:
        assert sandbox.status in (hlwasm.Status.POISONED, hlwasm.Status.CLOSED), sandbox.status
    if sandbox.status is hlwasm.Status.CLOSED:
        return
    sandbox.restore(base)
    assert sandbox.exports.load(0) == 42, "wrong result after a restore"
    assert sandbox.exports.count() == 1, "wrong count after a restore"
    sandbox.restore(base)

kinds = ["call", "restore", "snapshot", "fork", "instantiate", "spin", "close"]
interrupts = 0
sandbox = base.instantiate(IMPORTS)
for kind in kinds * 1000:
    other = None
    try:
        try:
            # The signal comes some time after this, and no other before the next one.
            print("waiting", flush=True)
            while True:
                if kind == "call":
                    assert sandbox.exports.load(0) == 42
                    sandbox.exports.count()
                elif kind == "restore":
                    sandbox.exports.store(4096, 1)
                    sandbox.restore(base)
                elif kind == "snapshot":
                    sandbox.snapshot()
                elif kind == "fork":
                    with sandbox.fork() as other:
                        assert other.exports.load(0) == 42
                elif kind == "instantiate":
                    with base.instantiate(IMPORTS) as other:
                        assert other.exports.load(0) == 42
                elif kind == "spin":
                    sandbox.exports.spin()
                else:
                    other = base.instantiate(IMPORTS)
                    other.close()
        except KeyboardInterrupt:
            interrupts += 1
    except BaseException as error:
        print(f"{kind}: {error!r}", flush=True)
        raise
    whole(sandbox)
    if other is not None:
        whole(other)
"""
)


def test_an_interrupt_at_any_moment() -> None:
    """Each raises KeyboardInterrupt, and leaves sandboxes that work or say that they do not."""
    chance = random.Random(4)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        for number in range(scaled(140, 2000)):
            line = process.stdout.readline()
            if line != "waiting\n":
                errors = process.communicate(timeout=PATIENCE)[1]
                pytest.fail(f"interrupt {number}: {line!r}, {process.returncode}\n{errors}")
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "waiting\n"
        descriptors = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        assert descriptors < 150, descriptors
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
