"""Pools and processes: forks, interpreter exit, the pool of VMs that all share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import hlwasm
from tests.integration.pool.guest import IMPORTS, Gate, until

pytestmark = pytest.mark.hypervisor


def test_a_fork_has_no_part_in_the_parent_s_pool(component: hlwasm.Component) -> None:
    gate = Gate()
    with hlwasm.Pool(component, size=2, imports=gate) as pool:
        pool.call("count")
        running = pool.submit("ask", 1)
        assert gate.entered.acquire(timeout=20)
        child = os.fork()
        if child == 0:
            # No pytest in the child, whatever happens, and no child that stays.
            signal.alarm(60)
            refused = 0
            try:
                for use in (
                    lambda: pool.call("count"),
                    lambda: pool.submit("count"),
                    lambda: pool.sandbox().__enter__(),
                    running.result,
                    running.exception,
                ):
                    try:
                        use()
                    except hlwasm.PoolClosed as error:
                        refused += "parent process" in str(error)
                pool.close()
                with hlwasm.Pool(component, imports=IMPORTS) as own:
                    fine = own.call("add", 1, 2) == 3 and own.submit("count").result(20) == 1
                os._exit(0 if fine and refused == 5 else refused + 1)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        gate.open.set()
        assert running.result(20) == 1
        assert pool.call("count") == 1


AT_EXIT = """
import os, sys, threading, time
import hlwasm
from tests.integration.pool.guest import TEXT
def host(value):
    time.sleep(100 if value else 0)
    return value
component = hlwasm.load(TEXT.encode())
pool = hlwasm.Pool(component, size=3, imports={"host": host}, limits=hlwasm.Limits(deadline=50))
idle = hlwasm.Pool(component, imports={"host": host}, min_size=2)
assert pool.call("count") == 1
"""

ENDS = {
    "busy guests": 'futures = [pool.submit("spin") for _ in range(20)]; time.sleep(0.2)',
    "just begun": 'futures = [pool.submit("spin") for _ in range(20)]',
    "a blocked host function": 'pool.submit("ask", 1); time.sleep(0.2)',
    "borrowed": "borrowed = pool.sandbox(); borrowed.__enter__()",
    # The borrower that waits is told so, while the process ends: nothing else may reach it.
    "a thread that waits": """
def hook(told, closed=hlwasm.PoolClosed, end=os._exit):
    if told.exc_type is not closed: end(3)
threading.excepthook = hook
borrowed = [pool.sandbox() for _ in range(3)]
for each in borrowed: each.__enter__()
threading.Thread(target=pool.call, args=("count",), daemon=True).start(); time.sleep(0.1)""",
    "an exception": 'pool.submit("spin"); time.sleep(0.1); sys.exit(0)',
    "a forked child": """
future = pool.submit("spin"); time.sleep(0.1)
child = os.fork()
if child: assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0""",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_process_ends(end: str) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT + ENDS[end]], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 30


def test_the_native_pool_is_shown_and_bounded(component: hlwasm.Component) -> None:
    before = hlwasm.vm_pool()
    try:
        assert hlwasm.vm_pool(limit=2).limit == 2
        assert hlwasm.vm_pool().limit == 2
        with hlwasm.Pool(component, size=6, min_size=6, imports=IMPORTS):
            pass
        until(lambda: hlwasm.vm_pool().waiting == 0)
        assert hlwasm.vm_pool().kept <= 2
        with hlwasm.Pool(component, size=2, min_size=2, imports=IMPORTS):
            assert hlwasm.vm_pool().made + hlwasm.vm_pool().reused > before.made + before.reused
        assert hlwasm.vm_pool(limit=0).kept == 0
        for wrong in (-1, 1.5, True):
            with pytest.raises(ValueError, match="limit"):
                hlwasm.vm_pool(wrong)  # type: ignore[arg-type]
    finally:
        hlwasm.vm_pool(before.limit)
