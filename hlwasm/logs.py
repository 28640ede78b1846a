"""Log records, without ``logging`` until there is one.

Importing it takes as long as booting a micro-VM, and most sandboxes have nothing to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# As `logging` numbers them.
INFO = 20
WARNING = 30

_set_up: Callable[[], None] | None = None


def set_up_with(set_up: Callable[[], None]) -> None:
    """Has ``set_up`` called before the first record; it may import ``logging``."""
    global _set_up
    _set_up = set_up


def log(name: str, level: int, message: str, *arguments: object) -> None:
    """One record of the logger of that name."""
    import logging

    global _set_up
    set_up, _set_up = _set_up, None
    if set_up is not None:
        set_up()
    logging.getLogger(name).log(level, message, *arguments, stacklevel=2)
