"""A table of resources, and what it has dropped."""

from __future__ import annotations

import pytest

from hlwasm.sandbox.resources import ResourceTable
from tests.unit.sandbox.resource_tables import Dropped, table_of


@pytest.fixture
def dropped() -> Dropped:
    return []


@pytest.fixture
def table(dropped: Dropped) -> ResourceTable:
    return table_of(dropped)
