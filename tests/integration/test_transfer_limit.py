"""What an artifact from elsewhere may make a call cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import hlwasm
from hlwasm.artifact import CompileOptions, prepare

MIB = 1 << 20


def test_an_artifact_for_larger_values_is_refused_unless_allowed(
    component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    source = component_path("calculator").read_bytes()
    artifact = prepare(source, options=CompileOptions(transfer_bytes=128 * MIB), cache=None)
    path = tmp_path / "large.cwasm"
    path.write_bytes(Path(f"/proc/self/fd/{artifact.fd}").read_bytes())
    with pytest.raises(hlwasm.LimitExceeded, match="transfer_memory=134217728") as caught:
        hlwasm.load(path)
    assert caught.value.limit == "transfer_memory"
    assert hlwasm.load(path, transfer_memory=128 * MIB).name == "large.cwasm"
