"""Run untrusted WebAssembly components from Python inside a micro-VM.

::

    import hlwasm

    component = hlwasm.load("calculator.wasm")
    with component.instantiate(imports={"host": {"log": print}}) as sandbox:
        sandbox.exports.ops.add(2, 3)
"""

from __future__ import annotations

# As `typing.TYPE_CHECKING`, without the 2 ms that importing `typing` takes: `import hlwasm`
# alone is cheap, and so is the command line's --help.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from hlwasm.artifact import Cache
    from hlwasm.component import Component, load
    from hlwasm.errors import (
        ArtifactError,
        Cancelled,
        CompileError,
        ComponentNotLoaded,
        ConversionError,
        CpuTimeExceeded,
        DeadlineExceeded,
        Err,
        Frame,
        FuelExhausted,
        GuestDataError,
        GuestError,
        GuestFault,
        HlwasmError,
        HostCallBytesExceeded,
        HostCallLimitExceeded,
        InvalidWasm,
        InvalidWit,
        LimitExceeded,
        LinkError,
        LoadError,
        MemoryLimitExceeded,
        NativeError,
        NoHypervisorFound,
        OutputLimitExceeded,
        PoolClosed,
        PoolError,
        PoolTimeout,
        ProgramExit,
        ReentrantCall,
        SandboxBusy,
        SandboxClosed,
        SandboxPoisoned,
        SandboxStateError,
        SnapshotError,
        TableLimitExceeded,
        TransferLimitExceeded,
        Trap,
        TrapCode,
        UnsupportedImport,
        UnsupportedItem,
        ViewInUse,
        WitTypeError,
        WitValueError,
        WorldMismatch,
    )
    from hlwasm.native.vm_pool import VmPool, vm_pool
    from hlwasm.sandbox.async_sandbox import AsyncSandbox
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.pool import AsyncPool, Pool, PoolStatistics
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.sandbox.state import Status
    from hlwasm.sandbox.views import view
    from hlwasm.wasi import Wasi
    from hlwasm.wit.values import Ok, Some

__version__ = "0.1.0"

# Imported at first use. The other names are exceptions and what belongs to them.
_MODULES = {
    "AsyncPool": "hlwasm.sandbox.pool",
    "AsyncSandbox": "hlwasm.sandbox.async_sandbox",
    "Cache": "hlwasm.artifact",
    "Component": "hlwasm.component",
    "Limits": "hlwasm.sandbox.limits",
    "Ok": "hlwasm.wit.values",
    "Pool": "hlwasm.sandbox.pool",
    "PoolStatistics": "hlwasm.sandbox.pool",
    "Sandbox": "hlwasm.sandbox.sandbox",
    "Snapshot": "hlwasm.sandbox.snapshot",
    "Some": "hlwasm.wit.values",
    "Status": "hlwasm.sandbox.state",
    "VmPool": "hlwasm.native.vm_pool",
    "Wasi": "hlwasm.wasi",
    "load": "hlwasm.component",
    "view": "hlwasm.sandbox.views",
    "vm_pool": "hlwasm.native.vm_pool",
}

__all__ = [
    "ArtifactError",
    "AsyncPool",
    "AsyncSandbox",
    "Cache",
    "Cancelled",
    "CompileError",
    "Component",
    "ComponentNotLoaded",
    "ConversionError",
    "CpuTimeExceeded",
    "DeadlineExceeded",
    "Err",
    "Frame",
    "FuelExhausted",
    "GuestDataError",
    "GuestError",
    "GuestFault",
    "HlwasmError",
    "HostCallBytesExceeded",
    "HostCallLimitExceeded",
    "InvalidWasm",
    "InvalidWit",
    "LimitExceeded",
    "Limits",
    "LinkError",
    "LoadError",
    "MemoryLimitExceeded",
    "NativeError",
    "NoHypervisorFound",
    "Ok",
    "OutputLimitExceeded",
    "Pool",
    "PoolClosed",
    "PoolError",
    "PoolStatistics",
    "PoolTimeout",
    "ProgramExit",
    "ReentrantCall",
    "Sandbox",
    "SandboxBusy",
    "SandboxClosed",
    "SandboxPoisoned",
    "SandboxStateError",
    "Snapshot",
    "SnapshotError",
    "Some",
    "Status",
    "TableLimitExceeded",
    "TransferLimitExceeded",
    "Trap",
    "TrapCode",
    "UnsupportedImport",
    "UnsupportedItem",
    "ViewInUse",
    "VmPool",
    "Wasi",
    "WitTypeError",
    "WitValueError",
    "WorldMismatch",
    "__version__",
    "load",
    "view",
    "vm_pool",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hlwasm' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_MODULES.get(name, "hlwasm.errors"))
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
