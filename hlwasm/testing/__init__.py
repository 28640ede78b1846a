"""Testing components against their WIT: with pytest, with fakes of their imports, by recordings.

The names here are imported at first use, so that pytest, which loads
``hlwasm.testing.plugin`` wherever hlwasm is installed, pays nothing for what a run does not use.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# Public name → its module. A module must not have the name of something public: importing it
# would put the module in that place.
_MODULES: dict[str, str] = {}

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    module_name = _MODULES.get(name)
    if module_name is None:
        raise AttributeError(f"module 'hlwasm.testing' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module_name), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
