"""Calls and borrowed sandboxes: what one request leaves behind reaches no other."""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from tests.integration.pool.guest import IMPORTS, Make, until

pytestmark = pytest.mark.hypervisor


def test_every_use_begins_in_the_same_state(make: Make) -> None:
    pool = make(size=2)
    for _ in range(20):
        assert pool.call("count") == 1
        assert pool.exports.count() == 1
        assert pool.submit("count").result() == 1
        with pool.sandbox() as sandbox:
            assert sandbox.exports.count() == 1
            assert sandbox.exports.count() == 2
            sandbox.exports.store(64, 9)
        assert pool.call("load", at=64) == 0
    statistics = pool.statistics()
    assert statistics.borrowed == statistics.restores == 100
    assert (statistics.errors, statistics.replaced, statistics.busy) == (0, 0, 0)
    assert statistics.created == statistics.idle <= 2


def test_names(make: Make, load: Callable[[str], hlwasm.Component]) -> None:
    pool = make(size=1)
    for name in ("nothing", "add.more", "nowhere.add", "", "."):
        with pytest.raises((AttributeError, KeyError)):
            pool.call(name)
        with pytest.raises((AttributeError, KeyError)):
            pool.submit(name)
    assert pool.statistics().created == 0
    calculator = load("calculator")
    names = [f"{f.interface}.{f.name}" for f in calculator.description.exports if f.interface]
    with hlwasm.Pool(calculator, size=1, imports={"log": lambda *_: None}) as other:
        for name in (names[0], "ops.add"):
            assert other.call(name, 2, 3) == 5
        assert other.exports.ops.add(2, 3) == 5
        assert "add" in other.exports.ops.add.__doc__
        assert str(inspect.signature(other.exports.ops.add)) == "(a: int, b: int) -> int"


def test_a_failure_is_that_request_s_alone(make: Make) -> None:
    raising: list[BaseException] = []

    def host(value: int) -> int:
        if raising:
            raise raising.pop()
        return value

    pool = make(size=1, imports={"host": host}, limits=hlwasm.Limits(deadline=0.05))
    pool.call("count")
    for _ in range(5):
        with pytest.raises(hlwasm.Trap):
            pool.call("trap")
        with pytest.raises(hlwasm.DeadlineExceeded):
            pool.call("spin")
        with pytest.raises(hlwasm.WitValueError):
            pool.call("load", -1)
        raising.append(ZeroDivisionError("by the host"))
        with pytest.raises(ZeroDivisionError):
            pool.call("ask", 1)
        assert pool.call("ask", 7) == 7
        with pytest.raises(hlwasm.Trap):
            pool.submit("trap").result()
        with pytest.raises(LookupError), pool.sandbox() as sandbox:
            sandbox.exports.count()
            raise LookupError
        assert pool.call("count") == 1
    statistics = pool.statistics()
    assert (statistics.errors, statistics.created, statistics.replaced) == (30, 1, 0)


