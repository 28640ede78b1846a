"""The table of what is refused: in WIT text, and in components."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import hlwasm
from hlwasm.wit.sources import parse_wit
from tests.integration.wit_features.page import first_cell, rows

FLAGS = [f"flag{i}" for i in range(33)]


@dataclass(frozen=True)
class Refusal:
    """What is refused.

    Attributes:
        item: its WIT name.
        says: part of the message.
        wit: a world that has it; none where WIT cannot say it.
        wat: the inside of a component that has it; none where there is no such component.
    """

    item: str
    says: str
    wit: str | None = None
    wat: str | None = None


REFUSALS = {
    "async func()": Refusal(
        "a:b/i.f",
        "async functions are not supported",
        "interface i { f: async func(); } world w { import i; }",
        '(import "a:b/i" (instance (export "f" (func async))))',
    ),
    "stream<u8>": Refusal(
        "f",
        "values of type stream are not supported",
        "world w { import f: func(x: stream<u8>); }",
        '(type $t (stream u8)) (import "f" (func (param "x" $t)))',
    ),
    "future<u8>": Refusal(
        "f",
        "values of type future are not supported",
        "world w { import f: func() -> future<u8>; }",
        '(type $t (future u8)) (import "f" (func (result $t)))',
    ),
    "error-context": Refusal(
        "f",
        "values of type error-context are not supported",
        "world w { import f: func(x: list<error-context>); }",
        '(import "f" (func (param "x" (list error-context))))',
    ),
    "list<u8, 4>": Refusal(
        "f",
        "values of type fixed-length list are not supported",
        "world w { import f: func(x: list<u8, 4>); }",
        '(type $t (list u8 4)) (import "f" (func (param "x" $t)))',
    ),
    "flags with 33 members": Refusal(
        "big",
        "flags with more than 32 members are not supported",
        f"world w {{ flags big {{ {', '.join(FLAGS)} }} import f: func(x: big); }}",
    ),
    "record without fields": Refusal(
        "none",
        "record without fields are not supported",
        "world w { record none {} import f: func(x: none); }",
    ),
    "import other-name: interface-name": Refusal(
        "other-name",
        "an interface under another name is not supported",
        "interface i { f: func(); } world w { import other-name: i; }",
        '(import "other-name" (implements "a:b/i") (instance (export "f" (func))))',
    ),
    '@external-id("…")': Refusal(
        "f",
        "an external id is not supported",
        'world w { @external-id("x") import f: func(); }',
        '(import "f" (external-id "x") (func))',
    ),
    "types exported by the world itself": Refusal(
        "point",
        "export of a type at world level is not supported",
        wat='(type $t (record (field "x" u8))) (export "point" (type $t))',
    ),
    "core modules, components and values as imports or exports": Refusal(
        "it", "import of a core module is not supported", wat='(import "it" (core module))'
    ),
    "functions named like interfaces": Refusal(
        "a:b/c", "a function with the name of an interface", wat='(import "a:b/c" (func))'
    ),
    "interfaces that use types of the world around them": Refusal(
        "a:b/i",
        "uses a type of the world around it",
        wat="""(type $r' (record (field "a" u8))) (import "r" (type $r (eq $r')))
            (import "a:b/i" (instance (export "s" (type (eq $r)))))""",
    ),
    "packages that use each other's types in a circle": Refusal(
        "a:b, c:d",
        "in a circle",
        wat="""(import "a:b/i" (instance $i (export "r" (type (sub resource)))))
            (alias export $i "r" (type $r))
            (import "c:d/j" (instance $j (export "r" (type (eq $r)))))
            (alias export $j "r" (type $s))
            (import "a:b/k" (instance (export "r" (type (eq $s)))))""",
    ),
    "imported types exported again as they are": Refusal(
        "the component",
        "cannot represent this component in WIT",
        wat="""(type $p' (record (field "x" u8)))
            (import "a:b/host" (instance $host (export "p" (type (eq $p')))))
            (alias export $host "p" (type $p))
            (instance $again (export "p" (type $p)))
            (export "a:b/guest" (instance $again))""",
    ),
    "the package hlwasm:bridge": Refusal(
        "hlwasm:bridge",
        "reserved for the bridges",
        "package hlwasm:bridge { interface i { f: func(); } } world w { import hlwasm:bridge/i; }",
        '(import "hlwasm:bridge/i" (instance (export "f" (func))))',
    ),
}


def test_each_refusal_has_a_row() -> None:
    assert list(map(first_cell, rows("Refused"))) == list(REFUSALS)


@pytest.mark.parametrize("row", [name for name in REFUSALS if REFUSALS[name].wit])
def test_wit_text(row: str) -> None:
    refusal = REFUSALS[row]
    with pytest.raises(hlwasm.UnsupportedItem, match=refusal.says) as caught:
        parse_wit(f"package a:b; {refusal.wit}")
    assert caught.value.item == refusal.item


@pytest.mark.parametrize("row", [name for name in REFUSALS if REFUSALS[name].wat])
def test_components(row: str) -> None:
    refusal = REFUSALS[row]
    with pytest.raises(hlwasm.UnsupportedItem, match=refusal.says) as caught:
        hlwasm.load(f"(component {refusal.wat})".encode(), cache=False)
    assert caught.value.item == refusal.item


@pytest.mark.parametrize(
    "type_",
    ["record", "tuple", "flags " + " ".join(f'"{name}"' for name in FLAGS)],
    ids=lambda type_: str(type_).partition(" ")[0],
)
def test_what_no_component_can_have_is_not_valid(type_: str) -> None:
    wat = f'(component (type $t ({type_})) (import "t" (type (eq $t))))'
    with pytest.raises(hlwasm.InvalidWasm, match=type_.partition(" ")[0]):
        hlwasm.load(wat.encode(), cache=False)


def test_what_is_not_valid_is_told_with_its_place() -> None:
    text = "package a:b; interface i { resource r; f: func() -> borrow<r>; }"
    with pytest.raises(hlwasm.InvalidWit, match=r"1:4\d: .*borrow"):
        parse_wit(text)
