"""The compiler's configuration and what becomes of its messages, in this process."""

from __future__ import annotations

import os

import pytest
import wasmtime

from hlwasm.artifact import engine
from hlwasm.artifact.engine import check_wasmtime, classify, compile_component, one_line
from hlwasm.artifact.files import memory_file
from hlwasm.errors import CompileError, InvalidWasm, LoadError, UnsupportedItem

from .files import ADD


def _compile(text: str | bytes, fuel: bool = False) -> bytes:
    component = bytes(wasmtime.wat2wasm(text))
    fd = memory_file("test", b"")
    try:
        length = compile_component(component, fuel=fuel, output=fd)
        code = os.pread(fd, length, 0)
        assert len(code) == length == os.fstat(fd).st_size
        return code
    finally:
        os.close(fd)


def test_a_component_becomes_code_for_the_guest() -> None:
    code = _compile(ADD)
    assert code[:4] == b"\x7fELF"
    assert code[0x12:0x14] == (62).to_bytes(2, "little"), "x86-64"
    assert b".wasmtime.engine" in code


def test_compiling_is_deterministic() -> None:
    assert _compile(ADD) == _compile(ADD)
    assert _compile(ADD, fuel=True) != _compile(ADD)


@pytest.mark.parametrize(
    "module",
    [
        "(type $s (struct (field i32))) (func (result (ref $s)) (struct.new $s (i32.const 1)))",
        "(tag $t) (func (throw $t))",
        "(memory i64 1)",
        "(memory 1) (memory 1)",
        "(func (param v128) (result v128) local.get 0 i8x16.popcnt)",
        "(func $f (return_call $f))",
    ],
)
def test_what_is_enabled(module: str) -> None:
    _compile(f"(component (core module {module}))")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("(component (core module (memory 1 1 shared)))", UnsupportedItem, "threads"),
        ("(component (core module (func (result i32))))", InvalidWasm, "type mismatch"),
        ("(module)", InvalidWasm, "component"),
    ],
)
def test_errors_are_one_clear_line(text: str, kind: type[LoadError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        _compile(text)
    assert "\n" not in str(caught.value)
    assert "Caused by" not in str(caught.value)
    assert "backtrace" not in str(caught.value)


def test_causes_are_joined_without_repeats() -> None:
    text = "outer failed\n\nCaused by:\n    0: middle failed\n    1: inner (at offset 0x5)\n"
    assert one_line(text) == "outer failed: middle failed: inner (at offset 0x5)"
    assert one_line("same: inner\n\nCaused by:\n    inner\n") == "same: inner"
    assert one_line("x\n\nStack backtrace:\n   0: y\n") == "x"
    assert one_line("") == "the compiler gave no reason"
    assert type(classify("Compilation error: Code for function is too large")) is CompileError


def test_another_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_wasmtime().startswith("48.")
    monkeypatch.setattr(engine, "WASMTIME_MAJOR", 49)
    with pytest.raises(CompileError, match=r"wasmtime 48\.0\.0 is installed.*needs 49\.x"):
        check_wasmtime()
