"""Guests that pass what is no value: a component to the adapters, a runtime to the host's codec.

``tests/hostile_values.py`` has the lies.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import hlwasm
from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.native import _abi
from hlwasm.sandbox.calls import CallLoop
from hlwasm.wit.model import Function
from hlwasm.wit.names import snake_case
from hlwasm.wit.values import WitFlags
from tests.hostile_component import GUEST, HOST, component
from tests.hostile_values import LIES, ODDITIES, PAYLOAD, Lie
from tests.unit.sandbox.scripted import Script, scripted_sandbox

BY_NAME = pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
ODD = pytest.mark.parametrize("lie", ODDITIES, ids=lambda lie: lie.name)
IMPORT_MEMORY = _abi.WINDOW_BASE + _abi.WINDOW_GUARD
EXPORT_MEMORY = IMPORT_MEMORY + _abi.WINDOW_STRIDE

#: What traps say, by the end of what the host's codec says.
TRAPS = {
    "is not a Unicode scalar value": (hlwasm.TrapCode.CANONICAL_ABI, "`char`"),
    "the string is not UTF-8": (hlwasm.TrapCode.INVALID_STRING, "utf8"),
    "reach beyond the transfer memory": (hlwasm.TrapCode.CANONICAL_ABI, "out-of-bounds"),
    "is not aligned": (hlwasm.TrapCode.CANONICAL_ABI, "unaligned"),
    "has no case number": (hlwasm.TrapCode.CANONICAL_ABI, "discriminant"),
}


@pytest.fixture(scope="module")
def loaded() -> hlwasm.Component:
    text = component([*LIES, *ODDITIES]).encode()
    return hlwasm.load(text, cache=False, transfer_memory=_abi.TRANSFER_WASM_PAGE_BYTES)


class Host:
    """Takes values; remembers them."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        names = [f"take-{lie.name}" for lie in (*LIES, *ODDITIES)]
        self.functions = dict.fromkeys(names, self.take)

    def take(self, value: Any, rest: Any) -> None:
        self.seen.append(value[0])


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.fixture(scope="module")
def sandbox(loaded: hlwasm.Component, host: Host) -> Iterator[hlwasm.Sandbox]:
    with loaded.instantiate({HOST: host.functions}) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def fresh(sandbox: hlwasm.Sandbox) -> hlwasm.Snapshot:
    return sandbox.snapshot()


@pytest.mark.hypervisor
@BY_NAME
@pytest.mark.parametrize("verb", ["give", "tell"])
def test_the_component_is_trapped(
    sandbox: hlwasm.Sandbox, fresh: hlwasm.Snapshot, host: Host, lie: Lie, verb: str
) -> None:
    exports = sandbox.exports[GUEST]
    host.seen.clear()
    code, text = next(found for end, found in TRAPS.items() if end in lie.problem)
    with pytest.raises(hlwasm.Trap, match=re.escape(text)) as caught:
        exports[f"{verb}-{lie.name}"]()
    assert caught.value.code is code
    assert str(caught.value).startswith(f"guest.{snake_case(f'{verb}-{lie.name}')}: ")
    assert host.seen == []
    assert sandbox.status is hlwasm.Status.POISONED
    with pytest.raises(hlwasm.SandboxPoisoned, match=re.escape(text)):
        exports["give-bool-two"]()
    sandbox.restore(fresh)
    assert exports["give-bool-two"]() == (True, 0)


@pytest.mark.hypervisor
def test_calls_that_are_awaited_say_the_same(loaded: hlwasm.Component, host: Host) -> None:
    async def main() -> None:
        async with loaded.instantiate_async({HOST: host.functions}) as sandbox:
            with pytest.raises(hlwasm.Trap, match=r"^guest\.give_enum_unknown: .*discriminant"):
                await sandbox.exports[GUEST]["give-enum-unknown"]()
            assert sandbox.status is hlwasm.Status.POISONED

    asyncio.run(main())


@pytest.mark.hypervisor
@ODD
def test_what_the_canonical_abi_lets_pass(sandbox: hlwasm.Sandbox, host: Host, lie: Lie) -> None:
    exports = sandbox.exports[GUEST]
    host.seen.clear()
    [value, rest] = exports[f"give-{lie.name}"]()
    exports[f"tell-{lie.name}"]()
    assert [plain(value), *map(plain, host.seen), rest] == [lie.value, lie.value, 0]
    assert type(plain(value)) is type(lie.value)


def plain(value: Any) -> Any:
    """Flags as their bits."""
    return value.value if isinstance(value, WitFlags) else value


