"""Records are made by ``logging`` once there are any, and not before."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from hlwasm.logs import WARNING, log, set_up_with


def test_a_record_says_where_it_comes_from(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hlwasm.test"):
        log("hlwasm.test", WARNING, "%s of %d", "one", 2)
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("one of 2", "WARNING")
    assert record.filename == "test_logs.py"


def test_logging_is_set_up_before_the_first_record(caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []
    set_up_with(lambda: order.append("set up"))
    assert order == []
    log("hlwasm.test", WARNING, "first")
    log("hlwasm.test", WARNING, "second")
    assert order == ["set up"]


def test_logging_is_not_imported_before() -> None:
    code = "import sys, hlwasm.logs; assert 'logging' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
