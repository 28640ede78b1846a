"""Documentation that a component itself carries: a section of the same form as in WIT packages."""

from __future__ import annotations

import json

import pytest
import wasmtime

import hlwasm

COMPONENT = """(component
  (core module $m (func (export "double") (param i32) (result i32)
    local.get 0 local.get 0 i32.add))
  (core instance $i (instantiate $m))
  (func (export "double") (param "number" s32) (result s32)
    (canon lift (core func $i "double"))))"""


def with_section(name: bytes, content: bytes) -> bytes:
    """The component with a custom section at its end, of less than 128 bytes."""
    body = bytes([len(name)]) + name + content
    assert len(body) < 128
    return bytes(wasmtime.wat2wasm(COMPONENT)) + b"\0" + bytes([len(body)]) + body


@pytest.mark.hypervisor
def test_it_becomes_docstrings() -> None:
    documentation = {"worlds": {"root": {"func_exports": {"double": "Twice the number."}}}}
    source = with_section(b"package-docs", b"\0" + json.dumps(documentation).encode())
    with hlwasm.load(source).instantiate() as sandbox:
        double = sandbox.exports.double
        assert double.__doc__ == "Twice the number.\n\ndouble: func(number: s32) -> s32"
        assert double(21) == 42


@pytest.mark.parametrize("content", [b"", b"\xff{}", b"\0{", b'\0{"worlds": {"other": {}}}'])
def test_a_damaged_section_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(hlwasm.LoadError, match="its world cannot be understood"):
        hlwasm.load(with_section(b"package-docs", content))
