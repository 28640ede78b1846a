"""Imports generated packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from hlwasm.bindgen.files import write


def import_package(files: Mapping[str, str], name: str, folder: Path) -> ModuleType:
    """Writes a package below ``folder`` and imports it and all of its modules anew."""
    write(files, folder / name)
    for each in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[each]
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        package = importlib.import_module(name)
        for file in files:
            if file != "__init__.py":
                importlib.import_module(f"{name}.{file.removesuffix('.py')}")
    finally:
        sys.path.remove(str(folder))
    return package
