"""The component of the tests, and pools of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import hlwasm
from tests.integration.pool.guest import IMPORTS, TEXT, Make


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(TEXT.encode())


@pytest.fixture
def make(component: hlwasm.Component) -> Iterator[Make]:
    """Makes pools; closed when the test ends."""
    made: list[hlwasm.Pool] = []

    def make(**options: Any) -> hlwasm.Pool:
        if "imports_factory" not in options:
            options.setdefault("imports", IMPORTS)
        made.append(hlwasm.Pool(component, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close(cancel=True, timeout=30)
