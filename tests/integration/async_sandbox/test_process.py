"""The process around asynchronous sandboxes: its end, Ctrl-C, forks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.async_sandbox.guests import HOST_CALLS

pytestmark = pytest.mark.hypervisor

PREAMBLE = f"""
import asyncio, hlwasm, os, threading, time
component = hlwasm.load({HOST_CALLS!r}, cache=False)
def start():
    return component.instantiate_async({{"fetch": lambda key: key}})
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_process_ends_while_guests_run() -> None:
    done = python("""
async def main():
    for number in range(3):
        sandbox = await start()
        run = lambda spin: asyncio.run(spin())
        threading.Thread(target=run, args=(sandbox.exports.spin,), daemon=True).start()
    await asyncio.sleep(0.1)
asyncio.run(main())
print("done")
""")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_interrupting_the_program_ends_its_guests() -> None:
    done = python("""
import signal
async def main():
    async with start() as sandbox:
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)
        try:
            await sandbox.exports.spin()
        finally:
            print(sandbox.status)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "interrupted"
    assert "Traceback" not in done.stderr


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    done = python("""
async def use():
    async with start() as sandbox:
        return await sandbox.exports.add(2, 3)
assert asyncio.run(use()) == 5
child = os.fork()
if child == 0:
    os._exit(asyncio.run(use()))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
assert asyncio.run(use()) == 5
""")
    assert done.returncode == 0, done.stderr


def test_a_sandbox_of_the_parent_is_refused_in_a_forked_child() -> None:
    done = python("""
import signal
loop = asyncio.new_event_loop()
sandbox = loop.run_until_complete(start().__aenter__())
snapshot = loop.run_until_complete(sandbox.snapshot())
async def use():
    for call in (lambda: sandbox.exports.add(2, 3), lambda: sandbox.restore(snapshot)):
        try:
            await call()
        except hlwasm.NativeError as error:
            assert "process that this one was forked from" in str(error)
        else:
            return 1
    await sandbox.aclose()
    return 7
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(asyncio.run(use()))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert loop.run_until_complete(sandbox.exports.add(2, 3)) == 5
loop.run_until_complete(sandbox.aclose())
loop.close()
""")
    assert done.returncode == 0, done.stderr
