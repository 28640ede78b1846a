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
    try:
        from hlwasm.cli.main import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        # While modules were imported, or while another interrupt was told.
        from hlwasm.cli.exit_codes import INTERRUPTED

        code = INTERRUPTED
    sys.exit(code)
