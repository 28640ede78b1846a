"""Runs the command line as a user does: a process, its streams and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The first line of hlwasm's own on stderr."""
        return next((x for x in self.stderr.splitlines() if x.startswith("hlwasm: ")), "")


@dataclass(frozen=True)
class CommandLine:
    """Runs ``python -m hlwasm`` with a cache of its own."""

    cache: Path

    def environment(self, changes: Mapping[str, str]) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HLWASM_DEBUG")}
        return {**env, "HLWASM_CACHE_DIR": str(self.cache), **changes}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "hlwasm", *map(str, arguments)]

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes | None = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ended:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            env=self.environment(env or {}),
            timeout=timeout,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
