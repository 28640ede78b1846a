"""Random values of random types, to real components in micro-VMs and back.

Each component is made on the spot: its code is the canonical ABI of its own types, worked out
apart from that of hlwasm.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hlwasm
from components.kitchen_sink.catalogue import Signature
from components.kitchen_sink.component_text import ECHO, HOST, RELAY, component
from hlwasm.codec.plain import PlainFunction
from hlwasm.wit.model import Function
from tests.property.random_worlds import functions
from tests.property.strategies import values
from tests.scale import scaled

#: Calls of each function of each world.
ROUNDS = 4

pytestmark = pytest.mark.hypervisor


class Host:
    """Answers each function with its arguments."""

    def __init__(self, names: list[str]) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.functions = dict.fromkeys(names, self.answer)

    def answer(self, *arguments: Any) -> Any:
        self.seen.append(arguments)
        return arguments if len(arguments) > 1 else arguments[0]


@settings(
    max_examples=scaled(25, 500),
    deadline=None,
    # Each example compiles a component.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(functions(), st.data())
def test_values_come_back(signatures: dict[str, Signature], data: st.DataObject) -> None:
    loaded = hlwasm.load(component(signatures).encode(), cache=False)
    host = Host(list(signatures))
    with loaded.instantiate({HOST: host.functions}) as sandbox:
        for function in loaded.description.exports:
            assert function.interface in (ECHO, RELAY)
            call = sandbox.exports[function.interface][function.name]
            types = [parameter.type for parameter in function.params]
            # The first call goes through the plain codec, the others through generated code.
            for _ in range(ROUNDS):
                arguments = data.draw(
                    st.tuples(*[values(loaded.description, ref) for ref in types]),
                    label=f"{function.interface}.{function.name}",
                )
                host.seen.clear()
                assert outcome(call, function, arguments) == arguments
                assert host.seen == ([arguments] if function.interface == RELAY else [])


def outcome(call: Any, function: Function, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call gives back, as it was given."""
    try:
        result = call(*arguments)
    except hlwasm.Err as error:
        return (error,)
    if len(arguments) > 1:
        return tuple(result)
    return (hlwasm.Ok(result) if PlainFunction(function).fallible else result,)
