"""Generated code that lowers options, results and variants.

Such a value is its discriminant and its payload. Where only one type of payload is
possible its leaves are the value's own, zero in the cases without it. Where several are,
the branch of each case packs its payload into bytes, which are the second leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hlwasm.codec.layout import DISCRIMINANT_FORMAT, discriminant_size
from hlwasm.codec.source import Leaf, packed_format
from hlwasm.errors import Err
from hlwasm.wit.model import Option, Result, TypeRef, Variant
from hlwasm.wit.values import Ok, Some

if TYPE_CHECKING:
    from hlwasm.codec.lower import LowerEmitter

_ZEROS = {"f": "0.0", "d": "0.0", "?": "False"}


class Branch(NamedTuple):
    """One branch of generated code.

    Attributes:
        condition: None for the last one, the else branch.
        discriminant: its expression, None where the value fits no case.
        payload_type: None where the case has no payload.
        payload: the expression of the payload; where there is no payload type, what must
            be None. Empty if there is nothing to look at.
    """

    condition: str | None
    discriminant: str | None
    payload_type: TypeRef | None = None
    payload: str = ""


def option(emitter: LowerEmitter, type_: Option, value: str, offset: int) -> list[Leaf]:
    """Lowers ``None`` or a payload, which is a Some where the payload is an option too."""
    payload = value
    if emitter.reference.python.is_option(type_.some):
        some = emitter.source.constant("Some", Some, Some)
        payload = f"{value}.value if type({value}) is {some} else _unusual()"
    branches = [Branch(f"{value} is not None", "1", type_.some, payload), Branch(None, "0")]
    return _cases(emitter, (None, type_.some), branches, offset)


def result(emitter: LowerEmitter, type_: Result, value: str, offset: int) -> list[Leaf]:
    """Lowers an Ok or Err object."""
    ok = emitter.source.constant("Ok", Ok, Ok)
    err = emitter.source.constant("Err", Err, Err)
    branches = [
        Branch(f"type({value}) is {ok}", "0", type_.ok, f"{value}.value"),
        Branch(f"type({value}) is {err}", "1", type_.err, f"{value}.value"),
        Branch(None, None),
    ]
    return _cases(emitter, (type_.ok, type_.err), branches, offset)


def variant(emitter: LowerEmitter, type_: Variant, value: str, offset: int) -> list[Leaf]:
    """Lowers any object with ``wit_case`` and, for a payload, ``value``."""
    source = emitter.source
    table = {case.name: index for index, case in enumerate(type_.cases)}
    indices = source.constant("cases", table, (type_.index, "cases"))
    index = source.fresh("case")
    source.line(f"{index} = {indices}[{value}.wit_case]")
    branches = [
        Branch(f"{index} == {number}", str(number), case.type, f"{value}.value")
        for number, case in enumerate(type_.cases)
        if case.type is not None
    ]
    cases = [case.type for case in type_.cases]
    return _cases(emitter, cases, [*branches, Branch(None, index)], offset)


def _cases(
    emitter: LowerEmitter,
    cases: Sequence[TypeRef | None],
    branches: Sequence[Branch],
    offset: int,
) -> list[Leaf]:
    source = emitter.source
    emitter.variable_cursor()
    payload_offset, payload_size = emitter.layout.payload(cases)
    several = sum(case is not None for case in cases) > 1
    tag = source.fresh("tag")
    packed = source.fresh("packed") if several else ""
    shared: list[Leaf] = []
    without_payload: list[int] = []
    for number, branch in enumerate(branches):
        if branch.condition is None and number == 0:
            # No case has a payload.
            source.line(f"{tag} = {branch.discriminant}")
            break
        word = "if" if number == 0 else "elif"
        with source.block(f"{word} {branch.condition}:" if branch.condition else "else:"):
            if branch.discriminant is None:
                source.line("raise _Unusual")
                continue
            source.line(f"{tag} = {branch.discriminant}")
            if branch.payload_type is None:
                if branch.payload:
                    source.require(f"{branch.payload} is not None")
                # Filled in below, once it is known what must be zero.
                without_payload.append(len(source.lines))
                source.line("")
                continue
            value = source.fresh("value")
            source.line(f"{value} = {branch.payload}")
            if several:
                _pack_payload(emitter, branch.payload_type, value, packed)
            else:
                shared = _named_leaves(emitter, branch.payload_type, value, offset + payload_offset)
    if several:
        shared = [Leaf(offset + payload_offset, f"{payload_size}s", packed)]
    zeros = "; ".join(f"{leaf.expression} = {_zero(leaf.format)}" for leaf in shared)
    for line in without_payload:
        # The line is there already, empty but for its indentation.
        source.lines[line] += zeros or "pass"
    return [Leaf(offset, DISCRIMINANT_FORMAT[discriminant_size(len(cases))], tag), *shared]


def _pack_payload(emitter: LowerEmitter, ref: TypeRef, value: str, packed: str) -> None:
    leaves = emitter.value(ref, value, 0)
    format = packed_format(leaves, 0, emitter.layout.shape(ref).size)
    pack = emitter.source.struct(format, "pack")
    emitter.source.line(f"{packed} = {pack}({', '.join(leaf.expression for leaf in leaves)})")


def _named_leaves(emitter: LowerEmitter, ref: TypeRef, value: str, offset: int) -> list[Leaf]:
    """A payload's leaves, each with a name that the other branches can set to zero."""
    named = []
    for leaf in emitter.value(ref, value, offset):
        if not leaf.expression.isidentifier():
            name = emitter.source.fresh("leaf")
            emitter.source.line(f"{name} = {leaf.expression}")
            leaf = leaf._replace(expression=name)
        named.append(leaf)
    return named


def _zero(format: str) -> str:
    return "b''" if format.endswith("s") else _ZEROS.get(format, "0")
