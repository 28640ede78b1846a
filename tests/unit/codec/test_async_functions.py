"""Functions that are awaited: the same code as the others, with awaits in it."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.codec.functions import bind_async_export, bind_async_import
from hlwasm.codec.generated import FunctionGenerator
from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import Err, GuestDataError, SandboxBusy, WitValueError
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import EchoContext, World, echo


class AsyncEchoContext(EchoContext):
    """An ``EchoContext`` that lets other tasks run at each of its steps."""

    async def begin(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        if self.depth:
            raise SandboxBusy
        self.depth += 1

    async def invoke(self, index: int) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.guest(index)


def worlds() -> World:
    world = World()
    file = world.resource("file")
    point = world.record("point", x="f32", y="f32")
    world.function("nothing", {})
    world.function("numbers", {"a": "s32", "b": world.list("u16")}, "u64")
    world.function("fallible", {"name": "string"}, world.result(point, "string"))
    world.function("give", {"file": world.own(file), "more": "string"}, world.own(file))
    world.function("lend", {"file": world.borrow(file)}, world.option("char"))
    # Left to the plain codec.
    world.function("deep", {"files": world.list(world.own(file))}, world.list(world.own(file)))
    return world


def without_awaits(text: str) -> str:
    text = re.sub(r"^ *if _isawaitable_\d+\(_value\):\n.*await _value\n", "", text, flags=re.M)
    # Fresh names are counted.
    return re.sub(r"_\d+\b", "", text.replace("async ", "").replace("await ", ""))


@pytest.mark.parametrize("side", ["export", "import_"])
@pytest.mark.parametrize("number", range(6))
def test_it_is_the_same_code(side: str, number: int) -> None:
    description = worlds().description()
    function = (description.exports if side == "export" else description.imports)[number]

    def text(asynchronous: bool) -> str:
        generator = FunctionGenerator(PlainFunction(function), asynchronous)
        code = generator.export("call") if side == "export" else generator.import_()
        return code.text

    synchronous, asynchronous = text(False), text(True)
    assert "await" not in synchronous
    assert asynchronous.count("await ") == (2 if side == "export" else 1)
    assert without_awaits(asynchronous) == re.sub(r"_\d+\b", "", synchronous)


def test_a_bound_function_looks_like_one_written_by_hand() -> None:
    description = worlds().description()
    call = bind_async_export(description.exports[1], AsyncEchoContext())
    for _ in range(2):
        assert inspect.iscoroutinefunction(call)
        assert list(inspect.signature(call).parameters) == ["a", "b"]
        assert call.__qualname__ == "ops.numbers"
        assert asyncio.run(call(1, [2])) == 0
    with pytest.raises(TypeError, match=r"numbers\(\)"):
        call(1)


def test_values_come_back() -> None:
    world = World()
    world.function("echo", {"value": world.list("string")}, world.list("string"))
    function, context = world.description().exports[0], AsyncEchoContext()
    echo(function, context)
    call = bind_async_export(function, context)
    assert asyncio.run(call(["a", "é"])) == ["a", "é"]
    assert asyncio.run(call(value=[])) == []
    assert context.depth == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_call_has_ended(when: str) -> None:
    world = World()
    world.function("f", {"a": "u8"}, "bool")
    context = AsyncEchoContext()
    call = bind_async_export(world.description().exports[0], context)

    def lie(_: int) -> None:
        raise ZeroDivisionError

    context.guest = lie
    with pytest.raises(WitValueError if when == "before" else ZeroDivisionError):
        asyncio.run(call(300 if when == "before" else 3))
    assert context.depth == 0


def test_a_result_that_is_not_valid_poisons() -> None:
    world = World()
    world.function("f", {}, "char")
    context = AsyncEchoContext()

    def lie(_: int) -> None:
        context.export_memory[64:68] = b"\xff" * 4

    context.guest = lie
    with pytest.raises(GuestDataError):
        asyncio.run(bind_async_export(world.description().exports[0], context)())
    assert context.poisoned_by is not None


def test_a_refused_call_leaves_the_running_one_alone() -> None:
    world = World()
    world.function("echo", {"value": "u32"}, "u32")
    function, context = world.description().exports[0], AsyncEchoContext()
    echo(function, context)
    call = bind_async_export(function, context)

    async def main() -> tuple[Any, Any]:
        return await asyncio.gather(call(1), call(2), return_exceptions=True)

    first, second = asyncio.run(main())
    assert first == 1
    assert isinstance(second, SandboxBusy)
    assert context.depth == 0


async def coroutine(value: Any) -> Any:
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


def plain(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def future(value: Any) -> Any:
    return asyncio.ensure_future(coroutine(value))


@pytest.mark.parametrize("give", [coroutine, plain, future])
def test_host_functions_may_return_something_to_await(give: Callable[[Any], Any]) -> None:
    world = World()
    world.function("f", {"a": "u8"}, world.result("u8", "string"))
    context = AsyncEchoContext()

    async def main() -> None:
        for value, start in [
            (7, b"\0\0\0\0\7"),
            (Ok(8), b"\0\0\0\0\10"),
            (Err("no"), b"\1\0\0\0"),
        ]:
            context.import_memory[60:64] = (64).to_bytes(4, "little")
            serve = bind_async_import(
                world.description().imports[0], context, lambda a, value=value: give(value)
            )
            assert await serve(64) == 64
            assert bytes(context.import_memory[64 : 64 + len(start)]) == start
        serve = bind_async_import(
            world.description().imports[0], context, lambda a: give(ZeroDivisionError("no"))
        )
        with pytest.raises(ZeroDivisionError):
            await serve(64)

    asyncio.run(main())
