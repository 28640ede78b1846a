"""The command line: one module per command.

Nothing heavy is imported before a command needs it: ``hlwasm --help`` loads click and
no more, and a program whose artifact is cached starts without the compiler.
"""

from __future__ import annotations

import atexit
import os
import sys
import time

# As in hlwasm/__init__.py.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

# For `--timings`: as early as this package can know.
STARTED = time.perf_counter()


def main() -> NoReturn:
    """Entry point of the ``hlwasm`` script. Ends the process."""
    code = _run()
    if sys.gettrace() is None and sys.getprofile() is None:
        # Streams are flushed and sandboxes closed by now. Python's tear-down would free each
        # object on its own, which takes longer than making and booting the micro-VM did.
        atexit._run_exitfuncs()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        from hlwasm.cli.main import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        # While modules were imported, or while another interrupt was told.
        from hlwasm.cli.exit_codes import INTERRUPTED

        code = INTERRUPTED
    return code
