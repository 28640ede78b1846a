"""Large components start from the state in which the run before was right after instantiation.

The first run takes a snapshot in memory before the program starts, and writes it to the cache
when the program has ended: nothing that goes wrong then is worth losing its result.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hlwasm.artifact import Cache
from hlwasm.logs import INFO, log
from hlwasm.sandbox.start_files import find_start, save_start
from hlwasm.sandbox.starts import start_of

if TYPE_CHECKING:
    from hlwasm import Component, Limits, Sandbox
    from hlwasm.sandbox.starts import Start

LOGGER = "hlwasm.cache"
# Starting from a file takes 2 to 4 ms on the machine where instantiating CPython takes 4,
# a program of componentize-py 10, and a small one 1.
WORTH_SECONDS = 0.005


class WarmStart:
    """The state after instantiation of one component, in the cache.

    Attributes:
        found: whether it was there.
    """

    def __init__(self, component: Component, limits: Limits) -> None:
        self._component = component
        self._limits = limits
        self._cache = Cache()
        self._taken: Start | None = None
        start = find_start(self._cache, component, limits)
        self.found = start is not None
        if start is not None and component._starts is not None:
            component._starts.put(limits, start)

    def take(self, sandbox: Sandbox) -> bool:
        """Takes the state of the sandbox, which was just made, if it is worth keeping."""
        took = sum(seconds for name, seconds in sandbox.steps() if name == "instantiation")
        if self.found or took < WORTH_SECONDS:
            return False
        try:
            self._taken = start_of(sandbox)
        except Exception as error:
            self._tell(error)
        return True

    def save(self) -> bool:
        """Writes what was taken, and says whether something was; no failure is an error."""
        start, self._taken = self._taken, None
        if start is None:
            return False
        try:
            # Who reads the program's output should not have to wait for this.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            save_start(self._cache, self._component, self._limits, start)
        except Exception as error:
            self._tell(error)
        return True

    def _tell(self, error: Exception) -> None:
        log(LOGGER, INFO, "keeps no snapshot of %s: %s", self._component.name, error)
