"""Results as views of a sandbox's memory, and what happens to those who keep them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import hlwasm
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host

pytestmark = pytest.mark.hypervisor

NUMBERS = np.arange(1000, dtype="f8")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sandbox(load: Load, host: Host) -> Iterator[hlwasm.Sandbox]:
    with load("kitchen_sink").instantiate(host) as sandbox:
        yield sandbox


@pytest.fixture
def echo(sandbox: hlwasm.Sandbox) -> Any:
    return sandbox.exports.echo


def usable(view: memoryview) -> bool:
    try:
        len(view)
    except ValueError as error:
        assert "released memoryview" in str(error)
        return False
    return True


def test_numbers_bytes_and_strings(echo: Any) -> None:
    with hlwasm.view(echo.echo_list_f64, NUMBERS) as numbers:
        assert (numbers.format, numbers.readonly, numbers.tolist()) == (
            "d",
            True,
            list(range(1000)),
        )
    with hlwasm.view(echo.echo_list_u8, b"abc") as data:
        assert (data.format, data.readonly, bytes(data)) == ("B", True, b"abc")
    with hlwasm.view(echo.echo_string, "größer") as text:
        assert str(text, "utf-8") == "größer"
    with hlwasm.view(echo.echo_list_s16, []) as nothing:
        assert nothing.tolist() == []


def test_within_other_values(echo: Any, sandbox: hlwasm.Sandbox) -> None:
    values = sandbox.exports[f"{echo._owner}"]
    mixed = values.Mixed
    with hlwasm.view(echo.echo_mixed, mixed.Text("abc")) as value:
        assert type(value) is mixed.Text
        assert bytes(value.value) == b"abc"
    with hlwasm.view(echo.echo_list_list_u8, [b"a", b"bc"]) as parts:
        assert [bytes(part) for part in parts] == [b"a", b"bc"]
    assert not usable(parts[0])
    with hlwasm.view(echo.echo_option_point, None) as nothing:
        assert nothing is None


def test_a_view_is_the_memory_itself(echo: Any, sandbox: hlwasm.Sandbox) -> None:
    memory = np.frombuffer(sandbox._loop.export_memory, "u1")
    with hlwasm.view(echo.echo_list_u8, bytes(100)) as data:
        array = np.frombuffer(data, "u1")
        assert np.shares_memory(memory, array)
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        del array
    del memory


def test_views_end_with_the_block(echo: Any) -> None:
    with hlwasm.view(echo.echo_list_f64, NUMBERS) as numbers:
        pass
    assert not usable(numbers)
    assert echo.echo_u8(3) == 3


def test_the_next_call_ends_views(echo: Any) -> None:
    with hlwasm.view(echo.echo_list_f64, NUMBERS) as numbers:
        assert echo.echo_u8(3) == 3
        assert not usable(numbers)
        # And again, from within: the inner one's end is not the outer one's.
        with hlwasm.view(echo.echo_list_u8, b"abc") as data:
            assert bytes(data) == b"abc"


def test_entered_twice_it_is_the_second_call_that_counts(echo: Any) -> None:
    view = hlwasm.view(echo.echo_list_u8, b"abc")
    with view as first:
        with view as second:
            assert not usable(first)
            assert bytes(second) == b"abc"
        assert not usable(second)
    with view as again:
        assert bytes(again) == b"abc"


@pytest.mark.parametrize("use", ["restore", "snapshot", "fork", "close"])
def test_other_uses_end_views(echo: Any, sandbox: hlwasm.Sandbox, host: Host, use: str) -> None:
    snapshot = sandbox.snapshot()
    with hlwasm.view(echo.echo_list_f64, NUMBERS) as numbers:
        if use == "restore":
            sandbox.restore(snapshot)
        elif use == "fork":
            sandbox.fork().close()
        else:
            getattr(sandbox, use)()
        assert not usable(numbers)


def test_looking_at_the_sandbox_does_not(echo: Any, sandbox: hlwasm.Sandbox) -> None:
    with hlwasm.view(echo.echo_list_u8, b"abc") as data:
        sandbox.usage()
        sandbox.counters()
        assert sandbox.status is hlwasm.Status.READY
        assert bytes(data) == b"abc"


@pytest.mark.parametrize(
    "keep",
    [
        lambda view: np.frombuffer(view, "u1"),
        lambda view: np.asarray(view)[::2],
        lambda view: view[3:5],
        lambda view: view.cast("b"),
        lambda view: memoryview(view),
        lambda view: iter(np.asarray(view)),
    ],
)
def test_what_is_made_of_a_view_stops_all_uses(
    echo: Any, sandbox: hlwasm.Sandbox, keep: Any
) -> None:
    snapshot = sandbox.snapshot()
    with pytest.raises(hlwasm.ViewInUse, match="delete it before"):  # noqa: SIM117
        with hlwasm.view(echo.echo_list_u8, bytes(range(100))) as data:
            kept = keep(data)
    assert not usable(data)
    uses = (
        lambda: echo.echo_u8(3),
        lambda: sandbox.restore(snapshot),
        sandbox.snapshot,
        sandbox.fork,
        lambda: hlwasm.view(echo.echo_u8, 3).__enter__(),
    )
    calls = sandbox.counters().exits
    for use in uses:
        with pytest.raises(hlwasm.ViewInUse):
            use()
    assert sandbox.counters().exits == calls
    assert sandbox.status is hlwasm.Status.READY
    assert next(iter(kept)) in (0, 3)
    del kept
    assert echo.echo_u8(3) == 3


def test_garbage_in_a_cycle_uses_nothing(echo: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        with hlwasm.view(echo.echo_list_u8, b"abc") as data:
            cycle: list[Any] = [np.asarray(data)]
            cycle.append(cycle)
            del cycle
        assert echo.echo_u8(3) == 3
    finally:
        gc.enable()


def test_an_exception_is_not_hidden(echo: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:  # noqa: SIM117
        with hlwasm.view(echo.echo_list_u8, b"abc") as data:
            kept = np.asarray(data)
            raise ZeroDivisionError
    with pytest.raises(hlwasm.ViewInUse):
        echo.echo_u8(3)
    del kept, caught
    assert echo.echo_u8(3) == 3


def test_a_closed_sandbox_keeps_its_memory_for_an_array(load: Load, host: Host) -> None:
    def kept() -> Any:
        with load("kitchen_sink").instantiate(host) as sandbox:
            view = hlwasm.view(sandbox.exports.echo.echo_list_f64, NUMBERS)
            owner = weakref.ref(sandbox._loop._native._owner)
            array = np.asarray(view.__enter__())
        assert sandbox.status is hlwasm.Status.CLOSED
        return array, owner

    array, owner = kept()
    gc.collect()
    assert owner() is not None
    # Another VM may be made, and takes nothing of this one.
    with load("kitchen_sink").instantiate(host) as other:
        other.exports.echo.echo_list_f64(NUMBERS + 1)
        assert array.tolist() == NUMBERS.tolist()
    del array
    assert owner() is None


def test_a_forgotten_sandbox_keeps_its_memory_for_an_array(load: Load, host: Host) -> None:
    sandbox = load("kitchen_sink").instantiate(host)
    owner = weakref.ref(sandbox._loop._native._owner)
    array = np.asarray(hlwasm.view(sandbox.exports.echo.echo_list_f64, NUMBERS).__enter__())
    del sandbox
    gc.collect()
    assert array.tolist() == NUMBERS.tolist()
    del array
    gc.collect()
    assert owner() is None


def test_finalisers_do_not_end_views(sandbox: hlwasm.Sandbox, echo: Any) -> None:
    things = sandbox.exports.things
    dropped = things.dropped()
    thing = things.Thing("a")
    with hlwasm.view(echo.echo_list_u8, b"abc") as data:
        del thing
        gc.collect()
        assert bytes(data) == b"abc"
    assert things.dropped() == dropped + 1


def test_methods(sandbox: hlwasm.Sandbox) -> None:
    thing = sandbox.exports.things.Thing("label")
    with hlwasm.view(thing.label) as label:
        assert bytes(label) == b"label"
    with pytest.raises(TypeError, match="not <class"):
        hlwasm.view(sandbox.exports.things.Thing, "x")


def test_wrong_arguments_and_poisoned_sandboxes(sandbox: hlwasm.Sandbox, echo: Any) -> None:
    with pytest.raises(hlwasm.WitTypeError, match="parameter value"):
        hlwasm.view(echo.echo_u8, "x").__enter__()
    assert echo.echo_u8(3) == 3
    snapshot = sandbox.snapshot()
    sandbox.cancel()
    with pytest.raises(hlwasm.Cancelled):
        hlwasm.view(echo.echo_u8, 3).__enter__()
    with pytest.raises(hlwasm.SandboxPoisoned):
        hlwasm.view(echo.echo_u8, 3).__enter__()
    sandbox.restore(snapshot)
    with hlwasm.view(echo.echo_u8, 3) as value:
        assert value == 3


def test_another_threads_call_ends_views_too(echo: Any) -> None:
    with hlwasm.view(echo.echo_list_u8, b"abc") as data:
        thread = threading.Thread(target=echo.echo_u8, args=(3,))
        thread.start()
        thread.join()
        assert not usable(data)


def test_a_host_function_cannot_use_it(sandbox: hlwasm.Sandbox, host: Host) -> None:
    def twice(value: int) -> int:
        with hlwasm.view(sandbox.exports.echo.echo_u8, 3) as again:
            return int(again)

    host.twice = twice  # type: ignore[method-assign]
    with sandbox.fork(host) as other:
        sandbox = other
        with pytest.raises(hlwasm.ReentrantCall):
            other.exports.thrice(3)


def test_pools_have_none(load: Load, host: Host) -> None:
    with hlwasm.Pool(load("kitchen_sink"), imports=host, size=1) as pool:
        with pytest.raises(TypeError, match=r"borrow one by pool\.sandbox\(\)"):
            hlwasm.view(pool.exports.echo.echo_u8, 3)
        with pool.sandbox() as sandbox:
            with hlwasm.view(sandbox.exports.echo.echo_list_u8, b"abc") as data:
                assert bytes(data) == b"abc"
            # What is kept all the same costs the pool its sandbox, and nobody the memory.
            view = hlwasm.view(sandbox.exports.echo.echo_list_u8, b"abc")
            kept = view.__enter__()[:]
        assert bytes(kept) == b"abc"
        assert pool.exports.echo.echo_list_u8(b"other") == b"other"
        assert bytes(kept) == b"abc"
        assert pool.statistics().replaced == 1


def test_async(load: Load, host: Host) -> None:
    async def main() -> None:
        async with load("kitchen_sink").instantiate_async(host) as sandbox:
            echo = sandbox.exports.echo
            async with hlwasm.view(echo.echo_list_f64, NUMBERS) as numbers:
                assert numbers.tolist() == NUMBERS.tolist()
                await asyncio.sleep(0)
                assert usable(numbers)
            assert not usable(numbers)
            async with hlwasm.view(echo.echo_list_u8, b"abc") as data:
                assert await echo.echo_u8(3) == 3
                assert not usable(data)
            with pytest.raises(hlwasm.ViewInUse):
                async with hlwasm.view(echo.echo_list_u8, b"abc") as data:
                    kept = data[1:]
            with pytest.raises(hlwasm.ViewInUse):
                await echo.echo_u8(3)
            del kept
            with pytest.raises(TypeError, match="needs `async with`"):
                hlwasm.view(echo.echo_u8, 3).__enter__()

    asyncio.run(main())


def test_the_other_with(echo: Any) -> None:
    with pytest.raises(TypeError, match="not `async with`"):
        asyncio.run(hlwasm.view(echo.echo_u8, 3).__aenter__())
