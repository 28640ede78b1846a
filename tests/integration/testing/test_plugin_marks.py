"""The mark of the pytest plugin: its options, and what is said of those that are wrong."""

from __future__ import annotations

import pytest

from .conftest import Run
from .test_plugin import COMPONENTS, COUNTER, HEAD, needs_hypervisor


@needs_hypervisor
def test_the_nearest_mark_wins_and_limits_hold(run: Run) -> None:
    result = run(
        test_it=HEAD
        + f"""
COUNTER = {COUNTER!r}

@pytest.mark.component(limits=hlwasm.Limits(memory=1 << 20))
class TestLimits:
    def test_of_the_class(self, sandbox):
        assert sandbox.component.name == "calculator.wasm"
        assert sandbox.limits.memory == 1 << 20

    @pytest.mark.component(COUNTER, limits=hlwasm.Limits(memory=1 << 21))
    def test_its_own(self, sandbox):
        assert sandbox.exports.next() == 1
        assert sandbox.limits.memory == 1 << 21

    @pytest.mark.component(COUNTER, limits=hlwasm.Limits(fuel=1000))
    def test_fuel(self, sandbox):
        assert sandbox.exports.next() == 1
        assert sandbox.fuel_used

    @pytest.mark.component(load={{"transfer_memory": 1 << 17}})
    def test_loaded_for_small_values(self, sandbox):
        with pytest.raises(hlwasm.TransferLimitExceeded):
            sandbox.exports.ops.total(range(1 << 16))

    @pytest.mark.component(load={{"fool": True}})
    def test_loaded_wrongly(self, component):
        pass

@pytest.mark.parametrize("component", ["calculator.wasm", COUNTER], indirect=True, ids=str)
def test_parametrized(component, sandbox):
    assert sandbox.component is component
"""
    )
    result.assert_outcomes(passed=6, errors=1)
    result.stdout.fnmatch_lines(["the component cannot be loaded: * argument 'fool'"])


@needs_hypervisor
def test_paths_are_relative_to_the_test_file_or_the_rootdir(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.mkdir("deeper")
    deeper = pytester.path / "deeper" / "test_deeper.py"
    deeper.write_text(
        "import pytest\n"
        '@pytest.mark.component("calculator.wasm")\n'
        "def test_of_the_rootdir(exports): assert exports.ops.add(1, 2) == 3\n"
        '@pytest.mark.component("../calculator.wasm")\n'
        "def test_beside(exports): assert exports.ops.add(1, 2) == 3\n"
        "def test_without_a_mark(exports): assert exports.ops.add(1, 2) == 3\n"
    )
    pytester.makeini("[pytest]\nhlwasm_component = calculator.wasm\n")
    run().assert_outcomes(passed=3)


def test_what_is_wrong_with_a_mark_is_said_in_one_line(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "broken.wasm").write_bytes(b"\0asm\x01\0\0\0\xff\xff")
    result = run(
        test_it="""
import pytest

def test_no_mark(component): pass

@pytest.mark.component("missing.wasm")
def test_missing(component): pass

@pytest.mark.component("broken.wasm")
def test_broken(component): pass

@pytest.mark.component("broken.wasm")
def test_broken_again(component): pass

@pytest.mark.component("calculator.wasm", import_={})
def test_unknown_option(component): pass

@pytest.mark.component(7)
def test_no_path(component): pass

@pytest.mark.component("a.wasm", "b.wasm")
def test_two_paths(component): pass

@pytest.mark.component("calculator.wasm", fake_wasi=["wasi:clocks/wall-clock"])
def test_no_such_wasi(fakes): pass
"""
    )
    result.assert_outcomes(errors=8)
    result.stdout.fnmatch_lines(
        [
            "no component: mark the test with @pytest.mark.component(*",
            "there is no component */missing.wasm",
            "the component cannot be loaded: broken.wasm: *",
            "the component cannot be loaded: broken.wasm: *",
            "@pytest.mark.component: unknown option import_; it takes a path and *",
            "@pytest.mark.component: component: expected a path, not int",
            "@pytest.mark.component: more than one path; *",
            "wasi: the component does not import wasi:clocks/wall-clock; it imports *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_a_component_has_to_conform_to_the_wit_of_the_mark(
    run: Run, pytester: pytest.Pytester
) -> None:
    wit = (COMPONENTS / "calculator" / "wit" / "world.wit").read_text()
    (pytester.path / "world.wit").write_text(wit)
    changed = wit.replace("b: s32) -> s32;", "b: s64) -> s32;", 1)
    (pytester.path / "other.wit").write_text(
        changed.replace("export ops;", "export ops; export x: func();")
    )
    (pytester.path / "broken.wit").write_text("package a:b; interface {")
    result = run(
        test_it=HEAD
        + """
@pytest.mark.component(wit="world.wit", world="calculator")
def test_conforms(component):
    assert "wraps around at 32 bits" in component.description.exports[0].docs

@pytest.mark.component(wit="other.wit")
def test_does_not(component): pass

@pytest.mark.component(wit="broken.wit")
def test_broken(component): pass

@pytest.mark.component(wit="missing.wit")
def test_missing(component): pass
"""
    )
    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(
        [
            "calculator.wasm does not conform to *",
            "  different export *ops@1.0.0#add: *",
            "  missing export x: *",
            "the component cannot be loaded: *broken.wit*",
            "there is no WIT */missing.wit",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_the_mark_and_the_fixtures_are_documented(run: Run) -> None:
    run("--markers").stdout.fnmatch_lines(["@pytest.mark.component(path, *"])
    shown = run("--fixtures", "--strict-markers").stdout
    for name in ("component", "imports", "wasi", "fakes", "sandbox", "exports"):
        shown.fnmatch_lines([f"{name} -- *plugin.py:*"])
        shown.no_fnmatch_line(f"*{name}*no docstring*")


@needs_hypervisor
def test_options_of_another_type_are_told(run: Run) -> None:
    result = run(
        test_it=HEAD
        + """
@pytest.mark.component(limits=5)
def test_limits(component):
    pass

@pytest.mark.component(recording=5)
def test_recording(sandbox):
    pass
"""
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["@pytest.mark.component: limits: expected hlwasm.Limits, not int",
         "@pytest.mark.component: recording: expected a path, not int"]
    )  # fmt: skip