class Rig:
    """A runtime that does as the test says, and the host's side of one function of the lies."""

    def __init__(self, loaded: hlwasm.Component) -> None:
        native = scripted_sandbox()
        self.script = Script(native)
        self.loop = CallLoop(native, loaded.description, {})
        self.seen: list[Any] = []

    def pass_as_result(self, function: Function, lie: Lie) -> None:
        self.script.write(EXPORT_MEMORY + function.result_offset, bytes(lie.passed.size()))
        self.script.write(EXPORT_MEMORY + function.result_offset, lie.record)
        self.script.write(EXPORT_MEMORY + PAYLOAD, lie.payload)
        self.script.done()

    def pass_as_argument(self, function: Function, lie: Lie) -> None:
        self.loop.bind_import = {
            function.index: lambda: bind_import(
                function, self.loop, lambda value, rest: self.seen.append(value[0])
            )
        }
        self.script.write(IMPORT_MEMORY + _abi.TRANSFER_DATA, bytes(function.params_size))
        self.script.write(IMPORT_MEMORY + _abi.TRANSFER_DATA, lie.record)
        self.script.write(IMPORT_MEMORY + PAYLOAD, lie.payload)
        self.script.host_call(function.index, _abi.TRANSFER_DATA)
        self.script.done()

    def close(self) -> None:
        self.loop.guard.close()
        self.loop.close()


@pytest.fixture
def rig(loaded: hlwasm.Component) -> Iterator[Rig]:
    rig = Rig(loaded)
    yield rig
    rig.close()


def function_of(functions: tuple[Function, ...], name: str) -> Function:
    [found] = [each for each in functions if each.name == name]
    return found


def honest(lie: Lie) -> Lie:
    """A value of the same type whose bytes are all zero."""
    return Lie(lie.name, lie.type, b"")


def check_refused(
    rig: Rig, function: Function, pass_it: Callable[[Lie], None], lie: Lie, where: str
) -> None:
    """Calls a function during which a value is passed: honest ones, then a lie."""
    call = bind_export(function, rig.loop)
    # The plain codec first, then the generated one.
    for _ in range(4):
        pass_it(honest(lie))
        call()
    rig.seen.clear()
    pass_it(lie)
    with pytest.raises(hlwasm.GuestDataError, match=f"^{re.escape(where)}{lie.problem}"):
        call()
    assert rig.seen == []
    with pytest.raises(hlwasm.SandboxPoisoned, match=re.escape(where)):
        call()


@BY_NAME
def test_a_hostile_runtime_s_results_are_refused(
    loaded: hlwasm.Component, rig: Rig, lie: Lie
) -> None:
    give = function_of(loaded.description.exports, f"give-{lie.name}")
    where = f"guest.{snake_case(give.name)}: result[0]"
    check_refused(rig, give, partial(rig.pass_as_result, give), lie, where)


@BY_NAME
def test_a_hostile_runtime_s_arguments_do_not_reach_the_host(
    loaded: hlwasm.Component, rig: Rig, lie: Lie
) -> None:
    tell = function_of(loaded.description.exports, f"tell-{lie.name}")
    take = function_of(loaded.description.imports, f"take-{lie.name}")
    where = f"host.{snake_case(take.name)}: parameter value[0]"
    check_refused(rig, tell, partial(rig.pass_as_argument, take), lie, where)


@ODD
def test_both_codecs_take_what_the_adapters_let_pass(
    loaded: hlwasm.Component, rig: Rig, lie: Lie
) -> None:
    give = function_of(loaded.description.exports, f"give-{lie.name}")
    call = bind_export(give, rig.loop)
    for _ in range(4):
        rig.pass_as_result(give, lie)
        assert plain(call()[0]) == lie.value


@pytest.mark.parametrize("pointer", [1, 4, 65536 - 8, 65536, 2**32 - 8])
def test_addresses_of_parameters(loaded: hlwasm.Component, rig: Rig, pointer: int) -> None:
    """Misaligned, or such that the record is not in the memory as a whole."""
    tell = function_of(loaded.description.exports, "tell-bool-two")
    take = function_of(loaded.description.imports, "take-bool-two")
    rig.pass_as_argument(take, ODDITIES[0])
    call = bind_export(tell, rig.loop)
    call()
    rig.script.host_call(take.index, pointer)
    with pytest.raises(hlwasm.GuestDataError, match=f"bad address of the parameters: {pointer}$"):
        call()
    assert len(rig.seen) == 1