def test_what_cannot_be_restored_is_replaced(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        sandbox.close()
    assert pool.call("count") == 1
    statistics = pool.statistics()
    assert (statistics.replaced, statistics.created) == (1, 2)


def test_a_call_that_is_left_behind_is_stopped(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        ended: list[BaseException] = []

        def spin() -> None:
            try:
                sandbox.exports.spin()
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=spin)
        thread.start()
        until(lambda: sandbox.status is hlwasm.Status.RUNNING)
    thread.join(20)
    assert isinstance(ended[0], hlwasm.Cancelled)
    assert pool.call("count") == 1
    assert pool.statistics().replaced == 1


def test_state_may_be_kept(make: Make) -> None:
    pool = make(size=1, stateless=False)
    assert [pool.call("count") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(hlwasm.Trap):
        pool.call("trap")
    assert pool.call("count") == 1
    assert pool.statistics().restores == 1


def test_a_pool_of_a_snapshot(component: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=10)
    with component.instantiate(IMPORTS, limits=limits) as sandbox:
        sandbox.exports.count()
        sandbox.exports.store(0, 42)
        snapshot = sandbox.snapshot()
    with hlwasm.Pool(snapshot, size=2, imports=IMPORTS, min_size=2, limits=limits) as pool:
        assert pool.statistics().idle == pool.statistics().created == 2
        assert pool.call("count") == 2
        assert pool.call("exchange", 0, 1) == 42
        assert pool.call("load", 0) == 42
    with pytest.raises(ValueError, match="limits"):
        hlwasm.Pool(snapshot, limits=hlwasm.Limits(deadline=11))


def test_imports_may_be_made_for_each_sandbox(make: Make) -> None:
    made: list[int] = []

    def factory() -> dict[str, Any]:
        number = len(made)
        made.append(number)
        return {"host": lambda value: 100 * number + value}

    pool = make(size=2, min_size=2, imports_factory=factory)
    with pool.sandbox() as first, pool.sandbox() as second:
        assert {first.exports.ask(1), second.exports.ask(1)} == {1, 101}
    assert made == [0, 1]


def test_misuse(component: hlwasm.Component, make: Make) -> None:
    with pytest.raises(TypeError, match="Component or a Snapshot"):
        hlwasm.Pool(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not both"):
        hlwasm.Pool(component, imports=IMPORTS, imports_factory=dict)
    for name, value in (("size", 0), ("size", True), ("min_size", -1), ("max_pending", 0)):
        with pytest.raises(ValueError, match=name):
            hlwasm.Pool(component, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout"):
        hlwasm.Pool(component, timeout=-1)
    with pytest.raises(hlwasm.LinkError, match="host"):
        hlwasm.Pool(component, min_size=1)
    with hlwasm.Pool(component) as unlinked:
        for _ in range(2):
            with pytest.raises(hlwasm.LinkError, match="host"):
                unlinked.call("count")
            with pytest.raises(hlwasm.LinkError, match="host"):
                unlinked.submit("count").result()
    pool = make(size=1)
    borrowed = pool.sandbox()
    with borrowed:
        with pytest.raises(hlwasm.PoolError, match="again"), borrowed:
            pass
        with pytest.raises(hlwasm.PoolTimeout), pool.sandbox(timeout=0.01):
            pass


def test_host_functions_may_use_the_pool_that_calls_them(make: Make) -> None:
    pool: hlwasm.Pool = make(size=2, imports={"host": lambda value: pool.call("add", value, 1)})
    assert pool.call("ask", 4) == 5


def test_no_request_sees_another(make: Make) -> None:
    """Canaries: each request looks for what others left, and leaves something itself."""
    pool = make(size=3, limits=hlwasm.Limits(deadline=5), timeout=60)
    failures: list[object] = []
    done: list[int] = []

    def request(sandbox: hlwasm.Sandbox, chance: random.Random) -> None:
        exports = sandbox.exports
        at = 4 * chance.randrange(16000)
        seen = [exports.exchange(at, chance.randrange(1, 1 << 30)), exports.count() >> 31]
        if chance.random() < 0.1:
            seen.append(exports.grow(2) - 1)
            seen.append(exports.exchange(2 * 65536 + at, 5))
        if chance.random() < 0.1:
            exports.trap()
        if seen[0] or any(seen[2:]):
            failures.append(seen)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(250):
            way = chance.randrange(3)
            at, value = 4 * chance.randrange(16000), chance.randrange(1, 1 << 30)
            try:
                if way == 0 and pool.call("exchange", at, value):
                    failures.append("call")
                elif way == 1 and pool.submit("exchange", at, value).result(60):
                    failures.append("submit")
                elif way == 2:
                    with pool.sandbox() as sandbox:
                        request(sandbox, chance)
                if pool.call("count") != 1:
                    failures.append("count")
            except hlwasm.Trap:
                continue
            except BaseException as error:
                failures.append(error)
        done.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(done) == 5
    statistics = pool.statistics()
    assert (statistics.busy, statistics.waiting, statistics.replaced) == (0, 0, 0)
    assert statistics.created <= 3


def test_a_pool_is_warmed_up_once(component: hlwasm.Component) -> None:
    warmed: list[int] = []

    def warm_up(sandbox: hlwasm.Sandbox) -> None:
        warmed.append(sandbox.exports.count())

    with hlwasm.Pool(component, size=2, imports=IMPORTS, warm_up=warm_up) as pool:
        assert [pool.call("count") for _ in range(3)] == [2, 2, 2]
        with pool.sandbox() as first, pool.sandbox() as second:
            assert first.exports.count() == second.exports.count() == 2
            snapshot = first.snapshot()
    assert warmed == [1]
    with pytest.raises(TypeError, match="warm_up"):
        hlwasm.Pool(snapshot, imports=IMPORTS, warm_up=warm_up)

    async def main() -> None:
        async def warm(sandbox: hlwasm.AsyncSandbox) -> None:
            await sandbox.exports.count()

        async with hlwasm.AsyncPool(component, size=2, imports=IMPORTS, warm_up=warm) as pool:
            assert [await pool.call("count") for _ in range(3)] == [2, 2, 2]

    asyncio.run(main())


def test_the_first_use_uses_the_pool_itself(make: Make) -> None:
    warm = [True]

    def host(value: int) -> int:
        return int(pool.call("add", value, 1))

    def warm_up(sandbox: hlwasm.Sandbox) -> None:
        if warm:
            sandbox.exports.ask(1)

    pool = make(size=2, imports={"host": host}, warm_up=warm_up)
    with pytest.raises(hlwasm.PoolError, match="first sandbox is being made by this call"):
        pool.submit("count").result(20)
    warm.clear()
    assert pool.call("ask", 4) == 5
