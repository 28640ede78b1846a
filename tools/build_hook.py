"""Hatchling's hook: builds the native half and tags the wheel for this platform.

The binding is cffi in ABI mode, so one wheel per platform serves every Python 3.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before a wheel (or an editable install) is made; an sdist carries sources only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        from tools import build_native

        build_native.main()
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"] += [
            str(path.relative_to(build_native.ROOT)) for path in build_native.OUTPUTS
        ]
