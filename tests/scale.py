"""How often tests repeat what must never go wrong."""

from __future__ import annotations

import os


def scaled(quick: int, full: int) -> int:
    """``quick`` times, or ``full`` where the environment has ``HLWASM_STRESS=1``."""
    return full if os.environ.get("HLWASM_STRESS") == "1" else quick
