"""wasi:clocks and wasi:random, real and replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.errors import Trap
from hlwasm.wasi import WasiHost
from hlwasm.wasi.clocks import Datetime, TimezoneDisplay
from hlwasm.wasi.random import RANDOM_LIMIT

MakeHost = Callable[..., WasiHost]
MS = 1_000_000


def served(host: WasiHost, name: str) -> Any:
    interface = host.interface(f"wasi:{name}@0.2.3")
    assert interface is not None
    return interface


def test_monotonic_clock_is_this_machines(make_host: MakeHost) -> None:
    clock = served(make_host(), "clocks/monotonic-clock")
    before = time.monotonic_ns()
    first, second = clock.now(), clock.now()
    assert before <= first <= second <= time.monotonic_ns()
    assert clock.resolution() == 1


def test_subscribe_duration_and_instant(make_host: MakeHost) -> None:
    clock = served(make_host(), "clocks/monotonic-clock")
    start = clock.now()
    clock.subscribe_duration(5 * MS).block()
    assert clock.now() - start >= 5 * MS
    assert clock.subscribe_duration(0).ready()
    assert not clock.subscribe_duration((1 << 64) - 1).ready()
    assert clock.subscribe_instant(start).ready()
    assert not clock.subscribe_instant(clock.now() + 10_000 * MS).ready()


def test_wall_clock_is_this_machines(make_host: MakeHost) -> None:
    clock = served(make_host(), "clocks/wall-clock")
    before = time.time_ns()
    now = clock.now()
    assert before <= now.seconds * 10**9 + now.nanoseconds <= time.time_ns()
    assert clock.resolution() == Datetime(0, 1)


def test_clocks_can_be_replaced(make_host: MakeHost) -> None:
    host = make_host(wall_clock=lambda: 1_234_567_890_999_999_999, monotonic_clock=lambda: 7)
    assert served(host, "clocks/wall-clock").now() == Datetime(1_234_567_890, 999_999_999)
    clock = served(host, "clocks/monotonic-clock")
    assert clock.now() == 7
    assert clock.subscribe_instant(7).ready()
    assert not clock.subscribe_instant(8).ready()


def test_time_zone_is_utc(make_host: MakeHost) -> None:
    zone = served(make_host(), "clocks/timezone")
    assert zone.display(Datetime(0, 0)) == TimezoneDisplay(0, "UTC", False)
    assert zone.utc_offset(Datetime(0, 0)) == 0


def test_random_bytes(make_host: MakeHost) -> None:
    host = make_host()
    secure, insecure = served(host, "random/random"), served(host, "random/insecure")
    for get in (secure.get_random_bytes, insecure.get_insecure_random_bytes):
        assert get(0) == b""
        assert len(get(1000)) == 1000
        assert get(16) != get(16)
    for get_u64 in (secure.get_random_u64, insecure.get_insecure_random_u64):
        values = [get_u64() for _ in range(64)]
        assert all(0 <= value < 1 << 64 for value in values)
        assert max(values) >= 1 << 60


def test_seed_differs_at_each_call(make_host: MakeHost) -> None:
    seed = served(make_host(), "random/insecure-seed").insecure_seed
    assert seed() != seed()
    assert all(0 <= half < 1 << 64 for half in seed())


@pytest.mark.parametrize("count", [RANDOM_LIMIT + 1, (1 << 64) - 1])
def test_too_many_random_bytes_trap_by_name(make_host: MakeHost, count: int) -> None:
    drawn: list[int] = []

    def source(length: int) -> bytes:
        drawn.append(length)
        return bytes(length)

    host = make_host(random=source)
    with pytest.raises(Trap, match=r"wasi:random/random@0\.2\.3#get-random-bytes"):
        served(host, "random/random").get_random_bytes(count)
    with pytest.raises(Trap, match="get-insecure-random-bytes"):
        served(host, "random/insecure").get_insecure_random_bytes(count)
    assert drawn == []


def test_random_can_be_replaced(make_host: MakeHost) -> None:
    host = make_host(random=lambda length: b"\x01" + bytes(length - 1))
    assert served(host, "random/random").get_random_bytes(3) == b"\x01\0\0"
    assert served(host, "random/random").get_random_u64() == 1
    assert served(host, "random/insecure-seed").insecure_seed() == (1, 1)


def test_a_source_of_the_wrong_length_is_told(make_host: MakeHost) -> None:
    host = make_host(random=lambda length: b"short")
    with pytest.raises(ValueError, match=r"Wasi\.random returned 5 bytes for 8"):
        served(host, "random/random").get_random_u64()
