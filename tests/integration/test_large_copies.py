"""New VMs of one snapshot come to share a component's code in large pages."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hlwasm
from tests.integration.conftest import Load
from tests.integration.test_componentize_py import Host

COPY = "memfd:hlwasm_artifact"
KERNEL = tuple(map(int, platform.release().split(".")[:2]))

pytestmark = [
    pytest.mark.hypervisor,
    pytest.mark.toolchain("componentize-py"),
    pytest.mark.skipif(KERNEL < (6, 1), reason="MADV_COLLAPSE came with Linux 6.1"),
]


@pytest.fixture(autouse=True)
def keep_no_vms() -> Iterator[None]:
    before = hlwasm.vm_pool().limit
    hlwasm.vm_pool(limit=0)
    yield
    hlwasm.vm_pool(limit=before)


def settle() -> None:
    while hlwasm.vm_pool().waiting:
        time.sleep(0.001)


def mapped() -> int:
    return Path("/proc/self/maps").read_text().count(COPY)


def test_sandboxes_on_either_answer_the_same(load: Load) -> None:
    component, imports = load("inventory_py"), Host()
    with component.instantiate(imports) as first:
        expected = first.exports.summary()
        snapshot = first.snapshot()
        for _ in range(2):
            with snapshot.instantiate(imports) as sandbox:
                assert sandbox.exports.summary() == expected
            settle()
        with snapshot.instantiate(imports) as sandbox, first.fork(imports) as forked:
            assert mapped() >= 1
            assert sandbox.exports.summary() == forked.exports.summary() == expected
            # The first one has the file; both are put back to what either has saved.
            for saved in (sandbox.snapshot(), snapshot, forked.snapshot()):
                for each in (first, sandbox, forked):
                    each.restore(saved)
                    assert each.exports.summary() == expected


def test_snapshots_of_one_component_have_one_copy(load: Load) -> None:
    component, imports = load("inventory_py"), Host()
    kept = []
    for _ in range(2):
        with component.instantiate(imports) as sandbox:
            snapshot = sandbox.snapshot()
        for _ in range(2):
            snapshot.instantiate(imports).close()
            settle()
        kept.append(snapshot.instantiate(imports))
    inodes = {
        line.split()[4] for line in Path("/proc/self/maps").read_text().splitlines() if COPY in line
    }
    for sandbox in kept:
        sandbox.close()
    assert len(inodes) == 1
