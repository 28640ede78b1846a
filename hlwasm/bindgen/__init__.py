"""Typed Python packages for the worlds of components: ``hlwasm bindgen``."""

from __future__ import annotations

from hlwasm.bindgen.files import differences, write
from hlwasm.bindgen.package import generate

__all__ = ["differences", "generate", "write"]
