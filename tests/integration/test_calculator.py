"""The WAT calculator: the shortest way through the whole stack."""

from __future__ import annotations

import threading

import pytest

import hlwasm
from tests.integration.conftest import Load, Start

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def calculator(start: Start, log: list[str]) -> hlwasm.Sandbox:
    return start("calculator", {"log": log.append})


def test_whole_numbers_wrap_around(calculator: hlwasm.Sandbox) -> None:
    ops = calculator.exports.ops
    assert ops.add(2, 3) == 5
    assert ops.subtract(2, 3) == -1
    assert ops.multiply(-4, 3) == -12
    assert ops.add(2**31 - 1, 1) == -(2**31)
    assert ops.add(a=1, b=2) == 3


def test_interfaces_are_found_by_wit_name(calculator: hlwasm.Sandbox) -> None:
    for name in ("ops", "demo:calculator/ops", "demo:calculator/ops@1.0.0"):
        assert calculator.exports[name]["add"](20, 22) == 42


def test_error_arms_are_raised(calculator: hlwasm.Sandbox) -> None:
    ops = calculator.exports.ops
    assert ops.divide(-7, 2) == -3
    with pytest.raises(hlwasm.Err) as caught:
        ops.divide(1, 0)
    assert caught.value.value is ops.Failure.DIVISION_BY_ZERO
    with pytest.raises(hlwasm.Err) as caught:
        ops.divide(-(2**31), -1)
    assert caught.value.value is ops.Failure.OVERFLOW
    # An error arm is an answer like any other: the sandbox goes on.
    assert calculator.status is hlwasm.Status.READY
    assert ops.divide(6, 3) == 2


def test_the_component_calls_the_host(calculator: hlwasm.Sandbox, log: list[str]) -> None:
    assert calculator.exports.ops.total([5, 7, -20]) == -8
    assert log == ["0 + 5 = 5", "5 + 7 = 12", "12 + -20 = -8"]
    log.clear()
    assert calculator.exports.ops.total([]) == 0
    assert calculator.exports.ops.total([-(2**31)]) == -(2**31)
    assert log == ["0 + -2147483648 = -2147483648"]


def test_calls_leave_nothing_behind(calculator: hlwasm.Sandbox, log: list[str]) -> None:
    ops = calculator.exports.ops
    numbers = list(range(2000))
    for _ in range(20):
        assert ops.total(numbers) == sum(numbers)
    assert len(log) == 20 * len(numbers)


