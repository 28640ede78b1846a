"""A command-line program for WASI 0.2: works on its standard input, as told by its arguments.

upper          copies the input in upper case
count          prints the number of lines and bytes
sleep SECONDS  prints how long it slept
wait SECONDS   prints whether there was input within the time
random BYTES   prints random bytes in hexadecimal
show           prints arguments and environment
fail           prints to standard error, and fails
exit CODE      exits without returning
"""

import os
import select
import sys
import time

from componentize_py_types import Err
from wit_world import exports


def upper() -> None:
    for line in sys.stdin:
        sys.stdout.write(line.upper())


def count() -> None:
    data = sys.stdin.buffer.read()
    print(data.count(b"\n"), len(data))


def sleep(seconds: str) -> None:
    start = time.monotonic()
    time.sleep(float(seconds))
    print(f"{time.monotonic() - start:.3f}", int(time.time()))


def wait(seconds: str) -> None:
    readable, _, _ = select.select([0], [], [], float(seconds))
    print("input" if readable else "nothing")


def random(size: str) -> None:
    print(os.urandom(int(size)).hex())


def show() -> None:
    print(sys.argv)
    print(dict(os.environ))
    print([os.isatty(number) for number in range(3)])


def fail() -> None:
    print("this did not go well", file=sys.stderr)
    raise Err(None)


def leave(code: str) -> None:
    sys.stdout.flush()
    os._exit(int(code))


TASKS = {
    "upper": upper,
    "count": count,
    "sleep": sleep,
    "wait": wait,
    "random": random,
    "show": show,
    "fail": fail,
    "exit": leave,
}


class Run(exports.Run):
    def run(self) -> None:
        _, task, *arguments = sys.argv
        TASKS[task](*arguments)
        sys.stdout.flush()
