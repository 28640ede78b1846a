"""The fixtures and the mark of the pytest plugin, in runs of pytest with real micro-VMs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import components

from .conftest import PLUGIN, Run

COMPONENTS = Path(components.__file__).parent

HEAD = """
import hlwasm
import pytest
from hlwasm.testing import ANY

pytestmark = pytest.mark.component("calculator.wasm")
"""
# One function that counts its calls, and one that traps.
COUNTER = b"""(component
  (core module $m (global $n (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
    (func (export "trap") unreachable))
  (core instance $i (instantiate $m))
  (func (export "next") (result u32) (canon lift (core func $i "next")))
  (func (export "trap") (canon lift (core func $i "trap"))))"""
COUNTING = f"""
import hlwasm
import pytest

pytestmark = pytest.mark.component({COUNTER!r})
"""

needs_hypervisor = pytest.mark.hypervisor


@needs_hypervisor
def test_a_test_gets_component_sandbox_exports_and_fakes(run: Run) -> None:
    result = run(
        test_it=HEAD
        + """
def test_all(component, sandbox, exports, fakes):
    assert component.name == "calculator.wasm"
    assert sandbox.component is component
    assert exports is sandbox.exports
    assert exports.ops.total([5, 7]) == 12
    assert [str(call) for call in fakes.calls] == ['log("0 + 5 = 5")', 'log("5 + 7 = 12")']
"""
    )
    result.assert_outcomes(passed=1)


@needs_hypervisor
def test_each_test_finds_the_state_after_instantiation(run: Run) -> None:
    result = run(
        test_it=COUNTING
        + """
seen = []

@pytest.mark.parametrize("number", range(3))
def test_counts_from_one(sandbox, number):
    seen.append(sandbox)
    assert sandbox.exports.next() == 1
    assert sandbox.exports.next() == 2

def test_is_poisoned_by_a_trap(sandbox):
    seen.append(sandbox)
    with pytest.raises(hlwasm.Trap):
        sandbox.exports.trap()
    assert sandbox.status is hlwasm.Status.POISONED

def test_is_whole_again(sandbox):
    assert sandbox.exports.next() == 1
    assert seen == [sandbox] * 4
    sandbox.close()

def test_is_another_one_after_a_close(sandbox):
    assert sandbox is not seen[0]
    assert sandbox.exports.next() == 1
"""
    )
    result.assert_outcomes(passed=6)


@needs_hypervisor
def test_fakes_start_anew_for_each_test(run: Run) -> None:
    result = run(
        test_it=HEAD
        + """
boxes = []

def test_expects_one_thing(sandbox, fakes):
    boxes.append(sandbox)
    fakes.log.expect("0 + 1 = 1")
    sandbox.exports.ops.total([1])

def test_expects_another(sandbox, fakes):
    boxes.append(sandbox)
    assert fakes.calls == []
    fakes.log.expect("0 + 2 = 2")
    sandbox.exports.ops.total([2])
    assert boxes == [sandbox] * 2

def test_expects_nothing(exports, fakes):
    exports.ops.total([3])
    assert len(fakes.calls) == 1
"""
    )
    result.assert_outcomes(passed=3)


@needs_hypervisor
def test_unmet_and_swallowed_expectations_fail_the_test(run: Run) -> None:
    result = run(
        test_it=HEAD
        + """
def test_unmet(exports, fakes):
    fakes.log.expect("never said").times(2)

def test_unexpected(exports, fakes):
    fakes.log.expect("0 + 1 = 1")
    exports.ops.total([2])

def test_swallowed(exports, fakes):
    fakes.log.expect(ANY).never()
    with pytest.raises(AssertionError):
        exports.ops.total([1])

@pytest.mark.component(strict=True)
def test_strict(exports, fakes):
    exports.ops.total([1])
"""
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "expected calls were not made:",
            '  log("never said"): expected twice, never called',
            'E   *UnexpectedCall: unexpected call: log("0 + 2 = 2")',
            '*unexpected call: log("0 + 1 = 1")',
            '*unexpected call: log("0 + 1 = 1")',
            "*nothing is expected of this function",
        ],
        consecutive=False,
    )
    # What happened inside hlwasm is of no use to who wrote the test.
    result.stdout.no_fnmatch_line("*hlwasm/sandbox/calls.py*")
    result.stdout.no_fnmatch_line("*hlwasm/testing/fakes*")


@needs_hypervisor
def test_imports_come_from_the_mark_or_from_a_fixture(run: Run) -> None:
    result = run(
        test_it=HEAD
        + """
class Host:
    made = 0
    def __init__(self):
        Host.made += 1
        self.lines = []
    def log(self, message):
        self.lines.append(message)

@pytest.mark.component(imports=Host)
@pytest.mark.parametrize("number", [1, 2])
def test_one_for_each_test(exports, imports, number):
    exports.ops.total([5])
    assert imports.lines == ["0 + 5 = 5"]
    assert Host.made == number

lines = []

@pytest.mark.component(imports={"log": lines.append})
def test_as_they_are(exports):
    exports.ops.total([1])
    assert lines == ["0 + 1 = 1"]

class TestFixture:
    @pytest.fixture
    def imports(self):
        return {"log": lambda message: lines.append(message.upper())}

    def test_overridden(self, exports):
        exports.ops.total([1])

@pytest.mark.component(imports={"lug": print})
def test_wrong(exports):
    pass
"""
    )
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        ["calculator.wasm cannot be instantiated: the imports do not fit the component:",
         "  - log: missing", "  - lug: not an import; the component imports *"]
    )  # fmt: skip


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


@pytest.mark.parametrize("required", ["", "ini", "variable"])
def test_without_a_hypervisor_tests_are_skipped_unless_it_is_required(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str
) -> None:
    if required == "ini":
        pytester.makeini("[pytest]\nhlwasm_require_hypervisor = true\n")
    if required == "variable":
        monkeypatch.setenv("HLWASM_REQUIRE_KVM", "1")
    pytester.makeconftest(
        """
import hlwasm.sandbox.sandbox

def boot(self):
    raise hlwasm.NoHypervisorFound("/dev/kvm does not exist", ("load the module",))

hlwasm.sandbox.sandbox.SandboxBase._boot = boot
"""
    )
    result = run("-rs", test_it=HEAD + "def test_it(exports): pass\n")
    if required:
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["/dev/kvm does not exist (*)"])
    else:
        result.assert_outcomes(skipped=1)
        result.stdout.fnmatch_lines(["SKIPPED * /dev/kvm does not exist"])


@needs_hypervisor
def test_a_sandbox_that_a_thread_still_uses_is_left_to_it(run: Run) -> None:
    result = run(
        test_it="""
import threading
import pytest

SPIN = b'''(component
  (core module $m (func (export "spin") (loop br 0)) (func (export "one") (result i32) i32.const 1))
  (core instance $i (instantiate $m))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "one") (result u32) (canon lift (core func $i "one"))))'''
pytestmark = pytest.mark.component(SPIN)
threads = []

def spin(sandbox, entered):
    entered.set()
    try:
        sandbox.exports.spin()
    except Exception:
        pass

def test_leaves_a_thread(sandbox):
    assert sandbox.exports.one() == 1
    entered = threading.Event()
    thread = threading.Thread(target=spin, args=(sandbox, entered))
    threads.append(thread)
    thread.start()
    entered.wait()
    while sandbox.status.value != "running":
        pass

def test_has_one_of_its_own(sandbox):
    assert sandbox.exports.one() == 1
    threads[0].join(60)
    assert not threads[0].is_alive()
"""
    )
    result.assert_outcomes(passed=2)


@needs_hypervisor
def test_what_a_component_asks_while_it_is_instantiated_is_the_tests_own(run: Run) -> None:
    result = run(
        test_it="""
import pytest

# Keeps what `seed` answers when it is instantiated.
SEEDED = b'''(component
  (import "seed" (func $seed (result u32)))
  (core func $lowered (canon lower (func $seed)))
  (core module $m
    (import "" "seed" (func $seed (result i32)))
    (global $n (mut i32) (i32.const 0))
    (func $start (global.set $n (call $seed)))
    (start $start)
    (func (export "seed") (result i32) global.get $n))
  (core instance $i (instantiate $m (with "" (instance (export "seed" (func $lowered))))))
  (func (export "seeded") (result u32) (canon lift (core func $i "seed"))))'''
pytestmark = pytest.mark.component(SEEDED)

@pytest.mark.parametrize("number", [1, 2, 3])
def test_seed(fakes, number, request):
    fakes.seed.returns(number)
    sandbox = request.getfixturevalue("sandbox")
    assert sandbox.exports.seeded() == number
    assert len(fakes.calls) == 1
"""
    )
    result.assert_outcomes(passed=3)


RECORDED = (
    HEAD
    + """
@pytest.mark.component(recording="total.jsonl")
def test_total(exports, fakes):
    {before}
    assert exports.ops.total({numbers}) == sum({numbers})
"""
)


@needs_hypervisor
def test_a_recording_is_made_once_and_replayed_from_then_on(
    run: Run, pytester: pytest.Pytester
) -> None:
    first = RECORDED.format(before="fakes.log.expect().at_least(1)", numbers=[5, 7])
    result = run(test_it=first)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["there is no recording */total.jsonl: make it by pytest --hlwasm-record"]
    )
    run("--hlwasm-record").assert_outcomes(passed=1)
    recording = pytester.path / "total.jsonl"
    assert '{"host": "log", "args": ["\\"5 + 7 = 12\\""]' in recording.read_text()
    # The fakes are not called any more, and nothing is expected of them.
    run().assert_outcomes(passed=1)
    made = recording.read_bytes()

    other = run(test_it=RECORDED.format(before="pass", numbers=[5, 8]))
    other.assert_outcomes(failed=1)
    other.stdout.fnmatch_lines(
        [
            "E*ReplayMismatch: *total.jsonl, line 2: the replay goes another way *",
            "E*recorded: call demo:calculator/ops@1.0.0#total(?5, 7?)",
            "E*now:      call demo:calculator/ops@1.0.0#total(?5, 8?)",
        ]
    )
    other.stdout.no_fnmatch_line("*hlwasm/testing*")

    less = run(test_it=RECORDED.format(before="return", numbers=[5, 7]))
    less.assert_outcomes(failed=1)
    less.stdout.fnmatch_lines(["*recorded: call *total(?5, 7?)", "  now:      the end"])

    # A test that fails makes no recording.
    failing = run("--hlwasm-record", test_it=RECORDED.format(before="assert 0", numbers=[1]))
    failing.assert_outcomes(failed=1)
    assert recording.read_bytes() == made
    recording.write_text("nonsense")
    damaged = run(test_it=first)
    damaged.assert_outcomes(errors=1)
    damaged.stdout.fnmatch_lines(["*total.jsonl, line 1: this is no recording of hlwasm"])


@needs_hypervisor
def test_several_workers(run: Run) -> None:
    result = run(
        "-n",
        "2",
        test_it=HEAD
        + """
@pytest.mark.parametrize("number", range(20))
def test_add(exports, fakes, number):
    assert exports.ops.add(number, 1) == number + 1
""",
    )
    result.assert_outcomes(passed=20)


def test_the_mark_and_the_fixtures_are_documented(run: Run) -> None:
    run("--markers").stdout.fnmatch_lines(["@pytest.mark.component(path, *"])
    shown = run("--fixtures", "--strict-markers").stdout
    for name in ("component", "imports", "wasi", "fakes", "sandbox", "exports"):
        shown.fnmatch_lines([f"{name} -- *plugin.py:*"])
        shown.no_fnmatch_line(f"*{name}*no docstring*")


def test_a_run_that_does_not_use_it_imports_next_to_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass\n")
    pytester.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('modules:', *sorted(m for m in sys.modules if m.startswith('hlwasm')))\n"
        "    print('hypothesis:', 'hypothesis' in sys.modules)\n"
    )
    arguments = [*PLUGIN, "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, check=True
    )
    assert "modules: hlwasm hlwasm.testing hlwasm.testing.plugin\n" in done.stdout
    assert "hypothesis: False\n" in done.stdout


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
