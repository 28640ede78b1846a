"""`hlwasm call` with WAVE text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes
from tests.unit.artifact.files import ADD

from .programs import save
from .running import CommandLine

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def add(tmp_path: Path) -> Path:
    return save(tmp_path, ADD.decode(), "add.wat")


@pytest.fixture(scope="module")
def kitchen_sink(component_path: Callable[[str], Path]) -> Path:
    return component_path("kitchen_sink")


def test_a_result(hlwasm: CommandLine, add: Path) -> None:
    done = hlwasm("call", add, "add(2, -3)")
    assert (done.code, done.stdout, done.stderr) == (0, "-1\n", "")
    assert hlwasm("call", "-", "add(1, 1)", stdin=add.read_bytes()).stdout == "2\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("add(1)", "no argument for b of add"),
        ("add(1, 2, 3)", "too many arguments"),
        ("add(1, 3000000000)", "s32"),
        ('add("one", 2)', "s32"),
        ("subtract(1, 2)", "exports no function subtract; it exports add"),
        ("add", "expected a call"),
        ("", "exports no function"),
    ],
)
def test_wrong_calls_are_explained(hlwasm: CommandLine, add: Path, call: str, message: str) -> None:
    done = hlwasm("call", add, call)
    assert done.code == exit_codes.USAGE
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("demo:kitchen-sink/echo@1.0.0#echo-u64(18446744073709551615)", "18446744073709551615"),
        ('demo:kitchen-sink/echo.echo_string("a\\u{1b}[31m\\n")', '"a\\u{1b}[31m\\n"'),
        ("demo:kitchen-sink/echo@1.0.0.echo-list-u8([1, 2, 255])", "[1, 2, 255]"),
        ("echo.echo-option-option(some(none))", "some(none)"),
        ("echo.echo-option-option(none)", "none"),
        ("echo.echo-list-string([])", "[]"),
        ("echo.echo-f32(0.1)", "0.1"),
        ("echo.echo-char('é')", "'é'"),
    ],
)
def test_values_of_many_types(
    hlwasm: CommandLine, kitchen_sink: Path, call: str, result: str
) -> None:
    done = hlwasm("call", "-q", kitchen_sink, call)
    assert done.stderr == ""
    assert (done.code, done.stdout) == (0, result + "\n")


def test_the_error_arm(hlwasm: CommandLine, component_path: Callable[[str], Path]) -> None:
    calculator = component_path("calculator")
    options = ("call", calculator)
    assert hlwasm(*options, "ops.divide(7, 2)").stdout == "3\n"
    done = hlwasm(*options, "ops.divide(7, 0)")
    assert done.code == exit_codes.FAILURE
    assert done.stdout == ""
    assert done.stderr == "hlwasm: the function returned an error: division-by-zero\n"


def test_resources_need_python(hlwasm: CommandLine, kitchen_sink: Path) -> None:
    done = hlwasm("call", kitchen_sink, "things.[method]thing.label()")
    assert done.code == exit_codes.USAGE
    assert "resource" in done.stderr


def test_a_long_list_of_exports_is_cut(hlwasm: CommandLine, kitchen_sink: Path) -> None:
    done = hlwasm("call", kitchen_sink, "missing()")
    assert done.code == exit_codes.USAGE
    assert done.stderr.rstrip().endswith("…; see `hlwasm inspect`")
    assert len(done.stderr) < 1200
