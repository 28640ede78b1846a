"""Exit codes of the command line.

The codes of hlwasm itself are few, distinct, and where programs seldom put theirs;
130, 134 and 124 are what shells, aborted programs and `timeout` use for the same.
"""

from __future__ import annotations

OK = 0
# `call`: the function returned its error arm. `cache verify`, `doctor`, `test`,
# `bindgen --check`: something is wrong.
FAILURE = 1
USAGE = 2
LOAD = 120
LINK = 121
NO_HYPERVISOR = 122
LIMIT = 123
DEADLINE = 124
INTERNAL = 125
INTERRUPTED = 130
TRAP = 134

MEANINGS = {
    "0–255": "the program's own code (run)",
    str(FAILURE): "a function returned an error (call), a check failed (test, cache, …)",
    str(USAGE): "wrong command line",
    str(LOAD): "the file cannot be read, is not WebAssembly, or cannot be compiled",
    str(LINK): "the component imports something that is not provided",
    str(NO_HYPERVISOR): "no usable /dev/kvm; see `hlwasm doctor`",
    str(LIMIT): "a limit was reached, such as --memory or --fuel",
    str(DEADLINE): "the deadline passed",
    str(INTERNAL): "hlwasm itself or its guest runtime failed",
    str(INTERRUPTED): "interrupted (Ctrl-C)",
    str(TRAP): "the component trapped",
}


def help_text() -> str:
    """The table for ``--help``, in click's no-rewrap form."""
    width = max(map(len, MEANINGS))
    lines = [f"  {code.ljust(width)}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\b\nExit codes:\n" + "\n".join(lines)
