"""WASI 0.2 as host functions: one module per WASI package, nothing granted by default.

``Wasi`` says what a program may use; ``WasiHost`` is that, in use by one sandbox. The
modules of the single packages are imported when a component first needs them.
"""

from __future__ import annotations

from hlwasm.wasi.config import LogLines, Wasi
from hlwasm.wasi.host import WasiHost

__all__ = ["LogLines", "Wasi", "WasiHost"]
