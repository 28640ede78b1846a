"""A WIT package in binary form, as ``wasm-tools component wit --wasm`` makes it."""

from __future__ import annotations

import json

import wasmtime

TEXT = """package demo:tools@1.0.0;

/// Works on numbers.
interface ops {
    /// A pair.
    record pair { left: s32, right: s32 }
    /// Adds both.
    add: func(of: pair) -> s32;
}
world tool { export ops; }
world empty {}
"""

# As `wasm-tools print` shows the package.
_WAT = """(component
  (type (component
    (type (instance
      (type (record (field "left" s32) (field "right" s32)))
      (export "pair" (type (eq 0)))
      (type (func (param "of" 1) (result s32)))
      (export "add" (func (type 2)))))
    (export "demo:tools/ops@1.0.0" (instance (type 0)))))
  (export "ops" (type 0))
  (type (component
    (type (component
      (type (instance
        (type (record (field "left" s32) (field "right" s32)))
        (export "pair" (type (eq 0)))
        (type (func (param "of" 1) (result s32)))
        (export "add" (func (type 2)))))
      (export "demo:tools/ops@1.0.0" (instance (type 0)))))
    (export "demo:tools/tool@1.0.0" (component (type 0)))))
  (export "tool" (type 2))
  (type (component
    (type (component))
    (export "demo:tools/empty@1.0.0" (component (type 0)))))
  (export "empty" (type 4))
)"""

_DOCS = {
    "interfaces": {
        "ops": {
            "docs": "Works on numbers.",
            "funcs": {"add": {"docs": "Adds both."}},
            "types": {"pair": {"docs": "A pair."}},
        }
    }
}


def package(stability: object = "unknown") -> bytes:
    """The package of ``TEXT``, with its documentation.

    Args:
        stability: of its interface.
    """
    ops = {**_DOCS["interfaces"]["ops"], "stability": stability}
    docs = b"\x0cpackage-docs\x01" + json.dumps({"interfaces": {"ops": ops}}).encode()
    assert 128 <= len(docs) < 1 << 14
    length = bytes([len(docs) & 0x7F | 0x80, len(docs) >> 7])
    return bytes(wasmtime.wat2wasm(_WAT)) + b"\0" + length + docs
