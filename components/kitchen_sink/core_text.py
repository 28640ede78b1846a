"""Writes the core module of the kitchen sink: canonical ABI and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .catalogue import FUNCTIONS, WORLD_FUNCTIONS, Signature
from .wit_types import Alias, Cases, Fields, Flags, Pointed, Scalar, Type

VALUES = "demo:kitchen-sink/values@1.0.0"
ECHO = "demo:kitchen-sink/echo@1.0.0"
#: More core values than this go through memory.
MAX_FLAT_PARAMETERS = 16
#: Where results are put; everything up to the heap is theirs.
RESULT = 1024
HEAP = 16384
#: Memory that forgets after each call.
MEMORY = Path(__file__).with_name("memory.wat").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Shape:
    """Core types of a function that takes and returns a value.

    Attributes:
        flat: of the value.
        taken: of the parameters.
        returned: of an exported function's result; that of an imported one goes to where its
            last parameter says, unless it is a single core value.
    """

    flat: list[str]
    taken: list[str]
    returned: str

    @classmethod
    def of(cls, value: Type) -> Shape:
        flat = value.flat()
        taken = flat if len(flat) <= MAX_FLAT_PARAMETERS else ["i32"]
        return cls(flat, taken, flat[0] if len(flat) == 1 else "i32")

    @property
    def through_memory(self) -> bool:
        return len(self.flat) > MAX_FLAT_PARAMETERS

    @property
    def text(self) -> str:
        return f"(param {' '.join(self.taken)}) (result {self.returned})"


def echo(name: str, signature: Signature) -> list[str]:
    """A function that returns what it takes, exported as ``name``."""
    shape = Shape.of(signature.result)
    if shape.through_memory or len(shape.flat) == 1:
        # One core value, or the address of parameters that lie as the result will.
        body = ["(local.get 0)"]
    else:
        stored = store(signature.result, 0, shape.flat, RESULT)
        body = [*stored, f"(i32.const {RESULT})"]
    return exported(name, shape, body)


def relay(name: str, signature: Signature, module: str, imported: str) -> list[str]:
    """A function that asks the host, by way of an import that is the first line."""
    shape = Shape.of(signature.result)
    arguments = " ".join(f"(local.get {i})" for i in range(len(shape.taken)))
    function = f"$host_{imported}"
    if len(shape.flat) == 1:
        text = shape.text
        body = [f"(call {function} {arguments})"]
    else:
        text = f"(param {' '.join(shape.taken)} i32)"
        body = [f"(call {function} {arguments} (i32.const {RESULT}))", f"(i32.const {RESULT})"]
    return [
        f'(import "{module}" "{imported}" (func {function} {text}))',
        *exported(name, shape, body),
    ]


def exported(name: str, shape: Shape, body: list[str]) -> list[str]:
    """The function and what is called when its result was read."""
    return [
        f'(func (export "{name}") {shape.text}',
        *indented(body),
        ")",
        f'(func (export "cabi_post_{name}") (param {shape.returned}) (call $forget))',
    ]


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
    for name, signature in FUNCTIONS.items():
        lines += echo(f"{ECHO}#{name}", signature)
        lines += relay(f"{VALUES}#{name}", signature, VALUES, name)
    for name, signature in WORLD_FUNCTIONS.items():
        lines += relay(name, signature, "$root", name)
    largest = max(each.result.size() for each in (FUNCTIONS | WORLD_FUNCTIONS).values())
    assert largest <= HEAP - RESULT, largest
    imports, others = imports_first(lines)
    return "\n".join(["(module", *imports, fixed, MEMORY, *others, ")", ""])


def imports_first(lines: list[str]) -> tuple[list[str], list[str]]:
    """Text must have imports before everything else."""
    imports = [line for line in lines if line.startswith("(import")]
    return imports, [line for line in lines if not line.startswith("(import")]
