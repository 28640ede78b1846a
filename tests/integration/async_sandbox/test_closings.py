"""The ends of host resources: all in the event loop, each once, and awaited."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import hlwasm
from tests.integration.async_sandbox.guests import HOST_CALLS, none_more_than
from tests.integration.conftest import Load
from tests.integration.resources_host import Blob, Store
from tests.machines import machines

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]

Log = list[tuple[str, bool, str]]
variable = contextvars.ContextVar("variable", default="")


class Seeing(Blob):
    """A blob that sees where it is called."""

    log: Log

    def saw(self, what: str) -> None:
        try:
            in_loop = asyncio.get_running_loop() is not None
        except RuntimeError:
            in_loop = False
        in_main = threading.current_thread() is threading.main_thread()
        self.log.append((f"{what} {self.text}", in_loop and in_main, variable.get()))

    def __hlwasm_capture__(self) -> Callable[[], Any]:
        self.saw("capture")
        return partial(type(self), self.text)

    def close(self) -> None:
        self.saw("close")


class Awaited(Seeing):
    async def close(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.saw("close")


@pytest.mark.parametrize("kind", [Seeing, Awaited])
def test_they_run_in_the_event_loop(load: Load, kind: type[Seeing]) -> None:
    log: Log = []
    used = type("Used", (kind,), {"log": log})
    store = Store()
    store.Blob = used

    async def main() -> None:
        variable.set("the caller's")
        async with load("resources").instantiate_async({"store": store}) as sandbox:
            client = sandbox.exports.client
            empty = await sandbox.snapshot()
            await client.discard(used("dropped"))
            await client.keep(used("kept"))
            await sandbox.snapshot()
            await sandbox.restore(empty)
            await client.keep(used("last"))

    asyncio.run(main())
    whats = ["close dropped", "capture kept", "close kept", "close last"]
    assert log == [(what, True, "the caller's") for what in whats]


def test_two_restores_at_once(load: Load) -> None:
    log: Log = []
    used = type("Used", (Awaited,), {"log": log})
    store = Store()
    store.Blob = used

    async def main() -> None:
        async with load("resources").instantiate_async({"store": store}) as sandbox:
            empty = await sandbox.snapshot()
            for number in range(10):
                await sandbox.exports.client.keep(used(str(number)))
                restores = sandbox.restore(empty), sandbox.restore(empty)
                first, second = await asyncio.gather(*restores, return_exceptions=True)
                assert first is None
                assert isinstance(second, hlwasm.SandboxBusy)
            assert [what for what, _, _ in log] == [f"close {number}" for number in range(10)]

    asyncio.run(main())


def test_an_end_that_fails(load: Load) -> None:
    """What was to be restored is, and the failure is raised."""

    class Failing(Blob):
        async def close(self) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            raise ZeroDivisionError

    store = Store()
    store.Blob = Failing

    async def main() -> None:
        async with load("resources").instantiate_async({"store": store}) as sandbox:
            empty = await sandbox.snapshot()
            await sandbox.exports.client.keep(Failing("kept"))
            with pytest.raises(ZeroDivisionError):
                await sandbox.restore(empty)
            assert sandbox.status is hlwasm.Status.READY
            assert await sandbox.exports.client.release() is None

    asyncio.run(main())


def test_closing_that_is_thrown_away_frees_the_sandbox(load: Load) -> None:
    class Slow(Blob):
        async def close(self) -> None:  # type: ignore[override]
            await asyncio.sleep(3600)

    store = Store()
    store.Blob = Slow
    before = machines()

    async def main() -> None:
        sandbox = await load("resources").instantiate_async({"store": store})
        await sandbox.exports.client.keep(Slow("kept"))
        closing = sandbox.aclose()
        closing.send(None)
        closing.close()
        assert sandbox._native is not None and sandbox._native.pointer is None

    asyncio.run(main())
    assert none_more_than(before)


def test_a_host_function_restores_its_own_sandbox() -> None:
    refused: list[str] = []

    async def main() -> None:
        async def fetch(key: int) -> int:
            uses: dict[str, Callable[[], Any]] = {
                "add": lambda: sandbox.exports.add(1, 2),
                "restore": lambda: sandbox.restore(snapshot),
                "snapshot": sandbox.snapshot,
                "aclose": sandbox.aclose,
            }
            for name, use in uses.items():
                try:
                    await use()
                except hlwasm.ReentrantCall:
                    refused.append(name)
            return key

        component = hlwasm.load(HOST_CALLS, cache=False)
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            snapshot = await sandbox.snapshot()
            assert await sandbox.exports.next(1) == 2

    asyncio.run(main())
    assert refused == ["add", "restore", "snapshot", "aclose"]
