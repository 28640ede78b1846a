"""What a process can still do after it confined itself, tried in real processes."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

_TRY = """
import ctypes, os, socket, subprocess, threading, signal
from hlwasm.artifact.confinement import close_doors, limit_resources
limit_resources(memory_bytes=1 << 30, cpu_seconds=10, file_bytes=1000)
out = os.memfd_create("out")
os.chdir({directory!r})
close_doors()
{action}
print("done")
"""

_DENIED = {
    "read a file": "os.open('/etc/hostname', os.O_RDONLY)",
    "write a file": "os.open('new', os.O_WRONLY | os.O_CREAT)",
    "list a directory": "os.listdir('/')",
    "remove a file": "os.unlink('old')",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socketpair()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "fork": "os.fork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "kill its parent": "os.kill(os.getppid(), signal.SIGTERM)",
    "raise its limits": "import resource; resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "write a large file": "os.write(out, bytes(2000)) == 2000 or os.write(out, b'x')",
}

_ALLOWED = {
    "write to an open file": "assert os.write(out, bytes(500)) == 500",
    "start threads": "t = threading.Thread(target=print); t.start(); t.join()",
    "make a memory file": "os.memfd_create('x')",
    "use memory": "bytearray(1 << 26)",
}


def _run(action: str, directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "old").write_text("here")
    # Not as the process's start: the package may come from the current directory.
    code = _TRY.format(action=action, directory=str(directory))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [path.name for path in directory.iterdir()] == ["old"]
    return done


def _has_landlock() -> bool:
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) >= 1


@pytest.mark.parametrize("action", _DENIED.values(), ids=_DENIED)
def test_what_is_denied(action: str, tmp_path: Path) -> None:
    if not _has_landlock() and any(name in action for name in ("open", "listdir", "unlink")):
        pytest.skip("this kernel has no Landlock")
    done = _run(action, tmp_path)
    assert done.returncode == 1
    errors = ("PermissionError", "File too large", "not allowed to raise", "exceeds")
    assert any(error in done.stderr for error in errors), done.stderr


@pytest.mark.parametrize("action", _ALLOWED.values(), ids=_ALLOWED)
def test_what_is_allowed(action: str, tmp_path: Path) -> None:
    done = _run(action, tmp_path)
    assert done.stdout.endswith("done\n"), done.stderr
