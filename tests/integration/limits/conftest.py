"""The guests of the tests of limits, compiled."""

from __future__ import annotations

import pytest

import hlwasm
from tests.integration.limits.guest import GROW, GUEST


@pytest.fixture(scope="module")
def plain() -> hlwasm.Component:
    return hlwasm.load(GUEST, cache=False)


@pytest.fixture(scope="module")
def counting() -> hlwasm.Component:
    return hlwasm.load(GUEST, cache=False, fuel=True)


@pytest.fixture(scope="module")
def growing() -> hlwasm.Component:
    return hlwasm.load(GROW, cache=False)
