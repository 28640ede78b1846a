"""Testing components against their WIT: with pytest, with fakes of their imports, by recordings,
by generated calls.

The names here are imported at first use, so that pytest, which loads
``hlwasm.testing.plugin`` wherever hlwasm is installed, pays nothing for what a run does not use.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any
    from unittest.mock import ANY

    from hlwasm.errors import (
        CheckFailed,
        MissingCall,
        RecordingError,
        ReplayMismatch,
        UnexpectedCall,
    )
    from hlwasm.testing.conforming import ConformanceReport, conformance
    from hlwasm.testing.differential.compare import compare
    from hlwasm.testing.differential.wasmtime_process import WasmtimeProcess
    from hlwasm.testing.fakes import (
        Call,
        Expectation,
        FakeFunction,
        FakeInterface,
        FakeResource,
        Fakes,
    )
    from hlwasm.testing.fuzzing.fuzzer import fuzz
    from hlwasm.testing.recording import Replayed, record, replay, replaying
    from hlwasm.testing.recording.asynchronous import record_async, replay_async, replaying_async

# Public name → its module. A module must not have the name of something public: importing it
# would put the module in that place.
_MODULES = {
    "ANY": "unittest.mock",
    "Call": "hlwasm.testing.fakes",
    "CheckFailed": "hlwasm.errors",
    "ConformanceReport": "hlwasm.testing.conforming",
    "Expectation": "hlwasm.testing.fakes",
    "FakeFunction": "hlwasm.testing.fakes",
    "FakeInterface": "hlwasm.testing.fakes",
    "FakeResource": "hlwasm.testing.fakes",
    "Fakes": "hlwasm.testing.fakes",
    "MissingCall": "hlwasm.errors",
    "RecordingError": "hlwasm.errors",
    "ReplayMismatch": "hlwasm.errors",
    "Replayed": "hlwasm.testing.recording",
    "UnexpectedCall": "hlwasm.errors",
    "WasmtimeProcess": "hlwasm.testing.differential.wasmtime_process",
    "compare": "hlwasm.testing.differential.compare",
    "conformance": "hlwasm.testing.conforming",
    "fuzz": "hlwasm.testing.fuzzing.fuzzer",
    "record": "hlwasm.testing.recording",
    "record_async": "hlwasm.testing.recording.asynchronous",
    "replay": "hlwasm.testing.recording",
    "replay_async": "hlwasm.testing.recording.asynchronous",
    "replaying": "hlwasm.testing.recording",
    "replaying_async": "hlwasm.testing.recording.asynchronous",
}

__all__ = [
    "ANY",
    "Call",
    "CheckFailed",
    "ConformanceReport",
    "Expectation",
    "FakeFunction",
    "FakeInterface",
    "FakeResource",
    "Fakes",
    "MissingCall",
    "RecordingError",
    "ReplayMismatch",
    "Replayed",
    "UnexpectedCall",
    "WasmtimeProcess",
    "compare",
    "conformance",
    "fuzz",
    "record",
    "record_async",
    "replay",
    "replay_async",
    "replaying",
    "replaying_async",
]


def __getattr__(name: str) -> Any:
    module_name = _MODULES.get(name)
    if module_name is None:
        raise AttributeError(f"module 'hlwasm.testing' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module_name), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
