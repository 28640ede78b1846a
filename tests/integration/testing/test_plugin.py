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
