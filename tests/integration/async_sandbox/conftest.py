"""Components for asynchronous sandboxes; a check after each test."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

import hlwasm
from hlwasm.sandbox import workers
from tests.integration.async_sandbox.guests import HOST_CALLS, SLEEPER


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(HOST_CALLS, cache=False)


@pytest.fixture(scope="module")
def sleeper() -> hlwasm.Component:
    return hlwasm.load(SLEEPER, cache=False)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No thread of the pool is in a sandbox when a test has ended."""
    yield
    pool = workers.shared()
    end = time.monotonic() + 10
    while len(pool._idle) < len(pool._workers) and time.monotonic() < end:
        time.sleep(0.001)
    assert all(worker.job is None for worker in pool._workers)
    # Forgotten coroutines and tasks complain when they are collected.
    gc.collect()
