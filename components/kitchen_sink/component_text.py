"""Writes whole components of any functions, as text: no tool but an assembler is needed.

Each function that is given becomes three: ``host`` is imported, ``echo`` returns what it
takes, and ``relay`` asks the host. Types are the host interface's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import core_text
from .catalogue import Signature
from .wit_types import (
    Alias,
    Enum,
    Flags,
    List,
    Map,
    Option,
    Record,
    Result,
    Scalar,
    String,
    Tuple,
    Type,
    Variant,
)

HOST, ECHO, RELAY = "test:worlds/host", "test:worlds/echo", "test:worlds/relay"


def component(functions: Mapping[str, Signature]) -> str:
    """The text of a component; ``functions`` by their WIT names."""
    named = list(dict.fromkeys(t for each in functions.values() for t in named_types(each.result)))
    core, lines = core_module(functions)
    return "\n".join(
        [
            "(component",
            f'(import "{HOST}" (instance $host',
            *(line for type_ in named for line in definition(type_)),
            *(f'(export "{name}" {function_type(each)})' for name, each in functions.items()),
            "))",
            *(f'(alias export $host "{t.wit()}" (type ${t.wit()}))' for t in named),
            # Lowered host functions need memory before there are the functions that call them.
            f"(core module $Memory {core_text.MEMORY}",
            '(export "forget" (func $forget)))',
            "(core instance $memory (instantiate $Memory))",
            *(lowered(name) for name in functions),
            *core,
            "(core instance $functions (instantiate $Functions",
            '(with "memory" (instance $memory))',
            f'(with "{core_text.VALUES}" (instance',
            *(f'(export "{name}" (func $lowered_{name}))' for name in functions),
            "))))",
            *lines,
            ")",
        ]
    )


def core_module(functions: Mapping[str, Signature]) -> tuple[list[str], list[str]]:
    """The core module of the functions, and what lifts and exports them."""
    text: list[str] = []
    lines: list[str] = []
    for interface, prefix in ((ECHO, core_text.ECHO), (RELAY, core_text.VALUES)):
        instance = interface.rpartition("/")[2]
        for name, signature in functions.items():
            core = f"{prefix}#{name}"
            if interface == ECHO:
                text += core_text.echo(core, signature)
            else:
                text += core_text.relay(core, signature, core_text.VALUES, name)
            lines.append(
                f"(func ${instance}_{name} {parameters_and_result(signature)} (canon lift"
                f' (core func $functions "{core}") (memory (core memory $memory "memory"))'
                f' (realloc (core func $memory "cabi_realloc"))'
                f' (post-return (core func $functions "cabi_post_{core}"))))'
            )
        exports = " ".join(f'(export "{name}" (func ${instance}_{name}))' for name in functions)
        lines += [
            f"(instance ${instance} {exports})",
            f'(export "{interface}" (instance ${instance}))',
        ]
    imports, others = core_text.imports_first(text)
    return [
        "(core module $Functions",
        '(import "memory" "memory" (memory 1))',
        '(import "memory" "forget" (func $forget))',
        *imports,
        *others,
        ")",
    ], lines


def lowered(name: str) -> str:
    return (
        f'(core func $lowered_{name} (canon lower (func $host "{name}")'
        f' (memory (core memory $memory "memory")) (realloc (core func $memory "cabi_realloc"))))'
    )


def function_type(signature: Signature) -> str:
    return f"(func {parameters_and_result(signature)})"


def parameters_and_result(signature: Signature) -> str:
    listed = " ".join(f'(param "{name}" {reference(t)})' for name, t in signature.parameters)
    return f"{listed} (result {reference(signature.result)})"


def named_types(type_: Type) -> Iterator[Type]:
    """The named types in a type, each after those that it is made of; repeatedly."""
    for part in type_.parts():
        yield from named_types(part)
    if isinstance(type_, (Record, Variant, Enum, Flags, Alias)):
        yield type_


def definition(type_: Type) -> list[str]:
    """Defines a named type in an instance type, and exports it there."""
    name, meaning = type_.wit(), shape(type_)
    if meaning.startswith("$"):
        # An alias of a named type.
        return [f'(export "{name}" (type ${name} (eq {meaning})))']
    return [
        f"(type ${name}-shape {meaning})",
        f'(export "{name}" (type ${name} (eq ${name}-shape)))',
    ]


def shape(type_: Type) -> str:
    if isinstance(type_, Record):
        fields = " ".join(f'(field "{name}" {reference(t)})' for name, t in type_.fields)
        return f"(record {fields})"
    if isinstance(type_, Variant):
        cases = (f'(case "{name}"{f" {reference(t)}" if t else ""})' for name, t in type_.cases)
        return f"(variant {' '.join(cases)})"
    if isinstance(type_, Alias):
        return reference(type_.target)
    assert isinstance(type_, (Enum, Flags))
    word, names = ("enum", type_.cases) if isinstance(type_, Enum) else ("flags", type_.flags)
    quoted = " ".join(f'"{name}"' for name in names)
    return f"({word} {quoted})"


def reference(type_: Type) -> str:
    """A type where it is used."""
    if isinstance(type_, (Scalar, String)):
        return type_.wit()
    if isinstance(type_, List):
        return f"(list {reference(type_.element)})"
    if isinstance(type_, Map):
        return f"(map {reference(type_.key)} {reference(type_.value)})"
    if isinstance(type_, Tuple):
        return f"(tuple {' '.join(map(reference, type_.items))})"
    if isinstance(type_, Option):
        return f"(option {reference(type_.value)})"
    if isinstance(type_, Result):
        ok = f" {reference(type_.ok)}" if type_.ok else ""
        error = f" (error {reference(type_.error)})" if type_.error else ""
        return f"(result{ok}{error})"
    return f"${type_.wit()}"