def test_one_exit_per_call_and_per_host_call(calculator: hlwasm.Sandbox) -> None:
    ops = calculator.exports.ops
    ops.add(1, 1)
    before = calculator.counters()
    for _ in range(100):
        ops.add(1, 1)
    after = calculator.counters()
    assert after.exits - before.exits <= 110
    assert after.host_calls == before.host_calls
    ops.total([1, 2, 3])
    assert calculator.counters().host_calls == before.host_calls + 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, 2**31), hlwasm.WitValueError, "b: 2147483648 does not fit s32"),
        ((1.5, 2), hlwasm.WitTypeError, "parameter a"),
        ((True, 2), hlwasm.WitTypeError, "parameter a"),
        ((1, None), hlwasm.WitTypeError, "parameter b"),
    ],
)
def test_wrong_values_are_refused_before_the_call(
    calculator: hlwasm.Sandbox,
    arguments: tuple[object, ...],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        calculator.exports.ops.add(*arguments)
    assert calculator.exports.ops.add(1, 2) == 3


def test_wrong_element_of_a_list_is_named(calculator: hlwasm.Sandbox) -> None:
    with pytest.raises(hlwasm.WitTypeError, match=r"ops\.total: parameter numbers\[2\]"):
        calculator.exports.ops.total([1, 2, "three"])


def test_wrong_number_of_arguments(calculator: hlwasm.Sandbox) -> None:
    with pytest.raises(TypeError, match="add"):
        calculator.exports.ops.add(1)
    with pytest.raises(TypeError, match="add"):
        calculator.exports.ops.add(1, 2, 3)
    assert calculator.exports.ops.add(1, 2) == 3


def test_unknown_exports_name_the_known_ones(calculator: hlwasm.Sandbox) -> None:
    with pytest.raises(AttributeError, match=r"no 'modulo'.*multiply"):
        calculator.exports.ops.modulo  # noqa: B018


def test_missing_imports_are_named(load: Load) -> None:
    with pytest.raises(hlwasm.LinkError, match="log"):
        load("calculator").instantiate()
    with pytest.raises(hlwasm.LinkError, match="log"):
        load("calculator").instantiate({"log": lambda: None})


def test_exceptions_of_host_functions_come_back(load: Load) -> None:
    class Refused(Exception):
        pass

    def log(message: str) -> None:
        raise Refused(message)

    with load("calculator").instantiate({"log": log}) as sandbox:
        with pytest.raises(Refused, match=r"0 \+ 1 = 1") as caught:
            sandbox.exports.ops.total([1, 2])
        assert "log" in [entry.name for entry in caught.traceback]
        # The component stopped half-way, so its state cannot be trusted.
        assert sandbox.status is hlwasm.Status.POISONED
        with pytest.raises(hlwasm.SandboxPoisoned, match="Refused"):
            sandbox.exports.ops.add(1, 2)


def test_host_functions_cannot_call_their_sandbox(load: Load) -> None:
    calls: list[str] = []

    def log(message: str) -> None:
        with pytest.raises(hlwasm.ReentrantCall):
            sandbox.exports.ops.add(1, 2)
        with pytest.raises(hlwasm.ReentrantCall):
            sandbox.close()
        calls.append(message)

    with load("calculator").instantiate({"log": log}) as sandbox:
        assert sandbox.exports.ops.total([1, 2]) == 3
    assert len(calls) == 2


def test_another_sandbox_may_be_called_from_a_host_function(start: Start) -> None:
    inner = start("calculator", {"log": lambda message: None})
    answers = []
    outer = start("calculator", {"log": lambda m: answers.append(inner.exports.ops.add(40, 2))})
    assert outer.exports.ops.total([1]) == 1
    assert answers == [42]


def test_another_thread_is_told_that_the_sandbox_is_busy(load: Load) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def log(message: str) -> None:
        entered.set()
        assert go_on.wait(10)

    with load("calculator").instantiate({"log": log}) as sandbox:
        thread = threading.Thread(target=sandbox.exports.ops.total, args=([1],))
        thread.start()
        assert entered.wait(10)
        assert sandbox.status is hlwasm.Status.RUNNING
        with pytest.raises(hlwasm.SandboxBusy):
            sandbox.exports.ops.add(1, 2)
        go_on.set()
        thread.join()
        assert sandbox.exports.ops.add(1, 2) == 3


def test_many_sandboxes_side_by_side(start: Start) -> None:
    logs: list[list[str]] = [[] for _ in range(8)]
    sandboxes = [start("calculator", {"log": log.append}) for log in logs]
    threads = [
        threading.Thread(target=sandbox.exports.ops.total, args=([i] * 50,))
        for i, sandbox in enumerate(sandboxes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, log in enumerate(logs):
        assert log[-1] == f"{49 * i} + {i} = {50 * i}"


def test_closed_sandboxes_say_so(load: Load) -> None:
    sandbox = load("calculator").instantiate({"log": print})
    add = sandbox.exports.ops.add
    assert add(1, 2) == 3
    sandbox.close()
    sandbox.close()
    assert sandbox.status is hlwasm.Status.CLOSED
    with pytest.raises(hlwasm.SandboxClosed):
        add(1, 2)


def test_arguments_larger_than_the_transfer_memory(start: Start) -> None:
    sandbox = start("calculator", {"log": lambda message: None})
    with pytest.raises(hlwasm.LimitExceeded) as caught:
        sandbox.exports.ops.total(range(17 << 20))
    assert caught.value.limit == "transfer_memory"
    assert sandbox.exports.ops.add(1, 2) == 3


def test_the_world_can_be_read(load: Load) -> None:
    component = load("calculator")
    assert "import log: func(message: string)" in component.wit
    assert "divide: func(a: s32, b: s32) -> result<s32, failure>" in component.wit
