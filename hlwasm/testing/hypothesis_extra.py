"""Hypothesis, which is installed with ``hlwasm[testing]``."""

from __future__ import annotations

try:
    import hypothesis
except ImportError as error:
    raise ImportError(
        "this part of hlwasm.testing needs Hypothesis: pip install 'hlwasm[testing]'"
    ) from error

__all__ = ["hypothesis"]
