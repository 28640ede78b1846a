"""Functions of WASI that a snapshot may have behind it and still be of use elsewhere.

They change nothing, and what they answer follows from the grants alone: whoever has grants
with the same answers (:meth:`WasiHost.repeatable_answers`) may start from the snapshot as if
the calls had been made there. Clocks and random bytes are not among them, nor is anything
that reads or writes.
"""

from __future__ import annotations

REPEATABLE: dict[str, frozenset[str]] = {
    "wasi:cli/environment": frozenset({"get-arguments", "get-environment", "initial-cwd"}),
    # A handle only: which stream it is, not what is in it.
    "wasi:cli/stdin": frozenset({"get-stdin"}),
    "wasi:cli/stdout": frozenset({"get-stdout"}),
    "wasi:cli/stderr": frozenset({"get-stderr"}),
    "wasi:cli/terminal-stdin": frozenset({"get-terminal-stdin"}),
    "wasi:cli/terminal-stdout": frozenset({"get-terminal-stdout"}),
    "wasi:cli/terminal-stderr": frozenset({"get-terminal-stderr"}),
    "wasi:filesystem/preopens": frozenset({"get-directories"}),
}
