"""A component that passes lies: each as a result, and as an argument of a host function."""

from __future__ import annotations

from collections.abc import Sequence

from components.kitchen_sink.catalogue import U64
from components.kitchen_sink.component_text import definition, named_types, reference
from components.kitchen_sink.wit_types import Tuple
from tests.hostile_values import PAYLOAD, Lie

HOST, GUEST = "test:lies/host", "test:lies/guest"
#: Where records are put.
RECORD = 1024
#: So many more parameters that all go through memory.
REST = Tuple((U64,) * 16)


def component(lies: Sequence[Lie]) -> str:
    """Its text: ``give-<name>`` returns a lie, ``tell-<name>`` calls ``take-<name>`` with it."""
    named = list(dict.fromkeys(t for lie in lies for t in named_types(lie.type)))
    return "\n".join(
        [
            "(component",
            f'(import "{HOST}" (instance $host',
            *(line for type_ in named for line in definition(type_)),
            *(f'(export "take-{lie.name}" (func {parameters(lie)}))' for lie in lies),
            "))",
            *(f'(alias export $host "{t.wit()}" (type ${t.wit()}))' for t in named),
            '(core module $Memory (memory (export "memory") 1))',
            "(core instance $memory (instantiate $Memory))",
            *(lowered(lie) for lie in lies),
            "(core module $Lies",
            '(import "memory" "memory" (memory 1))',
            *(
                f'(import "host" "take-{lie.name}" (func $take-{lie.name} (param i32)))'
                for lie in lies
            ),
            *(line for lie in lies for line in functions(lie)),
            ")",
            '(core instance $lies (instantiate $Lies (with "memory" (instance $memory))',
            '(with "host" (instance',
            *(f'(export "take-{lie.name}" (func $take-{lie.name}))' for lie in lies),
            "))))",
            *(line for lie in lies for line in lifted(lie)),
            "(instance $guest",
            *(
                f'(export "{verb}-{lie.name}" (func ${verb}-{lie.name}))'
                for lie in lies
                for verb in ("give", "tell")
            ),
            ")",
            f'(export "{GUEST}" (instance $guest)))',
        ]
    )


def parameters(lie: Lie) -> str:
    return f'(param "value" {reference(lie.passed)}) (param "rest" {reference(REST)})'


def lowered(lie: Lie) -> str:
    return (
        f'(core func $take-{lie.name} (canon lower (func $host "take-{lie.name}")'
        f' (memory (core memory $memory "memory"))))'
    )


def functions(lie: Lie) -> list[str]:
    """The core functions of a lie, and its bytes."""
    lines, put = [], []
    for address, data in ((RECORD, lie.record), (PAYLOAD, lie.payload)):
        segment = f"${lie.name}-{address}"
        text = "".join(f"\\{byte:02x}" for byte in data)
        lines.append(f'(data {segment} "{text}")')
        put.append(
            f"(memory.init {segment} (i32.const {address}) (i32.const 0) (i32.const {len(data)}))"
        )
    return [
        *lines,
        f'(func (export "give-{lie.name}") (result i32) {" ".join(put)} (i32.const {RECORD}))',
        f'(func (export "tell-{lie.name}") {" ".join(put)}'
        f" (call $take-{lie.name} (i32.const {RECORD})))",
    ]


def lifted(lie: Lie) -> list[str]:
    return [
        f"(func $give-{lie.name} (result {reference(lie.passed)})"
        f' (canon lift (core func $lies "give-{lie.name}")'
        ' (memory (core memory $memory "memory"))))',
        f'(func $tell-{lie.name} (canon lift (core func $lies "tell-{lie.name}")))',
    ]
