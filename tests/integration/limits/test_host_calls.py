"""Host calls and their bytes: kept at N, refused at N + 1."""

from __future__ import annotations

import pytest

import hlwasm
from tests.integration.limits.guest import Host, exceeds, made

pytestmark = pytest.mark.hypervisor


def test_the_host_call_too_many_is_not_served(plain: hlwasm.Component) -> None:
    host = Host()
    with made(plain, host, host_calls=5) as sandbox:
        for _ in range(3):
            assert sandbox.exports.ask(5) == 15
        host.numbers.clear()
        with exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 5):
            sandbox.exports.ask(6)
        assert host.numbers == [6, 5, 4, 3, 2]


def test_a_guest_that_calls_the_host_for_ever(plain: hlwasm.Component) -> None:
    host = Host()
    with (
        made(plain, host, host_calls=2000) as sandbox,
        exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 2000),
    ):
        sandbox.exports.ask_forever()
    assert len(host.numbers) == 2000


def test_no_host_calls_at_all(plain: hlwasm.Component) -> None:
    host = Host()
    with made(plain, host, host_calls=0) as sandbox:
        sandbox.exports.spin(10)
        assert sandbox.exports.ask(0) == 0
        with exceeds(sandbox, hlwasm.HostCallLimitExceeded, "host_calls", 0):
            sandbox.exports.ask(1)
    assert host.numbers == []


def test_bytes_of_scalars_are_counted_both_ways(plain: hlwasm.Component) -> None:
    # Ten, so that both codecs have their turn: four bytes there, four back.
    with made(plain, host_call_bytes=80) as sandbox:
        sandbox.exports.ask(10)
        sandbox.exports.ask(10)
    with (
        made(plain, host_call_bytes=79) as sandbox,
        exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 79),
    ):
        sandbox.exports.ask(10)


@pytest.mark.parametrize("warm", [False, True])
def test_bytes_of_a_string_count_before_the_function_runs(
    plain: hlwasm.Component, warm: bool
) -> None:
    host = Host()
    with made(plain, host, host_call_bytes=1008) as sandbox:
        for _ in range(8 * warm):
            sandbox.exports.say(10)
        host.lengths.clear()
        sandbox.exports.say(1000)  # pointer and length are eight more
        with exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 1008):
            sandbox.exports.say(1001)
    assert host.lengths == [1000]


@pytest.mark.parametrize("warm", [False, True])
def test_bytes_of_a_result_count(plain: hlwasm.Component, warm: bool) -> None:
    host = Host()
    with made(plain, host, host_call_bytes=4 + 8 + 500) as sandbox:
        for _ in range(8 * warm):
            sandbox.exports.take(1)
        sandbox.exports.take(500)
        with exceeds(sandbox, hlwasm.HostCallBytesExceeded, "host_call_bytes", 512):
            sandbox.exports.take(501)
    assert host.given[-2:] == [500, 501]
