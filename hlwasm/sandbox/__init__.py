"""A sandbox: one micro-VM, one guest, one component; the unit of isolation and lifetime."""

from __future__ import annotations

from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.sandbox import Sandbox
from hlwasm.sandbox.state import Status

__all__ = ["Limits", "Sandbox", "Status"]
