"""Log records of hlwasm as lines of the command line."""

from __future__ import annotations

import logging

from hlwasm.cli.failures import say


class LogLines(logging.Handler):
    """Writes each record to stderr as one line."""

    @classmethod
    def set_up(cls, quiet: bool) -> None:
        """Takes over hlwasm's records from warnings on, or only errors where ``quiet``."""
        logger = logging.getLogger("hlwasm")
        logger.handlers = [cls(logging.ERROR if quiet else logging.WARNING)]
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")
