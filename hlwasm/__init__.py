"""Run untrusted WebAssembly components from Python inside a micro-VM.

::

    import hlwasm

    component = hlwasm.load("calculator.wasm")
    with component.instantiate(imports={"host": {"log": print}}) as sandbox:
        sandbox.exports.ops.add(2, 3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlwasm.errors import (
    ArtifactError,
    Cancelled,
    CompileError,
    ConversionError,
    DeadlineExceeded,
    Err,
    Frame,
    GuestDataError,
    GuestError,
    GuestFault,
    HlwasmError,
    InvalidWasm,
    LimitExceeded,
    LinkError,
    LoadError,
    NativeError,
    NoHypervisorFound,
    ProgramExit,
    ReentrantCall,
    SandboxBusy,
    SandboxClosed,
    SandboxPoisoned,
    SandboxStateError,
    Trap,
    TrapCode,
    UnsupportedImport,
    UnsupportedItem,
    WitTypeError,
    WitValueError,
)

if TYPE_CHECKING:
    from hlwasm.artifact import Cache as Cache
    from hlwasm.component import Component as Component
    from hlwasm.component import load as load
    from hlwasm.sandbox.limits import Limits as Limits
    from hlwasm.sandbox.sandbox import Sandbox as Sandbox
    from hlwasm.sandbox.state import Status as Status
    from hlwasm.wasi import Wasi as Wasi
    from hlwasm.wit.values import Ok as Ok
    from hlwasm.wit.values import Some as Some

__version__ = "0.1.0"

# Imported at first use: `import hlwasm` and the CLI's --help stay quick.
_LAZY = {
    "Cache": "hlwasm.artifact",
    "Component": "hlwasm.component",
    "Limits": "hlwasm.sandbox.limits",
    "Ok": "hlwasm.wit.values",
    "Sandbox": "hlwasm.sandbox.sandbox",
    "Some": "hlwasm.wit.values",
    "Status": "hlwasm.sandbox.state",
    "Wasi": "hlwasm.wasi",
    "load": "hlwasm.component",
}

__all__ = [
    "ArtifactError",
    "Cache",
    "Cancelled",
    "CompileError",
    "Component",
    "ConversionError",
    "DeadlineExceeded",
    "Err",
    "Frame",
    "GuestDataError",
    "GuestError",
    "GuestFault",
    "HlwasmError",
    "InvalidWasm",
    "LimitExceeded",
    "Limits",
    "LinkError",
    "LoadError",
    "NativeError",
    "NoHypervisorFound",
    "Ok",
    "ProgramExit",
    "ReentrantCall",
    "Sandbox",
    "SandboxBusy",
    "SandboxClosed",
    "SandboxPoisoned",
    "SandboxStateError",
    "Some",
    "Status",
    "Trap",
    "TrapCode",
    "UnsupportedImport",
    "UnsupportedItem",
    "Wasi",
    "WitTypeError",
    "WitValueError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'hlwasm' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
