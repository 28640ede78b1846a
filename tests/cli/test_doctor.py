"""`hlwasm doctor` on this machine."""

from __future__ import annotations

import json

import pytest

from .running import CommandLine

pytestmark = pytest.mark.hypervisor


def test_this_machine_is_well(hlwasm: CommandLine) -> None:
    done = hlwasm("doctor")
    assert done.code == 0
    assert "FAIL" not in done.stdout
    for name in ("python", "cpu", "hypervisor", "compiler", "cache", "self-test", "boot"):
        assert name in done.stdout


def test_json(hlwasm: CommandLine) -> None:
    report = json.loads(hlwasm("doctor", "--json").stdout)
    assert report["ok"] is True
    assert {check["name"]: check["ok"] for check in report["checks"]}["self-test"] is True
    assert 0 < report["timings_seconds"]["call, median"] < report["timings_seconds"]["boot"]


def test_a_cache_that_cannot_be_written_is_a_finding(hlwasm: CommandLine) -> None:
    done = hlwasm("doctor", env={"HLWASM_CACHE_DIR": "/dev/null/cache"})
    assert done.code == 1
    assert "FAIL cache" in done.stdout
