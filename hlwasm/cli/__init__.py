"""The command line: one module per command.

Nothing heavy is imported before a command needs it: ``hlwasm --help`` loads click and
no more, and a program whose artifact is cached starts without the compiler.
"""

from __future__ import annotations

import sys
import time
from typing import NoReturn

# For `--timings`: as early as this package can know.
STARTED = time.perf_counter()


def main() -> NoReturn:
    """Entry point of the ``hlwasm`` script. Ends the process."""
    from hlwasm.cli.main import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))
