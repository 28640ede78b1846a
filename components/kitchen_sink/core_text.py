"""Writes the core module of the kitchen sink: canonical ABI and nothing else."""

from __future__ import annotations

from .catalogue import ECHOED, GATHERED
from .wit_types import Alias, Cases, Fields, Flags, Pointed, Scalar, Tuple, Type

VALUES = "demo:kitchen-sink/values@1.0.0"
ECHO = "demo:kitchen-sink/echo@1.0.0"
#: More core values than this go through memory.
MAX_FLAT_PARAMETERS = 16
#: Where results are put; everything up to the heap is theirs.
RESULT = 1024
HEAP = 16384


def function(name: str, parameters: Type, result: Type) -> list[str]:
    """The local echo, and the one that asks the host, of one function.

    Args:
        parameters: a tuple of all of them.
        result: of the same layout as the parameters.
    """
    flat = parameters.flat()
    through_memory = len(flat) > MAX_FLAT_PARAMETERS
    taken = ["i32"] if through_memory else flat
    returned = result.flat() if len(result.flat()) == 1 else ["i32"]
    signature = f"(param {' '.join(taken)}) (result {' '.join(returned)})"
    arguments = " ".join(f"(local.get {i})" for i in range(len(taken)))

    if through_memory or len(flat) == 1:
        # One core value, or the address of parameters that lie as the result will.
        body = ["(local.get 0)"]
    else:
        body = [*store(parameters, 0, flat, RESULT), f"(i32.const {RESULT})"]
    lines = [f'(func (export "{ECHO}#{name}") {signature}', *indented(body), ")"]

    if len(result.flat()) == 1:
        imported = signature
        body = [f"(call $host_{name} {arguments})"]
    else:
        # The caller of an import says where the result goes.
        imported = f"(param {' '.join(taken)} i32)"
        body = [f"(call $host_{name} {arguments} (i32.const {RESULT}))", f"(i32.const {RESULT})"]
    lines += [f'(func (export "{VALUES}#{name}") {signature}', *indented(body), ")"]
    for interface in (ECHO, VALUES):
        lines.append(
            f'(func (export "cabi_post_{interface}#{name}") (param {returned[0]}) (call $forget))'
        )
    return [f'(import "{VALUES}" "{name}" (func $host_{name} {imported}))', *lines]


def indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def store(value: Type, first: int, cores: list[str], address: int) -> list[str]:
    """Instructions that put a value into memory.

    Args:
        first: index of the local that holds its first core value.
        cores: types of the locals from there on; wider than the value's own where it is the
            payload of a case that shares them with others.
    """
    if isinstance(value, Alias):
        return store(value.target, first, cores, address)
    if isinstance(value, Fields):
        lines, used = [], 0
        for part, offset in zip(value.parts(), value.offsets(), strict=True):
            lines += store(part, first + used, cores[used:], address + offset)
            used += len(part.flat())
        return lines
    if isinstance(value, Pointed):
        return [
            store_core("i32.store", first + i, cores[i], "i32", address + 4 * i) for i in range(2)
        ]
    if isinstance(value, Cases):
        size = {1: "i32.store8", 2: "i32.store16", 4: "i32.store"}[value.discriminant_size()]
        lines = [store_core(size, first, cores[0], "i32", address)]
        discriminant = converted(first, cores[0], "i32")
        for number, payload in enumerate(value.payloads()):
            if payload is not None:
                inner = store(payload, first + 1, cores[1:], address + value.payload_offset())
                lines += [
                    f"(if (i32.eq {discriminant} (i32.const {number})) (then",
                    *indented(inner),
                    "))",
                ]
        return lines
    assert isinstance(value, (Scalar, Flags))
    [core] = value.flat()
    narrow = "" if core != "i32" else {1: "8", 2: "16", 4: ""}[value.size()]
    return [store_core(f"{core}.store{narrow}", first, cores[0], core, address)]


def store_core(instruction: str, local: int, held: str, wanted: str, address: int) -> str:
    return f"({instruction} (i32.const {address}) {converted(local, held, wanted)})"


def converted(local: int, held: str, wanted: str) -> str:
    """A local that may be of a wider core type than the value in it."""
    get = f"(local.get {local})"
    return {
        ("i32", "f32"): f"(f32.reinterpret_i32 {get})",
        ("i64", "i32"): f"(i32.wrap_i64 {get})",
        ("i64", "f32"): f"(f32.reinterpret_i32 (i32.wrap_i64 {get}))",
        ("i64", "f64"): f"(f64.reinterpret_i64 {get})",
    }.get((held, wanted), get)


def module(fixed: str) -> str:
    """The whole module; ``fixed`` holds what does not depend on the catalogue."""
    lines: list[str] = []
    for name, value in ECHOED.items():
        lines += function(f"echo-{name}", value, value)
    for name, parameters in GATHERED.items():
        together = Tuple(parameters)
        lines += function(name, together, together)
    # Text must have imports first.
    imports = [line for line in lines if line.startswith("(import")]
    others = [line for line in lines if not line.startswith("(import")]
    largest = max(t.size() for t in [*ECHOED.values(), *(Tuple(p) for p in GATHERED.values())])
    assert largest <= HEAP - RESULT, largest
    return "\n".join(["(module", *imports, fixed, *others, ")", ""])
