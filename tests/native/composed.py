"""Composed components in WAT, as small as the guest runtime allows.

Each has what the bridge generator would make: an import bridge first, an export bridge
last, both with a memory of fixed size, and ``call0``, ``call1``, … between them and the
test's own core module.
"""

from __future__ import annotations

BRIDGE_PAGES = 4

_IMPORT_BRIDGE = """
  (import "hlwasm:bridge/host" (instance $host
    (export "host-call" (func (param "f" u32) (param "p" u32) (result u32)))))
  (core func $host_call (canon lower (func $host "host-call")))
  (core module $"hlwasm import bridge"
    (import "host" "call" (func $call (param i32 i32) (result i32)))
    (memory {pages} {pages})
    (func $forward (export "call") (param i32 i32) (result i32)
      (call $call (local.get 0) (local.get 1))))
  (core instance $imports (instantiate $"hlwasm import bridge"
    (with "host" (instance (export "call" (func $host_call))))))
"""


def _export_bridge(source: str, calls: int) -> str:
    functions = (
        "".join(f'(import "user" "f{k}" (func $f{k})) ' for k in range(calls))
        + f"(memory {BRIDGE_PAGES} {BRIDGE_PAGES}) "
        + "".join(f'(func $run{k} (export "call{k}") (call $f{k})) ' for k in range(calls))
    )
    lifted = "".join(
        f'(func $call{k} (canon lift (core func $exports "call{k}")))\n' for k in range(calls)
    )
    names = " ".join(f'(export "call{k}" (func $call{k}))' for k in range(calls))
    return f"""
  (core module $"hlwasm export bridge" {functions})
  (core instance $exports (instantiate $"hlwasm export bridge" (with "user" {source})))
  {lifted}
  (instance $calls {names})
  (export "hlwasm:bridge/guest" (instance $calls))
"""


def component(user: str, calls: int = 1) -> str:
    """Around a core module: ``user`` is its body, exporting ``f0``, ``f1``, … of type () → ().

    It may import ``host.call`` of type (i32, i32) → i32.
    """
    return f"""(component
  {_IMPORT_BRIDGE.format(pages=BRIDGE_PAGES)}
  (core module $user (import "host" "call" (func $host_call (param i32 i32) (result i32))) {user})
  (core instance $user (instantiate $user (with "host" (instance $imports))))
  {_export_bridge("(instance $user)", calls)})"""


def component_without_imports(user: str, calls: int = 1) -> str:
    """Like :func:`component`, but there is no import bridge."""
    return f"""(component
  (core module $user {user})
  (core instance $user (instantiate $user))
  {_export_bridge("(instance $user)", calls)})"""


def siblings(types: str, callee: str, caller: str, signature: str) -> str:
    """Two components, the second calling ``take`` of the first through a fused adapter.

    The export bridge is a third: a component may not call its own children.

    Args:
        types: component-level type definitions, usable in the signature.
        callee: body of a core module with ``memory``, ``realloc`` and ``take``.
        caller: body of a core module with memory ``m.memory``, imported ``m.take`` and an
            exported ``f0`` that passes whatever it likes.
        signature: of ``take``, for example ``(param "s" string)``.
    """
    return f"""(component
  (component $callee
    {types}
    (core module $inside {callee})
    (core instance $inside (instantiate $inside))
    (func (export "take") {signature} (canon lift (core func $inside "take")
      (memory $inside "memory") (realloc (func $inside "realloc")))))
  (component $caller
    {types}
    (import "take" (func $take {signature}))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $lowered (canon lower (func $take) (memory $memory "memory")))
    (core module $inside {caller})
    (core instance $inside (instantiate $inside (with "m" (instance
      (export "memory" (memory $memory "memory")) (export "take" (func $lowered))))))
    (func (export "f0") (canon lift (core func $inside "f0"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "take" (func $callee "take"))))
  (component $bridge
    (import "f0" (func $imported))
    (core func $f0 (canon lower (func $imported)))
    {_export_bridge('(instance (export "f0" (func $f0)))', 1)})
  (instance $bridge (instantiate $bridge (with "f0" (func $caller "f0"))))
  (export "hlwasm:bridge/guest" (instance $bridge "hlwasm:bridge/guest")))"""
